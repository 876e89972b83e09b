"""The kinds of words that `flask gateway keys` is given."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ValidationError

from gateway.plan_fields import PlanFields

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
# A hundred years: what is later is a slip.
_LONGEST = 36_525 * 86_400


class _Kind(click.ParamType[Any]):
    """A kind of word, read by a function that raises ValueError with the reason."""

    def __init__(self, name: str, read: Any) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType.convert."""
        if not isinstance(value, str):
            return value  # read before
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _seconds(value: str) -> int:
    match = re.fullmatch(r"(\d{1,10})([smhd]?)", value, re.ASCII)
    seconds = int(match[1]) * _UNITS[match[2]] if match else -1
    if not 0 <= seconds <= _LONGEST:
        raise ValueError("must be a time such as 90d, 24h, 15m or 30s")
    return seconds


def _moment(value: str) -> int:
    """Seconds since the epoch."""
    now = time.time()
    if re.fullmatch(r"\d+[smhd]?", value, re.ASCII):
        moment = now + _seconds(value)
    else:
        try:
            parsed = datetime.fromisoformat(value)
            moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError("must be 90d, 12h, or a date such as 2027-01-31") from None
    if not now < moment <= now + _LONGEST:
        raise ValueError("must be in the future, and in this century")
    return int(moment)


def _word(value: str) -> str:
    """A scope as in RFC 6749 section 3.3, and without the comma that parts them for backends."""
    if not re.fullmatch(r"[!#-+\--\[\]-~]{1,200}", value):
        raise ValueError("must be a word without spaces, commas, quotes and backslashes")
    return value


def _text(value: str) -> str:
    if not (0 < len(value) <= 200 and value.isprintable() and value.strip() == value):
        raise ValueError("must be a line of up to 200 characters")
    return value


def _id(value: str) -> str:
    """With its prefix too; not a whole key, which should stand in no shell's history."""
    if not re.fullmatch(r"(gh_)?[0-9a-z]{12}", value):
        raise ValueError("must be the id of a key, such as gh_4m8q2x7n5k0w")
    return value.removeprefix("gh_")


def _overrides(value: str) -> dict[str, Any]:
    try:
        given = json.loads(value)
        fields = PlanFields.model_validate(given)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(faults)) from None
    except ValueError:
        raise ValueError('must be JSON such as {"rate": "50/second"}') from None
    return fields.model_dump(exclude_unset=True)


SECONDS = _Kind("time", _seconds)
EXPIRES = _Kind("time", _moment)
WORD = _Kind("word", _word)
TEXT = _Kind("text", _text)
ID = _Kind("id", _id)
OVERRIDES = _Kind("json", _overrides)
