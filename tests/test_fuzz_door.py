"""Whatever a client sends, the WSGI application answers: never with 500, never by raising."""

from __future__ import annotations

import json
import re
import string
from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.api_jws import PyJWS

from tests.support.fuzz_app import make_fuzzed
from tests.support.wsgi import SECRET, Answer, make_environ, make_settings, run, token

APP, SENT = make_fuzzed(
    make_settings(TRUSTED_PROXIES=("192.0.2.0/25",), FORWARDED_HEADER=True, TOKEN_COOKIE="t")
)
IDENTITY = ("X-User-ID", "X-User-Roles", "X-User-Permissions")
fuzzed = settings(
    derandomize=True,
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _signed(made: object) -> str:
    """A token that our own library would not make, with a signature that holds."""
    return PyJWS().encode(json.dumps(made).encode(), SECRET, "HS256")


latin = st.text(st.characters(max_codepoint=255), max_size=30)
segments = st.sampled_from(
    [
        *("things", "guarded", "s", "7", "view", "..", ".", "%2e", "%2F", "%2f", "%5C", "%00"),
        *("%", "%zz", "%FF", "%C0%AE", "+7", "7;a", "\\", "\t", "\xe9", "http:", "healthz", "#"),
        *("9" * 5000, "%D9%A3", "..;", "%0d%0aX:y", "~", "*", "@", ":", "", "//", "?"),
    ]
)
paths = st.one_of(
    latin,
    st.lists(segments, max_size=6).map("/".join),
    st.tuples(st.sampled_from(["/things/", "/guarded/", "/s/", "//", "http://h/s/"]), latin).map(
        "".join
    ),
)
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "Post",
    "BREW",
    "ß",
    "M-SEARCH",
]
methods = st.one_of(st.sampled_from(METHODS), latin)
NAMES = (
    "Host Connection Via Cookie Authorization X-Access-Tokens Forwarded X-Forwarded-For"
    " X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix X-Request-ID"
    " Transfer-Encoding Upgrade Expect Range X-Version Sec-Fetch-Site If-Match Content-Length TE"
)
names = st.one_of(
    st.sampled_from([*NAMES.split(), *IDENTITY]),
    st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=12),
)
VALUES = [
    *("chunked", "2", "https", "close, X-User-ID", "1.1 edge", "10.0.0.1, [::1]:80", "h\r\nX: y"),
    *("Bearer ", "Bearer a.b.c", "t=a.b.c", "websocket", "a..b", "[::1", "x" * 300, "a\nb", ""),
]
values = st.one_of(latin, st.sampled_from(VALUES))
claims = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
tokens = st.one_of(
    st.just(""),
    st.text(string.ascii_letters + string.digits + "._-= ,", max_size=80),
    st.tuples(st.integers(0, 200), st.sampled_from([".", "a", "\x80", "=", " "])).map(
        lambda change: token()[: change[0]] + change[1] + token()[change[0] + 1 :]
    ),
    st.dictionaries(
        st.sampled_from(
            ["sub", "user_id", "exp", "nbf", "iat", "aud", "iss", "roles", "permissions", "scope"]
        ),
        claims | st.sampled_from([2**40, 1e300, "9999999999", "\ud800", " ada", -1, 10**400]),
    ).map(lambda made: _signed({"sub": "eve", "exp": 2**33, **made})),
)
framings = st.dictionaries(
    st.sampled_from(["CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "CONTENT_TYPE", "HTTP_EXPECT"]),
    st.sampled_from(["0", "5", "-1", "99999999999999999999", "1_0", "٣", "chunked", "gzip", ""]),
)


def _ask(**environ: Any) -> Answer:
    SENT.requests.clear()
    answer = run(APP, make_environ(**environ))
    assert 200 <= answer.status < 600
    assert answer.status != 500
    _is_well_formed(answer)
    return answer


def _is_well_formed(answer: Answer) -> None:
    (request_id,) = answer.header("X-Request-ID")
    assert re.fullmatch(r"[A-Za-z0-9._\-]{8,128}", request_id)
    for name, value in answer.headers:
        assert re.fullmatch(r"[A-Za-z0-9\-]+", name)
        assert re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value)
    if answer.status >= 400 and answer.body:
        assert answer.header("Content-Type") == ["application/problem+json"]
        assert answer.json["status"] == answer.status


@fuzzed
@given(paths, methods, st.none() | paths)
def test_any_target(raw: str, method: str, decoded: str | None) -> None:
    changes = {} if decoded is None else {"PATH_INFO": decoded}
    answer = _ask(raw=raw, method=method, **changes)
    assert answer.status < 500
    for request in SENT.requests:
        _is_what_was_routed(request.url)


def _is_what_was_routed(url: str) -> None:
    """What a backend is asked lies below a prefix, in whichever way it is read."""
    _, _, rest = url.partition(".internal")
    path = unquote_to_bytes(rest.partition("?")[0]).decode("latin-1")
    if not url.startswith("http://second"):  # its prefix is stripped
        assert re.match(r"/(things|guarded|s)(/|$)", path)
    assert not re.search(r"(^|/)\.\.?(;[^/]*)?(/|$)|\\|\x00", path)


@fuzzed
@given(
    st.sampled_from(["/things/x", "/guarded/x", "/s/x", "/things/7/view"]),
    st.lists(st.tuples(names, values), max_size=6),
    st.sampled_from(["192.0.2.1", "192.0.2.200", "", "::1", "junk"]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0"]),
)
def test_any_headers(raw: str, headers: list[tuple[str, str]], peer: str, protocol: str) -> None:
    _ask(raw=raw, headers=headers, REMOTE_ADDR=peer, SERVER_PROTOCOL=protocol)
    for request in SENT.requests:
        assert not [name for name in IDENTITY if name in request.headers]
        assert "Transfer-Encoding" not in request.headers
        assert "Connection" not in request.headers


@fuzzed
@given(
    tokens,
    st.sampled_from(["Authorization", "X-Access-Tokens", "Cookie"]),
    st.sampled_from(["/guarded/x", "/s/x", "/things/x"]),
    st.sampled_from(["GET", "POST"]),
)
def test_any_token(text: str, header: str, raw: str, method: str) -> None:
    prefix = {"Authorization": "Bearer ", "Cookie": "t="}.get(header, "")
    answer = _ask(raw=raw, method=method, headers=[(header, prefix + text)])
    assert answer.status in (200, 401, 403)
    for request in SENT.requests:
        for name in IDENTITY:
            value = request.headers.get(name, "")
            assert re.fullmatch(r"[\x20-\x7e]*", value)
            assert value == value.strip()


@fuzzed
@given(st.binary(max_size=1500), framings, st.sampled_from(["GET", "POST", "PUT"]))
def test_any_body(body: bytes, framing: dict[str, str], method: str) -> None:
    answer = _ask(raw="/things/x", method=method, body=body, **framing)
    for request in SENT.requests:
        assert body.startswith(request.body)
        assert len(request.body) <= 1000
        if answer.status == 200 and "CONTENT_LENGTH" not in framing:
            assert request.body == body
