"""Changing the JSON bodies of requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from gateway.bodies import BytesBody
from gateway.errors import Refusal
from gateway.exchange import Headers, UpstreamRequest
from gateway.transforms.codec import dumps
from gateway.transforms.json_bodies import Taken, request_json
from gateway.transforms.json_options import JSONOptions
from gateway.transforms.media import in_utf8

#: What is said of the bytes that came, and not of those that go on, in lower case. Signatures
#: (RFC 9421) cover one of the others.
OF_BYTES = frozenset(
    {"content-encoding", "content-md5", "digest", "content-digest", "repr-digest"}
    | {"signature", "signature-input"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestJSON(JSONOptions):
    """Changes the JSON body of a request before it goes on. Reads all of it into memory: at most
    `max_bytes`, 1 MiB by default, until the request's deadline.

    strict: refuse another body than JSON with 415. Otherwise it passes as it is, and a backend that
        takes JSON whatever it is called gets what `deny` was to keep away.

    The options are worked off in this order: deny, allow, rename, move, defaults, drop_nulls,
    group, unwrap, wrap; see JSONOptions. Where a name is taken, what was to come there stays where
    it was. Numbers, the order of members and lone surrogates are not changed.

    What goes on is UTF-8 without a Content-Encoding; digests and signatures of what came are
    dropped. It can be sent again whatever its size. Refused is a body that is malformed, nested
    deeper than 128, or has a name twice in an object (400 `malformed_json`), too large (413), in
    another coding than gzip and deflate, or in an unusual charset (415).
    """

    per: ClassVar[str] = "request"

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See Transform. Raises Refusal, and what the body raises."""
        taken = request_json(request, self.max_bytes)
        if taken is None:
            if self.strict and request.body is not None and request.body.length != 0:
                raise Refusal(
                    "The request body must be JSON.",
                    status=415,
                    slug="unsupported_media_type",
                    headers=[("Accept", "application/json")],
                )
            return request
        if not taken.raw:  # there was none after all
            return replace(request, body=BytesBody(b""))
        body = BytesBody(dumps(self.changed(taken.value)))
        return replace(request, headers=_fields(request.headers, taken), body=body)


def _fields(fields: Headers, taken: Taken) -> Headers:
    """The fields of a body that was written anew; its length is the transport's to tell."""
    kept = [field for field in fields if field[0].lower() not in OF_BYTES]
    told = in_utf8(taken.content_type)
    if told == taken.content_type:
        return kept
    return [(name, told if name.lower() == "content-type" else value) for name, value in kept]
