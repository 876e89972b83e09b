"""Requests whose JSON body must be as a schema says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from gateway.bodies import BytesBody
from gateway.errors import Refusal
from gateway.exchange import UpstreamRequest
from gateway.policy import PolicyContext
from gateway.transforms.json_bodies import request_json, values_of
from gateway.transforms.media import is_json
from gateway.transforms.reading import MAX_BYTES
from gateway.transforms.transform import Transform
from gateway.transforms.validation.documents import DocumentFault, Documents, Given
from gateway.transforms.validation.judging import (
    MISSING,
    DeclarationFaults,
    body_violations,
    has_body,
    invalid,
    unsupported,
)
from gateway.transforms.validation.media_ranges import JSON, MediaRanges, is_range
from gateway.transforms.validation.references import Reached

if TYPE_CHECKING:
    from gateway.transforms.validation.rules import Rules


@dataclass(frozen=True, slots=True)
class JSONSchema(Transform):
    """Refuses requests whose JSON body is not as a schema says. Reads all of the body into memory:
    at most `max_bytes`, until the request's deadline.

    body: the schema, a dict or the path of a .json or .yaml file, relative to the working
        directory. Draft 2020-12, unless its `$schema` names 2019-09, 7, 6 or 4. What it refers to
        lies in it or in files in its folder: nothing is fetched. Formats are checked.
    methods: those whose bodies are looked at; requests with another pass as they are.
    content_types: what a body may be, all of them JSON; ranges such as `application/*+json`.
    max_bytes: most bytes of a body, as it came and decoded. 1 MiB.
    required: whether there must be a body.

    What passes goes on byte for byte, and can be sent again. Refused is a body that is not there
    (400 `missing_body`), of another type (415), too large (413), malformed (400 `malformed_json`,
    which is also a name that is there twice in an object), or not as the schema says: 400
    `invalid_body`, whose member `errors` lists where, as JSON pointers, and what. It has at most 50
    of them, and `more` is the number of the others found.

    Needs jsonschema-rs: `pip install .[schema]`.
    """

    body: Given = field(repr=False)
    methods: Collection[str] = ("POST", "PUT", "PATCH")
    content_types: Collection[str] = JSON
    max_bytes: int = MAX_BYTES
    required: bool = True
    _ready: list[_Ready] = field(default_factory=list, init=False, repr=False, compare=False)

    per: ClassVar[str] = "request"

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options and the schema."""
        found = []
        if isinstance(self.methods, str) or not self.methods:
            found.append("methods must be a collection of methods")
        types = self.content_types
        if isinstance(types, str) or not types or not all(map(is_range, types)):
            found.append("content_types must be a collection of media types")
        elif strange := [one for one in types if not is_json(one)]:
            found.append(f"content_types: {', '.join(strange)} is not JSON")
        if type(self.max_bytes) is not int or self.max_bytes < 1:
            found.append(f"max_bytes={self.max_bytes!r} must be 1 or more")
        if self.required not in (True, False):
            found.append(f"required={self.required!r} must be True or False")
        try:
            if found:
                _rules(self.body)
            else:
                self._made()
        except DeclarationFaults as error:
            found += [f"body: {fault}" for fault in error.faults]
        return found

    def _made(self) -> _Ready:
        """What is made of the options, once. Raises DeclarationFaults."""
        if not self._ready:
            methods = frozenset(method.upper() for method in self.methods)
            self._ready.append(_Ready(methods, MediaRanges(self.content_types), _rules(self.body)))
        return self._ready[0]

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See Transform. Raises Refusal, and what the body raises."""
        ready = self._made()
        if request.method not in ready.methods:
            return request
        if not has_body(request):
            return self._without(request)
        types = values_of(request.headers, "content-type")
        if not any(map(ready.types.match, filter(is_json, types))):
            raise unsupported(ready.types.accept)
        taken = request_json(request, self.max_bytes, exact=False)
        if taken is None or not taken.raw:  # a chunked one without any data
            return replace(self._without(request), body=BytesBody(b""))
        found = body_violations(taken.value, ready.rules)
        if found is not None:
            errors = [{"pointer": where, "detail": what} for where, what in found.errors]
            raise invalid("request body", "invalid_body", errors, found.more)
        return replace(request, body=BytesBody(taken.raw))

    def _without(self, request: UpstreamRequest) -> UpstreamRequest:
        if self.required:
            raise Refusal("The request needs a body.", slug="missing_body")
        return request


@dataclass(frozen=True, slots=True)
class _Ready:
    methods: frozenset[str]
    types: MediaRanges
    rules: Rules


def _rules(given: Given) -> Rules:
    """A schema compiled. Raises DeclarationFaults."""
    try:
        from gateway.transforms.validation.rules import compiled, schema_faults
    except ModuleNotFoundError as error:
        if error.name != "jsonschema_rs":
            raise
        raise DeclarationFaults([MISSING.format(extra="schema")]) from None
    try:
        documents = Documents(given)
        reached = Reached(documents)
        reached.enter(documents.root)
        found = list(reached.faults)
        for place in reached.entered:
            found += schema_faults(place)
        if found:
            raise DeclarationFaults(found)
        return compiled(documents, reached)
    except DocumentFault as error:
        raise DeclarationFaults([str(error)]) from None
