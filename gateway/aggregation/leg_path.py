"""The path of a leg: what a view wrote, and what stands in its places, percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from gateway.errors import Refusal
from gateway.urls import check_path

_PLACE = re.compile(r"\{([^{}/]*)\}")
_PLAIN = "/;=,:@!$&'()*+~"


class UnusablePath(Refusal):
    """A leg's path that no client may ask for, made of what one said, or a backend."""

    slug = "ambiguous_path"


def leg_path(path: str, values: Mapping[str, object], *, encoded_slashes: bool) -> str:
    """The path, percent-encoded, with these values in the places `{name}` that it has for them;
    without any it has none, and is taken as it is.

    A value is a part of one segment: nothing in it parts segments, or begins a query. With
    `encoded_slashes` it may have slashes, which are encoded. Raises UnusablePath (400), without
    what was said, for what leads elsewhere; ValueError and TypeError for what no client can help.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is text, not {path!r}")
    made = _filled(path, values, encoded_slashes) if values else _quoted(path, _PLAIN)
    if not made.strip("/"):
        return ""
    if made[0] != "/":
        made = "/" + made
    try:
        # Some backends look for parameters in what is decoded already.
        check_path(made.replace("%3B", ";"), encoded_slashes=encoded_slashes)
    except Refusal as refused:
        why = str(refused.description)
        raise UnusablePath(
            f"A part of the answer cannot be asked for: {why[:1].lower()}{why[1:]}"
        ) from None
    return made


def _filled(path: str, values: Mapping[str, object], slashes: bool) -> str:
    pieces = _PLACE.split(path)  # what is between places, and their names, by turns
    names = pieces[1::2]
    if unknown := values.keys() - set(names):
        raise TypeError(f"neither an option nor a place in the path {path!r}: {sorted(unknown)}")
    if missing := set(names) - values.keys():
        raise ValueError(f"nothing is given for {sorted(missing)} in the path {path!r}")
    pieces[::2] = [_quoted(piece, _PLAIN) for piece in pieces[::2]]
    pieces[1::2] = [_part(name, values[name], slashes) for name in names]
    return "".join(pieces)


def _part(name: str, value: object, slashes: bool) -> str:
    text = "" if value is None else str(value)
    segments = text.split("/")
    dots = any(segment.partition(";")[0] in (".", "..") for segment in segments)
    if not text or dots or "\\" in text or "\0" in text or (len(segments) > 1 and not slashes):
        raise UnusablePath(
            f"{name!r} cannot be part of a path: it is empty or a dot segment, or has a slash, a"
            " backslash or NUL."
        )
    return _quoted(text, "")


def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="surrogatepass")
