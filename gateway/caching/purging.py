"""What operators drop: the words they type, read as the stores know what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from flask import Flask

from gateway.caching.keys import ANY_QUERY, KeyOptions, Keys, url_of
from gateway.caching.store import TAG_BYTES, Purge
from gateway.caching.tiers import TieredResponses
from gateway.policies.cache import Cache
from gateway.view_policies import policies_of

#: The prefix of a service, and what its answers differ by.
Options = tuple[str, KeyOptions]

_SCHEMES = ("http://", "https://")


def cache_options(app: Flask) -> list[Options]:
    """The options of all Cache policies of an application: those of services and of their views."""
    gateway = app.extensions["gateway"]
    found: list[tuple[str, Iterable[Any]]] = [
        (prefix, runtime.service.policies)
        for runtime in gateway.runtimes.values()
        for prefix in runtime.service.prefixes
    ]
    for endpoint, route in gateway.routes.items():
        if route.service is not None and (own := policies_of(app.view_functions[endpoint])):
            found += [(prefix, own) for prefix in route.service.prefixes]
    return [(at, one) for at, policies in found for one in policies if isinstance(one, Cache)]


def read_purge(kind: str, text: str, options: Sequence[Options] = ()) -> list[Purge]:
    """What `url`, `path`, `prefix` or `tag` with this text means. One, but of a URL: it means what
    is kept of its path under any query, and several more where policies choose or sort the
    parameters that count.

    URLs may have a scheme and host, which do not matter: what is kept for all of them is dropped.
    What a URL may hold only encoded may be typed as it is. Raises ValueError with the reason.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"{kind} must not be empty")
    if kind == "tag":
        return [Purge("tag", _tag(text))]
    if not text.startswith("/") and not text.lower().startswith(_SCHEMES):
        raise ValueError(f"{kind} must be a URL, or a path from its first slash on")
    url = url_of(_encoded(text))
    path, mark, query = url.partition("?")
    if kind == "prefix":
        return [Purge("prefix", url)]
    if kind == "path":
        if mark:
            raise ValueError("path must have no query: it means all queries of a path")
        return [Purge("path", path)]
    if kind != "url":
        raise ValueError(f"{kind!r} is none of url, path, prefix and tag")
    asked = query if mark else None
    told = [Keys("", one).url(path, asked) for at, one in options if _owns(at, path)]
    return [Purge("url", one) for one in dict.fromkeys([url, *told, path + ANY_QUERY])]


def purge_all(responses: TieredResponses, purges: Iterable[Purge]) -> int:
    """Drop what these name; returns how many keys there were. Raises StoreFault; then some of it
    may be dropped, and doing it again is safe."""
    return sum(responses.purge(purge) for purge in purges)


def _tag(text: str) -> str:
    if len(text.split()) != 1:
        raise ValueError("tag must be one word of Surrogate-Key")
    if len(text.encode("utf-8", "surrogatepass")) > TAG_BYTES:
        raise ValueError(f"tag is longer than {TAG_BYTES} bytes: no answer is kept under it")
    return text


def _encoded(text: str) -> str:
    """What is no printable ASCII as browsers send it: UTF-8, percent-encoded."""
    return "".join(
        one if "!" <= one <= "~" else quote(one.encode("utf-8", "surrogateescape")) for one in text
    )


def _owns(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
