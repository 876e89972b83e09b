"""One cookie of a request: its value, and the fields without it (RFC 6265 section 4.2)."""

from __future__ import annotations

import re

from gateway.exchange import Headers

#: What a cookie, or a header field, may be called (RFC 9110 section 5.6.2).
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def cookie_value(headers: Headers, name: str) -> str:
    """The value of the first cookie of that name, empty for none. Browsers send the one with the
    longest path first."""
    for field, value in headers:
        if len(field) == 6 and field.lower() == "cookie" and name in value:
            for pair in value.split(";"):
                key, _, held = pair.partition("=")
                if key.strip() == name:
                    return held.strip()
    return ""


def without_cookie(headers: Headers, name: str) -> Headers:
    """The fields less all cookies of that name, and otherwise byte for byte; the same list if there
    is none."""
    kept: Headers = []
    changed = False
    for field, value in headers:
        if len(field) == 6 and field.lower() == "cookie" and name in value:
            rest = _without(value, name)
            changed = changed or rest != value
            if rest:
                kept.append((field, rest))
        else:
            kept.append((field, value))
    return kept if changed else headers


def _without(value: str, name: str) -> str:
    pairs = value.split(";")
    kept = [pair for pair in pairs if pair.partition("=")[0].strip() != name]
    if len(kept) == len(pairs):
        return value
    rest = ";".join(kept)
    if kept[:1] != pairs[:1]:  # what now comes first had a space before it
        rest = rest.lstrip(" \t")
    return rest if rest.strip("; \t") else ""
