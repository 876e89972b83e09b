"""What an unsafe request makes invalid, when it succeeds (RFC 9111 section 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import urljoin

from gateway.caching.keys import path_of
from gateway.caching.store import Purge, StoreFault
from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.urls import client_path

#: Methods that change nothing (RFC 9110 section 9.2.1). Of one that is not known nobody can tell.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_LOCATED = frozenset({"location", "content-location"})


def invalidate(
    purge: Callable[[Purge], int],
    request: UpstreamRequest,
    response: UpstreamResponse,
    prefixes: Sequence[str] = (),
) -> None:
    """Drop what is kept of the paths that a request has changed, if it has changed any: below each
    of these prefixes, where there are several for the same, as versions have. Where the store
    cannot be used, that is done when it can be."""
    if request.method in SAFE or not 200 <= response.status < 400:
        return
    paths = changed_paths(request, response)
    if len(prefixes) > 1:
        paths = {one for path in paths for one in _everywhere(path, prefixes)}
    for path in paths:
        with suppress(StoreFault):  # each is made up for when the store is back
            purge(Purge("path", path))


def changed_paths(request: UpstreamRequest, response: UpstreamResponse) -> set[str]:
    """The client's paths of what was asked for, and of what the answer names, at the gateway or at
    the same upstream. In normal form. Empty for a request that no client sent."""
    requester = request.requester
    if requester is None:
        return set()
    own = requester.target[0]
    found = {path_of(own)}
    for name, value in response.headers:
        if name.lower() in _LOCATED:
            path = _named(value.strip(), own, requester.origin, request, response)
            if path is not None:
                found.add(path_of(path))
    return found


def _everywhere(path: str, prefixes: Sequence[str]) -> Iterator[str]:
    """A path, and what it is below the other prefixes, if it is below one of them."""
    yield path
    below = [one for one in map(path_of, prefixes) if f"{path}/".startswith(f"{one}/")]
    if below:
        rest = path[len(max(below, key=len)) :]
        yield from (path_of(f"{one}{rest}") for one in prefixes)


def _named(
    value: str, own: str, origin: str, request: UpstreamRequest, response: UpstreamResponse
) -> str | None:
    """The client's path of what an answer names; None if it is elsewhere."""
    asked = request.target.partition("?")[0]
    path = None if value.startswith("/") else client_path(value, origin, "", "")
    if path is not None:  # in the gateway's own words
        return path
    try:
        url = urljoin(f"{response.origin}{response.base}{asked}", value)
    except ValueError:
        return None
    return client_path(url, response.origin, response.base, *_exchanged(own, asked))


def _exchanged(own: str, asked: str) -> tuple[str, str]:
    """The prefix of a client's path that was taken, and what was put in its place."""
    if asked == "/" and not own.endswith("/"):
        return own, ""
    theirs, ours = own.split("/"), asked.split("/")
    while len(theirs) > 1 and len(ours) > 1 and theirs[-1] == ours[-1]:
        theirs.pop()
        ours.pop()
    return "/".join(theirs), "/".join(ours)
