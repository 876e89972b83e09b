"""What a backend hands in, and what partners are sent of it."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from gateway.authentication.strict_json import strict_object
from gateway.errors import Refusal
from gateway.webhook_fields import LONGEST_TYPE, TYPE

#: The longest event as it is handed in, in bytes.
LONGEST = 64 * 1024

_TYPE = re.compile(TYPE)
# No full stop: the signature parts the id from what follows by one.
_ID = re.compile(r"[A-Za-z0-9_\-]{1,100}")
_MEMBERS = frozenset({"type", "data", "id", "partner"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. id: its own for good, as webhooks carry it. partner: who alone is
    told; empty for all who subscribed. data: a JSON object, as text."""

    id: str
    type: str
    data: str = field(repr=False)
    partner: str = ""

    def body(self, moment: int) -> bytes:
        """What partners are sent. moment: when it was handed in, in seconds since the epoch."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
        return f'{{"type":"{self.type}","timestamp":"{when}","data":{self.data}}}'.encode()


class IdTaken(Exception):
    """Another event has this id."""


def read_event(text: bytes) -> Event:
    """An event as a backend wrote it; one without an id gets one. Raises Refusal, 400."""
    try:
        said = strict_object(text)
    except (ValueError, RecursionError):
        raise _refused("The body must be a JSON object in which no member is twice.") from None
    if not {"type", "data"} <= said.keys() <= _MEMBERS:
        raise _refused("The members must be type and data, and may be id and partner.")
    kind = _word(said, "type", _TYPE, "words parted by full stops, such as order.shipped")
    if len(kind) > LONGEST_TYPE:
        raise _refused(f"type must have {LONGEST_TYPE} characters at the most.")
    identifier = f"evt_{secrets.token_hex(16)}"
    if "id" in said:
        identifier = _word(said, "id", _ID, "1 to 100 letters, digits, _ and -")
    partner = said.get("partner", "")
    if not isinstance(partner, str) or ("partner" in said and not partner):
        raise _refused("partner must be the name of one.")
    return Event(identifier, kind, _data(said["data"]), partner)


def _word(said: dict[str, Any], name: str, form: re.Pattern[str], words: str) -> str:
    value = said[name]
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _refused(f"{name} must be {words}.")
    return value


def _data(value: object) -> str:
    if not isinstance(value, dict):
        raise _refused("data must be an object.")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except ValueError:  # half of a surrogate pair, or a number beyond all that can be told
        raise _refused("data has a text or a number that cannot be sent on.") from None
    return text


def _refused(detail: str) -> Refusal:
    return Refusal(detail, slug="event_unclear")
