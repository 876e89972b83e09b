"""Under which keys answers are kept: for what, and for whom."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol
from urllib.parse import unquote_plus

from gateway.exchange import Asked
from gateway.urls import folded

# Raise it when a key is made of other parts: what was kept before is then under none.
_LAYOUT = 1
#: What purges call the query of answers of which they do not know how it is kept: each purge of a
#: URL drops them. No client's query begins so, and if one did, its answer would only be dropped
#: with them.
ANY_QUERY = "?#"
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_STRAY = re.compile("%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class KeyOptions(Protocol):
    """The options of a policy that say what answers differ by; see policies/cache.py."""

    @property
    def version(self) -> str: ...
    @property
    def vary(self) -> Collection[str]: ...
    @property
    def shared(self) -> bool: ...
    @property
    def cookies(self) -> Collection[str] | None: ...
    @property
    def query(self) -> Collection[str] | None: ...
    @property
    def sort_query(self) -> bool: ...


class Keys:
    """The keys of one service's answers. Each is 16 bytes of a hash, in which every part counts
    with its length: no two requests that differ share one by how their parts are joined.

    listed: whether purges of a URL know these options. Otherwise they drop what is kept of its path
    with whatever query, where the options leave out or sort parameters.
    """

    def __init__(self, service: str, options: KeyOptions, *, listed: bool = True) -> None:
        parts = [str(_LAYOUT), service, options.version]
        # What was kept before answers differed by something else is under no key any more.
        for names in (options.vary, options.cookies, options.query):
            parts.append("" if names is None else repr(sorted(names)))
        parts += [repr(options.shared), repr(options.sort_query)]
        self._base = blake2b(_joined(parts), digest_size=16)
        self._vary = tuple(sorted({name.lower() for name in options.vary}))
        self._shared = options.shared
        self._cookies = None if options.cookies is None else frozenset(options.cookies)
        self._query = None if options.query is None else frozenset(map(folded, options.query))
        self._plain_query = options.query is None and not options.sort_query
        self._sorted = options.sort_query
        self._by_path = not listed and not self._plain_query

    def first(self, asked: Asked) -> tuple[bytes, str] | None:
        """The key of what is asked for, and its url as purges name it: the client's path and the
        parameters that count, as policies in front left them, in normal form. None without a
        requester, and where a field that counts is not at hand."""
        requester = asked.requester
        if requester is None:
            return None
        path, mark, query = asked.target.partition("?")
        url = self.url(requester.target[0], query if mark else None)
        # The path that the backend gets counts as well: a policy may have changed it.
        parts = [requester.origin, requester.way, url, normalised(path), *asked.differs]
        for name in self._vary:
            value = asked.field(name)
            if value is None:
                return None
            parts.append(_value(name, value))
        if not self._shared:
            parts.append(requester.caller(self._cookies))
        made = self._base.copy()
        made.update(_joined(parts))
        return made.digest(), self._named(url)

    def _named(self, url: str) -> str:
        return url.partition("?")[0] + ANY_QUERY if self._by_path else url

    def url(self, path: str, query: str | None) -> str:
        """What purges call a path and query: see `first`."""
        url = normalised(path)
        if query is not None:
            query = normalised(query) if self._plain_query else self._chosen(query)
            if query is not None:
                url = f"{url}?{query}"
        return url

    def variant(self, first: bytes, names: Sequence[str], asked: Asked) -> bytes | None:
        """The key of what the request selects, where answers differ by these fields (in lower
        case). None where one of them is not at hand."""
        parts = []
        for name in names:
            value = asked.field(name)
            if value is None:
                return None
            parts += [name, _value(name, value)]
        return blake2b(first + _joined(parts), digest_size=16).digest()

    def _chosen(self, query: str) -> str | None:
        """The parameters that count, in order if that counts; None if there is none."""
        pairs = [pair for pair in normalised(query).split("&") if pair]
        if self._query is not None:
            pairs = [pair for pair in pairs if not self._query.isdisjoint(_names(pair))]
        if self._sorted:
            pairs.sort(key=_name)  # the values of a repeated one stay in order
        return "&".join(pairs) or None


def path_of(text: str) -> str:
    """The path by which purges name what is at a path or URL, with or without a query."""
    return url_of(text).partition("?")[0]


def url_of(text: str) -> str:
    """A path or URL, with its query, in normal form; without a fragment."""
    absolute = _AUTHORITY.match(text)
    told = (text[absolute.end() :] if absolute else text).partition("#")[0]
    return normalised(told if told.startswith("/") else "/" + told)


def normalised(text: str) -> str:
    """A path or query with each character written in one way only (RFC 3986 section 6.2.2): what
    need not be percent-encoded is not, and what must be is in capitals. As it is, where a `%`
    encodes nothing: `%2%30` would become the `%20` of another."""
    if "%" not in text or _STRAY.search(text):
        return text
    return _ENCODED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _names(pair: str) -> Iterator[str]:
    """What backends of any kind may take for a parameter's name: some part them by a semicolon,
    for others see `folded`. None of them may be had past the key."""
    return (folded(part.partition("=")[0]) for part in pair.split(";"))


def _value(name: str, value: str) -> str:
    """A field's value, written in one way where that is cheap to see (RFC 9111 section 4.1)."""
    if name == "accept-encoding":
        return codings(value)
    if name == "accept-language":
        value = value.lower()  # RFC 5646 section 2.1.1
    if "," not in value:
        return value.strip()
    if '"' in value:
        return value
    return ",".join([member.strip() for member in value.split(",")])


@lru_cache(maxsize=256)
def codings(value: str) -> str:
    """What a client accepts by its `Accept-Encoding`, whatever it likes best: sorted, with the
    refusals that count: that of `identity`, and where anything goes all of them.

    What no one knows counts too: a backend may have used it. This worker remembers 256 values.
    """
    accepted: set[str] = set()
    refused: set[str] = set()
    for member in value.lower().split(","):
        coding, _, parameters = member.partition(";")
        coding = coding.strip().removeprefix("x-")
        weight = parameters.replace(" ", "").removeprefix("q=")
        if coding:
            (refused if weight and not weight.strip("0.") else accepted).add(coding)
    if "*" not in accepted:
        refused &= {"identity", "*"}
    return ",".join([*sorted(accepted), *sorted(f"{coding};q=0" for coding in refused)])


def _joined(parts: Sequence[str]) -> bytes:
    """The parts, each behind its length."""
    return "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")
