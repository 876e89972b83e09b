"""Changing the JSON bodies of answers."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from gateway.content_codings import acceptable
from gateway.exchange import Headers, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext
from gateway.response_bodies import StaticBody
from gateway.transforms.codec import dumps
from gateway.transforms.json_bodies import response_json, types_of
from gateway.transforms.json_options import JSONOptions
from gateway.transforms.media import in_utf8, is_json
from gateway.transforms.reading import unusable
from gateway.transforms.request_json import OF_BYTES

# Not sent on: a part of what the backend has is no part of what the client gets.
_PARTIAL = frozenset({"range", "if-range"})
# Of the bytes as they came, and of parts of them.
_DROPPED = OF_BYTES | {"content-length", "transfer-encoding", "trailer", "accept-ranges"}
_OF_CONTENT = _DROPPED | {"etag"}
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_PARTS = "multipart/byteranges"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseJSON(JSONOptions):
    """Changes the JSON body of an answer before it goes back, of any status. Reads all of it into
    memory: at most `max_bytes`, 1 MiB by default, and for as long again as a response head may
    take (`Timeouts.total`).

    statuses: those whose bodies are changed; None: all. Others pass as they are.
    strict: another body than JSON is no use, 502. Otherwise it passes as it is, neither read nor
        changed, and a backend that says something else than usual says what `deny` was to keep
        back. What has no content passes: 204, 304, answers to HEAD, and empty ones.

    The options are worked off in this order: deny, allow, rename, move, defaults, drop_nulls,
    group, unwrap, wrap; see JSONOptions. Where a name is taken, what was to come there stays where
    it was. Numbers, the order of members and lone surrogates are not changed; of a name that an
    object has twice, the last counts.

    What goes back is UTF-8 without a Content-Encoding, with a Content-Length of its own. `ETag` is
    made weak, also on 304; in `If-Match` it is made strong again, or a backend would refuse what
    is as it was. Digests and signatures are dropped, and so is `Accept-Ranges`: `Range` and
    `If-Range` are not sent on, for any content. Backends are asked for no other coding than gzip
    and deflate.

    What cannot be changed is never passed on as it is: 502 for JSON that is malformed, too large,
    in an unknown coding or only a part (206), 504 for what does not come in time. An answer of that
    kind counts as the backend's failure for what stands before this policy in the list.
    """

    statuses: Collection[int] | None = None

    per: ClassVar[str] = "either"

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See Transform: all of an answer, in a coding that is known."""
        return replace(request, headers=_asked(request.headers))

    def returned(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        """See Transform. Raises UnusableAnswer, BodyFailed and ClientGone."""
        types = types_of(response.headers)
        if response.status == 304 and any(map(is_json, types)) and self._concerns(200):
            return _with(response, _fields(response.headers))  # a cache writes it over its own
        if response.status == 304:
            return _with(response, _not_modified(response.headers))
        if response.status == 206 and any(map(_is_part, types)):
            raise unusable(response, "it is a part, which was not asked for")
        concerned = self._concerns(response.status)
        if not concerned or not any(map(is_json, types)):
            if concerned and self.strict and request.method != "HEAD":
                response = _without_content(response)
            return _with(response, _without_ranges(response.headers))
        if request.method == "HEAD":
            return _with(response, _fields(response.headers))
        return self._changed(request, response)

    def _concerns(self, status: int) -> bool:
        if status == 204:  # it has no content, whatever was sent; a 205 may have some
            return False
        return self.statuses is None or status in self.statuses

    def _changed(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        taken = response_json(request, response, self.max_bytes)
        if not taken.raw:
            return replace(response, body=StaticBody(b""))
        data = dumps(self.changed(taken.value))
        fields = [*_fields(response.headers), ("Content-Length", str(len(data)))]
        return replace(response, headers=fields, body=StaticBody(data))

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = JSONOptions.faults(self, context)
        if self.statuses is not None and not _are_statuses(self.statuses):
            found.append("statuses must be a collection, from 200 to 599, or None for all")
        return found


def _without_content(response: UpstreamResponse) -> UpstreamResponse:
    """An answer whose content is empty; waited for, and raises UnusableAnswer, where it is not."""
    try:
        if any(response.body):
            raise unusable(response, "it is not JSON")
    finally:
        response.body.close()
    return replace(response, body=StaticBody(b""))


def _are_statuses(given: object) -> bool:
    if not isinstance(given, Collection):
        return False
    return all(isinstance(one, int) and 200 <= one <= 599 for one in given)


def _asked(fields: Headers) -> Headers:
    """A request's fields as an answer is asked for that is to be changed."""
    kept: Headers = []
    codings: list[str] = []
    for name, value in fields:
        lower = name.lower()
        if lower == "accept-encoding":
            codings.append(value)
        elif lower == "if-match":
            kept.append((name, _TAG.sub(r"\1", value)))
        elif lower not in _PARTIAL:
            kept.append((name, value))
    kept.append(("Accept-Encoding", acceptable(",".join(codings))))
    return kept


def _is_part(content_type: str) -> bool:
    return is_json(content_type) or content_type.lower().startswith(_PARTS)


def _with(response: UpstreamResponse, fields: Headers) -> UpstreamResponse:
    return response if fields is response.headers else replace(response, headers=fields)


def _without_ranges(fields: Headers) -> Headers:
    if not any(name.lower() == "accept-ranges" for name, _ in fields):
        return fields
    return [field for field in fields if field[0].lower() != "accept-ranges"]


def _not_modified(fields: Headers) -> Headers:
    """The fields of a 304: what it is about may have been changed by us."""
    if _OF_CONTENT.isdisjoint([name.lower() for name, _ in fields]):
        return fields
    return [_weak(field) for field in fields if field[0].lower() not in _DROPPED]


def _fields(fields: Headers) -> Headers:
    """The fields of an answer whose body was written anew, but for its length."""
    kept = (_weak(field) for field in fields if field[0].lower() not in _DROPPED)
    return [
        (name, in_utf8(value) if name.lower() == "content-type" else value) for name, value in kept
    ]


def _weak(field: tuple[str, str]) -> tuple[str, str]:
    """A field; a tag of the very bytes becomes one of what they mean (RFC 9110 section 8.8.1)."""
    name, value = field
    if name.lower() != "etag" or value.startswith("W/"):
        return field
    return name, f"W/{value}"
