"""What answers are dropped by: their urls, and the tags that backends gave them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from gateway.caching.store import TAG_BYTES, TAGS, Purge

#: Into how many groups paths fall. What is purged by its path stands in the way of answers of the
#: same group that are on their way, and of no others.
GROUPS = 4096


def as_bytes(text: str) -> bytes:
    """A url or tag as stores keep it: whatever the text, and without the NUL that parts names."""
    return text.encode("utf-8", "surrogatepass").replace(b"\0", b"%00")


def kept_tags(tags: Sequence[str]) -> list[bytes]:
    """Those that count, each once."""
    told = dict.fromkeys(as_bytes(tag) for tag in tags if tag)
    return [tag for tag in told if len(tag) <= TAG_BYTES][:TAGS]


def path_of(url: bytes) -> bytes:
    """A url without its query."""
    return url.partition(b"?")[0]


def group_of(url: bytes) -> int:
    """The group its path falls into."""
    return zlib.crc32(path_of(url)) % GROUPS


def is_named(purge: Purge, url: bytes, tags: Sequence[bytes]) -> bool:
    """Whether a purge drops an answer."""
    what = as_bytes(purge.what)
    if purge.kind == "all":
        return True
    if purge.kind == "tag":
        return what in tags
    if purge.kind == "prefix":
        return url.startswith(what)
    return what == (url if purge.kind == "url" else path_of(url))
