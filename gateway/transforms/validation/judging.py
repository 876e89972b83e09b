"""What the validations of requests have in common: a body judged, and the refusal of a request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from gateway.errors import Refusal
from gateway.exchange import UpstreamRequest
from gateway.transforms.codec import JSON

if TYPE_CHECKING:
    from gateway.transforms.validation.rules import Rules

#: Most errors that are told of one request.
MOST = 50

#: Where packages of an extra are missing: which, and how they are got.
MISSING = "it needs jsonschema-rs: pip install .[{extra}]"


@dataclass(frozen=True, slots=True)
class Violations:
    """What is wrong with a value. errors: where, as a JSON pointer, and what. more: how many were
    left out."""

    errors: tuple[tuple[str, str], ...]
    more: int = 0


class DeclarationFaults(ValueError):
    """All that is wrong with a schema or a document, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(self.faults))


def has_body(request: UpstreamRequest) -> bool:
    """Whether a body came; a chunked one may turn out to be empty."""
    return request.body is not None and request.body.length != 0


def unsupported(accept: str) -> Refusal:
    """The refusal of a body of another kind than those taken; `Accept` tells which are."""
    return Refusal(
        "The request body is of a media type that is not taken here.",
        status=415,
        slug="unsupported_media_type",
        headers=[("Accept", accept)] if accept else (),
    )


def body_violations(value: JSON, rules: Rules) -> Violations | None:
    """What is wrong with a body; None for nothing. Raises Refusal, 400, for half a surrogate pair:
    every parser makes something else of that, and formats are not checked where one is."""
    try:
        check_text(value)
        return None if rules.valid(value) else rules.violations(value)
    except UnicodeEncodeError:
        raise Refusal(
            "The request body cannot be used: it has half of a surrogate pair.",
            slug="malformed_json",
        ) from None


def check_text(value: JSON) -> None:
    """Raises UnicodeEncodeError where there is half a surrogate pair."""
    try:
        orjson.dumps(value)  # a microsecond for 1 KiB
    except orjson.JSONEncodeError:  # or an integer of more than 64 bits
        json.dumps(value, ensure_ascii=False).encode()


def invalid(what: str, slug: str, errors: Sequence[dict[str, str]], more: int) -> Refusal:
    """The refusal, 400, of a request that is not as its contract says."""
    members: dict[str, Any] = {"errors": list(errors[:MOST])}
    more += max(0, len(errors) - MOST)
    if more:
        members["more"] = more
    return Refusal(f"The {what} does not match its schema.", slug=slug, members=members)
