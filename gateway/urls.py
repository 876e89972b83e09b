"""Request targets as bytes on the wire: read raw, checked, joined, never decoded on the way."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, unquote_to_bytes

from gateway.errors import Refusal

_ABSOLUTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
# Cheap sieve: a path without any of these needs no closer look.
_SUSPECT = re.compile(r"\.(?:/|$|;)|//|[\\#\x00-\x20\x7f-\U0010ffff]|%(?:2[EeFf]|5[Cc]|00)|/\.")
_FORBIDDEN = re.compile(r"//|[\\#\x00-\x20\x7f-\U0010ffff]|%(?:5[Cc]|00)")
_ENCODED_SLASH = re.compile(r"%2[Ff]")
_ENCODED_DOT = re.compile(r"%2[Ee]")
_BRACKETS, _MARKS = re.compile(r"[\[\]]"), re.compile(r"[\W_]+")


#: Where a request's target is remembered, once it was looked at.
_TARGET = "gateway.target"


def raw_target(environ: dict[str, object]) -> tuple[str, str | None]:
    """The path and query as the client sent them; the query is None without a `?`.

    gunicorn keeps the target in RAW_URI. An absolute-form target (RFC 9112 section 3.2.2) loses
    its scheme and authority: they never choose the upstream. A server that keeps no raw target
    gets its decoded path encoded again, which is the best that can be had there. Once it was
    looked at, it stays as it was.
    """
    known = environ.get(_TARGET)
    if known is not None:
        return known  # type: ignore[return-value]  # of our own making
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not isinstance(raw, str) or not raw:
        path = quote(str(environ.get("PATH_INFO", "")).encode("latin-1"), safe="/;=,:@!$&'()*+~")
        query = str(environ.get("QUERY_STRING", ""))
        return _noted(environ, path if path.startswith("/") else "/" + path, query or None)
    if raw[0] != "/":
        raw = _ABSOLUTE.sub("", raw, count=1)
        if raw[:1] != "/":
            raw = "/" + raw
    path, mark, query = raw.partition("?")
    return _noted(environ, path, query if mark else None)


def _noted(environ: dict[str, object], path: str, query: str | None) -> tuple[str, str | None]:
    environ[_TARGET] = (path, query)
    return path, query


def target_host(environ: dict[str, Any]) -> str | None:
    """The authority of an absolute-form target, which overrides `Host` (RFC 9112, 3.2.2)."""
    raw = environ.get("RAW_URI", "/")
    if raw[:1] == "/":
        return None
    match = _ABSOLUTE.match(raw)
    return match[0].partition("://")[2] if match else None


def check_path(path: str, *, encoded_slashes: bool = False) -> None:
    """Refuse a path that routing and the upstream could read differently.

    That is: dot segments, also encoded or with path parameters (`..;x`); empty segments; a
    backslash, NUL or slash in encoded form; a raw backslash, control or fragment mark. With
    `encoded_slashes`, `%2F` passes, but still parts segments when dots are looked for.
    """
    if not _SUSPECT.search(path):
        return
    plain = path
    if encoded_slashes:
        plain = _ENCODED_SLASH.sub("/", plain)
    elif _ENCODED_SLASH.search(path):
        raise _refused("an encoded slash")
    if _FORBIDDEN.search(path):
        raise _refused("an empty segment, a backslash or a control character")
    for segment in _ENCODED_DOT.sub(".", plain).split("/"):
        if segment.partition(";")[0] in (".", ".."):
            raise _refused("a dot segment")


def check_routed(path: str, environ: dict[str, Any]) -> None:
    """Refuse a target that the server decoded to another path than the one that is forwarded,
    such as `http:/x`, which is neither in origin-form nor in absolute-form."""
    routed = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") or "/"
    if path != routed and unquote_to_bytes(path).decode("latin-1") != routed:
        raise Refusal("The request target is malformed.")


def _refused(what: str) -> Refusal:
    return Refusal(f"The path has {what}.", slug="ambiguous_path")


def strip_prefix(path: str, prefix: str, put: str = "") -> str:
    """The raw path less `prefix` ("/a/b"), with `put` in its place; what comes of it begins with a
    slash.

    The prefix may have been sent percent-encoded, so it is compared segment by segment; a path
    whose raw segments do not line up with the prefix is refused.
    """
    if not prefix:
        return put + path if put else path
    if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
        return put + path[len(prefix) :] or "/"
    wanted = prefix.split("/")
    segments = path.split("/")
    if [unquote(segment) for segment in segments[: len(wanted)]] != wanted:
        raise _refused("an encoded slash in its prefix")
    return "/".join([put, *segments[len(wanted) :]]) or "/"


def join(base_path: str, path: str, query: str | None) -> str:
    """The request-target at an upstream: its base path and the path, joined by one slash."""
    if base_path:
        path = base_path + path if path[:1] == "/" else f"{base_path}/{path}"
    return path if query is None else f"{path}?{query}"


def client_path(value: str, origin: str, base: str, strip: str, put: str = "") -> str | None:
    """The path, and what follows it, by which clients know what an upstream calls `value`: a URL
    or an absolute path. None if it points elsewhere, or is relative.

    origin, base: the scheme and authority of the upstream, and the path there. strip: the prefix
    that was taken from the client's path; it is put back, in place of `put` where that was put.
    """
    path = _own_path(value, origin)
    if path is None:
        return None
    if base and _below(path, base):
        path = path[len(base) :]
        path = path if path.startswith("/") else "/" + path
    if put:
        if not _below(path, put):
            return path
        found = strip + path[len(put) :]
        return found if found.startswith("/") else "/" + found
    return strip + path if strip and not _below(path, strip) else path


def _below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/", "?", "#")


def _own_path(value: str, origin: str) -> str | None:
    """What follows the upstream's origin in `value`; None if it points elsewhere."""
    if value.startswith("/") and not value.startswith("//"):
        return value
    default = ":443" if origin.startswith("https:") else ":80"
    for known in (origin, origin + default):
        rest = value[len(known) :]
        if value[: len(known)].lower() == known.lower() and rest[:1] in ("", "/", "?", "#"):
            return rest if rest.startswith("/") else "/" + rest
    return None


@lru_cache(maxsize=1024)
def folded(name: str) -> str:
    """The name of a cookie or parameter as the laxest of backends reads it: PHP takes ` a.b` for
    `a_b` and nothing behind a NUL, Rack and qs take `[a]` for `a`, ASP.NET any case. What is read
    as one is one here; so is more than that."""
    word = unquote_plus(name).partition("\0")[0].lower()
    word = next(filter(None, _BRACKETS.split(word)), "")
    return _MARKS.sub("_", word).strip("_")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an upstream instance listens: scheme, host, port, and a base path without last slash.

    >>> Origin.parse("http://orders.internal:8080/v1/").base_path
    '/v1'
    """

    scheme: str
    host: str
    port: int
    base_path: str
    authority: str

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read `http(s)://host[:port][/base]`; ValueError says what is wrong with it."""
        match = re.fullmatch(
            r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::(\d{1,5}))?(/[^?#\s]*)?", url
        )
        if match is None:
            raise ValueError("must be http(s)://host[:port][/path], without user, query, fragment")
        scheme, host, digits, base = match.groups()
        default = 443 if scheme == "https" else 80
        port = int(digits) if digits else default
        if not 0 < port < 65536:
            raise ValueError(f"has no port {port}")
        authority = host if port == default else f"{host}:{port}"
        return cls(scheme, host.strip("[]"), port, (base or "").rstrip("/"), authority)

    @property
    def url(self) -> str:
        """Scheme and authority, as in a Location header."""
        return f"{self.scheme}://{self.authority}"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, so that nothing passes a network."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
