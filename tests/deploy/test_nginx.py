"""nginx and the gateway together: what a client gets, and what a backend is told."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from gateway.forwarded import UNTRUSTED
from gateway.testing import ScriptedUpstream
from tests.deploy.nginx import NAME, NGINX, Nginx, placeholders, start_nginx, usual_values
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, wait_for
from tests.support.messages import request_head, response


def ask(nginx: Nginx, target: bytes, *fields: bytes, host: str = NAME) -> Reply:
    """The answer to a GET over TLS."""
    with nginx.connect() as connection:
        named = b"Host: " + host.encode()
        connection.send(request_head(target, named, b"Connection: close", *fields))
        return connection.read_reply()


def is_problem(reply: Reply, status: int) -> bool:
    """Whether it is an error in the gateway's form, whoever wrote it."""
    problem = json.loads(reply.body)
    return (
        reply.status == problem["status"] == status
        and reply.header(b"Content-Type") == [b"application/problem+json"]
        and [problem["request_id"].encode()] == reply.header(b"X-Request-ID")
    )


def test_every_placeholder_has_a_value() -> None:
    assert placeholders() == set(usual_values())


def test_paths_of_operators_are_kept_from_the_world(tmp_path: Path) -> None:
    def unmarked(text: str) -> str:
        begin = text.index("#location ^~ /admin/ {")
        end = text.index("#}", begin) + 2
        return text[:begin] + text[begin:end].replace("#", "") + text[end:]

    if NGINX is None:
        pytest.skip("nginx is not installed")
    with start_nginx(tmp_path, str(tmp_path / "nobody"), unmarked) as nginx:
        assert is_problem(ask(nginx, b"/admin/cache"), 403)
        assert is_problem(ask(nginx, b"/administration"), 502)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_client_chooses_the_protocol(
    nginx: Nginx, upstream: ScriptedUpstream, version: str
) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    command = [
        *(curl, "--silent", "--show-error", version, "--interface", "127.0.0.9"),
        *("--resolve", f"{NAME}:{nginx.https}:127.0.0.1"),
        *("--cacert", str(nginx.folder / "certificate.pem")),
        *("--data", "sent", "--write-out", " %{http_version} %{response_code}"),
        f"https://{NAME}:{nginx.https}/plain/x",
    ]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.stderr == b""
    assert done.stdout == (b"ok 2 200" if version == "--http2" else b"ok 1.1 200")
    (received,) = upstream.requests
    assert (received.method, received.body) == (b"POST", b"sent")
    assert received.header(b"X-Forwarded-For") == [b"127.0.0.9"]
    assert received.header(b"X-Forwarded-Host") == [f"{NAME}:{nginx.https}".encode()]
    assert received.header(b"X-Forwarded-Proto") == [b"https"]


def test_client_is_who_nginx_sees(
    nginx: Nginx, gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    forged = [name.encode() + b": forged.example" for name in UNTRUSTED]
    forged += [b"X-Forwarded-%s: 192.0.2.66" % n for n in (b"For", b"Host", b"Proto", b"Prefix")]
    assert ask(nginx, b"/plain/who", *forged).status == 200
    (received,) = upstream.requests
    assert received.header(b"X-Forwarded-For") == [b"127.0.0.1"]
    assert b"forged" not in received.head
    assert b"192.0.2.66" not in received.head
    assert wait_for(lambda: [x for x in gateway.stdout_lines() if x["path"] == "/plain/who"])
    assert {x["client"] for x in gateway.stdout_lines() if x["path"] == "/plain/who"} == {
        "127.0.0.1"
    }


@pytest.mark.parametrize("given", [b"", b"of-the-client.1", b"short", b"not {well} formed"])
def test_one_request_id_everywhere(
    nginx: Nginx, gateway: Gateway, upstream: ScriptedUpstream, given: bytes
) -> None:
    reply = ask(nginx, b"/plain/id", *([b"X-Request-ID: " + given] if given else []))
    (name,) = reply.header(b"X-Request-ID")
    assert name == given if given == b"of-the-client.1" else len(name) == 32
    assert upstream.requests[0].header(b"X-Request-ID") == [name]
    assert wait_for(lambda: name.decode() in nginx.log)
    assert wait_for(lambda: name.decode() in {x["request_id"] for x in gateway.stdout_lines()})


def test_log_is_json_without_the_query(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    ask(nginx, b'/plain/logged"?secret=1')
    assert wait_for(lambda: "/plain/logged" in nginx.log)
    lines = [json.loads(line) for line in nginx.log.splitlines()]
    (line,) = [line for line in lines if line["path"].startswith("/plain/logged")]
    assert (line["path"], line["status"], line["client"]) == ('/plain/logged"', 200, "127.0.0.1")
    assert "secret" not in nginx.log


def test_path_and_query_pass_as_sent(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    target = b"/plain/%7euser%20a;b=1/events/?x=%2F&&y=+"
    assert ask(nginx, target).status == 200
    assert upstream.requests[0].target == target


def test_fields_of_one_hop_end_there(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    upstream.respond(response(b"200 OK", b"Keep-Alive: timeout=1", b"X-Kept: 1", body=b"ok"))
    fields = [b"Keep-Alive: 1", b"TE: trailers", b"Proxy-Connection: close", b"Proxy: here"]
    reply = ask(nginx, b"/plain/x", *fields, b"X-Kept: 1")
    (received,) = upstream.requests
    for name in (b"Keep-Alive", b"TE", b"Proxy-Connection", b"Proxy"):
        assert received.header(name) == []
    assert received.header(b"X-Kept") == reply.header(b"X-Kept") == [b"1"]
    assert reply.header(b"Keep-Alive") == []


def test_websocket_is_answered_as_a_plain_request(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    with nginx.connect() as connection:
        fields = [b"Connection: Upgrade", b"Upgrade: websocket", b"Host: " + NAME.encode()]
        connection.send(request_head(b"/plain/x", *fields))
        assert connection.read_reply().status == 200
    assert upstream.requests[0].header(b"Upgrade") == []


def test_connections_to_the_gateway_are_kept(
    nginx: Nginx, gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    for _ in range(10):
        assert ask(nginx, b"/plain/x").status == 200
    time.sleep(0.5)  # what is not kept is gone by now
    sockets = Path("/proc/net/unix").read_text().splitlines()
    of_gateway = [line.split() for line in sockets if line.endswith(f" {gateway.address}")]
    connected = [fields for fields in of_gateway if fields[5] == "03"]
    assert connected


def test_large_response_head_passes(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    cookies = [b"Set-Cookie: c%d=" % number + b"x" * 3000 for number in range(10)]
    upstream.respond(response(b"200 OK", *cookies, body=b"ok"))
    reply = ask(nginx, b"/plain/x")
    assert (reply.status, len(reply.header(b"Set-Cookie"))) == (200, 10)


def test_gateway_refuses_in_its_own_words(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    reply = ask(nginx, b"/plain/" + b"x" * 10_000)
    assert reply.status == 414
    assert json.loads(reply.body)["code"] == "malformed_request"


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        (b"/plain/x", [b"Content-Length: 12000000"], 413),
        (b"/plain/" + b"x" * 40_000, [], 414),
        (b"/plain/x", [b"X-Long: " + b"x" * 40_000], 431),
    ],
    ids=["body", "line", "field"],
)
def test_nginx_refuses_in_the_same_form(
    nginx: Nginx, upstream: ScriptedUpstream, target: bytes, fields: list[bytes], status: int
) -> None:
    reply = ask(nginx, target, *fields)
    assert is_problem(reply, status)
    assert json.loads(reply.body)["code"] == "proxy"
    assert upstream.requests == []


def test_plain_http_is_sent_to_https(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    reply = exchange(nginx.http, request_head(b"/plain/x?y=1", b"Connection: close"))
    assert (reply.status, reply.header(b"Location")) == (
        308,
        [b"https://" + NAME.encode() + b"/plain/x?y=1"],
    )
    assert upstream.requests == []


def test_other_names_are_refused(nginx: Nginx, upstream: ScriptedUpstream) -> None:
    with pytest.raises(ssl.SSLError):
        nginx.connect("other.test")
    assert ask(nginx, b"/plain/x", host="other.test").status == 421
    assert upstream.requests == []


def test_absent_gateway_is_a_502_in_the_same_form(tmp_path: Path) -> None:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    with start_nginx(tmp_path, str(tmp_path / "nobody.sock")) as alone:
        assert is_problem(ask(alone, b"/plain/x"), 502)
