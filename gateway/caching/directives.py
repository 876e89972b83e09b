"""What `Cache-Control` and its kin say: names, arguments, seconds and dates, read from text."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.exchange import Headers

#: The largest number of seconds; what is larger is this (RFC 9111 section 1.2.2).
MOST_SECONDS = float(2**31)

#: Fields instead of Cache-Control for caches such as this one, the first that can be read counts
#: (RFC 9213). The second is the older name, of the Edge Architecture.
TARGETED = ("cdn-cache-control", "surrogate-control")

# Of two that differ, the smaller one counts: they say for how long something may be used.
_LENGTHS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})

_MARK = re.compile(r'[,"]')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_ESCAPED = re.compile(r"\\(.)")


def cache_control(values: Iterable[str]) -> dict[str, str]:
    """The directives of all lines of a field, by their names in lower case (RFC 9111 section 5.2).

    An argument is given as it means, without quotes; one that is missing is empty. Of directives
    that are there twice the first counts, and of lengths of time the smaller one (section 4.2.1);
    there, what is no number is the smallest.
    """
    found: dict[str, str] = {}
    for value in values:
        for member in _members(value):
            name, _, argument = member.partition("=")
            name, argument = name.strip().lower(), _unquoted(argument.strip())
            if not name:
                continue
            if name not in found or (name in _LENGTHS and _shorter(argument, found[name])):
                found[name] = argument
    return found


def _members(value: str) -> list[str]:
    """The members of a list. Commas in quotes part nothing, but a quote without an end hides
    nothing."""
    if '"' not in value:
        return value.split(",")
    found: list[str] = []
    begin = place = 0
    while (mark := _MARK.search(value, place)) is not None:
        place = mark.end()
        if mark[0] == ",":
            found.append(value[begin : mark.start()])
            begin = place
            continue
        quoted = _QUOTED.match(value, mark.start())
        if quoted is None:
            break
        place = quoted.end()
    return found + value[begin:].split(",") if mark else [*found, value[begin:]]


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == '"' == text[-1]:
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text


def _shorter(one: str, other: str) -> bool:
    return (seconds(one) or 0.0) < (seconds(other) or 0.0)


def seconds(text: str) -> float | None:
    """A number of seconds, MOST_SECONDS at most; None for what is no whole number from 0
    (RFC 9111 section 1.2.2)."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return min(float(text), MOST_SECONDS) if len(text) < 20 else MOST_SECONDS


# -- RFC 9213: structured fields (RFC 9651) -------------------------------------------------------

_KEY = r"[a-z*][a-z0-9_.*-]*"
_ITEM = (
    r"(?:-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}(?![0-9.])"
    r'|"(?:[ !\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    r"|[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"
    r"|:[A-Za-z0-9+/=]*:|\?[01]|@-?[0-9]{1,15}"
    r'|%"[ !\x23-\x7e]*")'
)
_PARAMETERS = rf"(?:; *{_KEY}(?:={_ITEM})?)*"
_INNER = rf"\( *(?:{_ITEM}{_PARAMETERS}(?: +{_ITEM}{_PARAMETERS})* *)?\)"
_PAIR = re.compile(rf"({_KEY})(?:=({_ITEM}|{_INNER}))?({_PARAMETERS})[ \t]*(,[ \t]*|\Z)")


def targeted(headers: Headers) -> dict[str, str] | None:
    """The directives of the field that is meant for this cache; None if there is none that can be
    read (RFC 9213 section 2.2): then Cache-Control and Expires count, otherwise they do not.

    Arguments are as written: what is no bare number is none (section 2.1). A member of
    Surrogate-Control with a parameter is meant for another cache, by its name.
    """
    for field in TARGETED:
        values = [value for name, value in headers if name.lower() == field]
        if values:
            found = _dictionary(", ".join(values), own_only=field == TARGETED[1])
            if found is not None:
                return found
    return None


def _dictionary(text: str, *, own_only: bool) -> dict[str, str] | None:
    """The members of a structured dictionary, the last of each name counting, without those that
    say no. None if it is empty, or cannot be read."""
    text = text.strip(" ")
    found: dict[str, str] = {}
    place = meant = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None or (pair[4] and pair.end() == len(text)):  # nothing behind a comma
            return None
        name, item, parameters, _ = pair.groups()
        place = pair.end()
        if own_only and parameters:
            continue
        meant += 1
        found.pop(name, None)
        if item != "?0":
            found[name] = "" if item is None or item == "?1" else item
    return found if meant else None


# -- RFC 9110 section 5.6.7: dates ----------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_DATES = (
    re.compile(
        rf"{_DAY}, (?P<day>[0-9]{{2}}) (?P<month>[a-z]{{3}}) (?P<year>[0-9]{{4}}) {_TIME} gmt"
    ),
    re.compile(
        rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-(?P<month>[a-z]{{3}})-(?P<year>[0-9]{{2}}) {_TIME} gmt"
    ),
    re.compile(rf"{_DAY} (?P<month>[a-z]{{3}}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def http_date(text: str, now: float | None = None) -> float | None:
    """The wall time that a date in one of HTTP's three forms means; None if it is none.

    Names count in any case, and zones other than GMT are none (RFC 9111 section 4.2). now: what a
    year of two digits is counted from; None: the clock.
    """
    text = text.strip().lower()
    for form in _DATES:
        found = form.fullmatch(text)
        if found is not None:
            return _moment(found, now)
    return None


def _moment(found: re.Match[str], now: float | None) -> float | None:
    day, year, month = int(found["day"]), int(found["year"]), found["month"]
    if month not in _MONTHS:
        return None
    if len(found["year"]) == 2:
        year = _full_year(year, time.time() if now is None else now)
    second = int(found["second"])
    try:
        # A leap second has no place of its own in a wall time.
        at = datetime(
            year,
            _MONTHS.index(month) + 1,
            day,
            int(found["hour"]),
            int(found["minute"]),
            59 if second == 60 else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return at.timestamp()


def _full_year(year: int, now: float) -> int:
    """The year with these last digits that is not more than 50 years ahead."""
    this = datetime.fromtimestamp(now, UTC).year
    full = this - this % 100 + year
    return full - 100 if full > this + 50 else full
