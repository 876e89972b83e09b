"""What clients are told of the version that answered, beside the answer.

`API-Version` names it. `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) are the declaration's, in
place of the upstream's; `Link` to what to do about it, and `Vary`, are added to the upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from gateway.versions.declaring import Moment, Version

Fields = tuple[tuple[str, str], ...]

#: What names the version that answered.
ANSWERED = "API-Version"


def moment(value: Moment) -> datetime:
    """A date, time or ISO 8601 text as a time of UTC, to the second. What names no zone is of UTC;
    a date means its first second. Raises ValueError or TypeError."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    elif not isinstance(value, datetime):
        if not isinstance(value, date):
            raise TypeError(f"{value!r} is no date")
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return value.astimezone(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Notice:
    """The fields of every answer of a version, in one of the ways to ask for it. replacing: instead
    of the upstream's of these names. added: beside the upstream's."""

    replacing: Fields
    added: Fields

    @classmethod
    def of(cls, version: Version, vary: Sequence[str]) -> Notice:
        """vary: the request fields that might have chosen another version."""
        replacing = [(ANSWERED, version.label)]
        added = []
        if version.deprecated is not None:
            at = int(moment(version.deprecated).timestamp())
            replacing.append(("Deprecation", f"@{at}"))
            if version.link:
                added.append(("Link", f'<{version.link}>; rel="deprecation"'))
        if version.sunset is not None:
            replacing.append(("Sunset", format_datetime(moment(version.sunset), usegmt=True)))
            if version.link:
                added.append(("Link", f'<{version.link}>; rel="sunset"'))
        return cls(tuple(replacing), (*added, *varying(vary)))

    def tell(self, headers: Headers) -> None:
        """Write the fields of an answer."""
        for name, value in self.replacing:
            headers[name] = value
        for name, value in self.added:
            headers.add(name, value)


def varying(names: Sequence[str]) -> Fields:
    """The field that tells caches which request fields might have chosen otherwise, if any."""
    return (("Vary", ", ".join(names)),) if names else ()
