"""JSON bodies taken in: what is JSON, read whole and decoded. Used by all that look inside."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.content_codings import ContentError, decoded
from gateway.errors import Refusal
from gateway.exchange import Headers, UpstreamRequest, UpstreamResponse
from gateway.transforms.codec import JSON, loads
from gateway.transforms.media import is_json, text_of
from gateway.transforms.reading import read_request, read_response, unusable


@dataclass(frozen=True, slots=True)
class Taken:
    """A body taken in. raw: as it came, to be sent on in its place. content_type: of the body.
    value: what it says; None if `raw` is empty, which is not JSON."""

    raw: bytes
    content_type: str
    value: JSON


def request_json(request: UpstreamRequest, limit: int, *, exact: bool = True) -> Taken | None:
    """A request's JSON body; None if it has no body, or another than JSON, of which nothing is read
    then. limit: its most bytes, as it came and decoded. exact: see `loads`.

    Raises Refusal: 400 for one that is malformed, has a name twice in an object, or whose type is
    told twice; 413 for one that is too large; 415 for a coding or charset that is not known. And
    what the body raises.
    """
    if request.body is None:
        return None
    types = values_of(request.headers, "content-type")
    if not any(map(is_json, types)):
        return None
    if len(types) > 1:  # a backend might go by the other one
        raise Refusal("The request has more than one Content-Type.", slug="two_content_types")
    raw = read_request(request, limit)
    if not raw:
        return Taken(raw, types[0], None)
    try:
        value = _value(raw, request.headers, types[0], limit, unique=True, exact=exact)
        return Taken(raw, types[0], value)
    except ContentError as error:
        detail = f"The request body cannot be used: {error}."
        raise Refusal(detail, status=error.status, slug=error.slug, headers=error.fields) from None


def response_json(request: UpstreamRequest, response: UpstreamResponse, limit: int) -> Taken:
    """The body of an answer that says it is JSON; the answer is closed. limit: its most bytes, as
    it came and decoded. Raises UnusableAnswer, and as `read_response` does."""
    raw = read_response(request, response, limit)
    content_type = next(filter(is_json, types_of(response.headers)), "")
    if not raw:
        return Taken(raw, content_type, None)
    try:
        value = _value(raw, response.headers, content_type, limit, unique=False)
    except ContentError as error:
        raise unusable(response, f"its body is {error}", reason=error.reason) from None
    return Taken(raw, content_type, value)


def _value(
    raw: bytes,
    fields: Headers,
    content_type: str,
    limit: int,
    *,
    unique: bool,
    exact: bool = True,
) -> JSON:
    codings = values_of(fields, "content-encoding")
    data = decoded(raw, ",".join(codings), limit) if codings else raw
    return loads(text_of(data, content_type), unique=unique, exact=exact)


def types_of(fields: Headers) -> list[str]:
    """What an answer says to be, also where somebody joined two fields: clients take any of it."""
    return [one for value in values_of(fields, "content-type") for one in value.split(",")]


def values_of(fields: Headers, name: str) -> list[str]:
    """All values of a field, in order. name: in lower case."""
    return [value for given, value in fields if given.lower() == name]
