"""Requests that must be as an OpenAPI document describes its operations."""

from __future__ import annotations

from collections.abc import Mapping
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
from gateway.transforms.validation.documents import Given
from gateway.transforms.validation.judging import (
    MISSING,
    DeclarationFaults,
    Violations,
    body_violations,
    has_body,
    invalid,
    unsupported,
)
from gateway.transforms.validation.openapi_parameters import Sent, Told

if TYPE_CHECKING:
    from gateway.transforms.validation.openapi_operations import Operation, Operations
    from gateway.transforms.validation.openapi_paths import Paths

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class OpenAPI(Transform):
    """Refuses requests that are not as an OpenAPI document, 3.0 or 3.1, describes its operations:
    their path, query, header and cookie parameters, and their JSON bodies. Reads such a body into
    memory: at most `max_bytes`, until the request's deadline.

    document: a dict, or the path of a .json or .yaml file, relative to the working directory. What
        it refers to lies in it or in files in its folder: nothing is fetched.
    prefix: what its paths are below, as the backend is asked for them; "" for nothing. None: the
        paths of the document's servers.
    unknown: what becomes of requests for paths and methods that it does not have: "refuse" (404,
        405), or "pass" as they are.
    strict_query: whether parameters of a query that it does not have are refused, too.
    max_bytes: most bytes of a JSON body, as it came and decoded. 1 MiB.

    What passes goes on byte for byte. What is wrong with parameters and body is told at once: 400
    `invalid_request`, whose member `errors` has a `pointer` into the body, or `parameter` and `in`,
    and what is wrong; at most 50 of them, and `more` the number of the others found. Also refused
    is a body of a type that the operation does not have (415), that is too large (413), or
    malformed (400 `malformed_json`).

    Bodies of other types than JSON pass unread, and so does one of which the operation says
    nothing. `security` is for authentication to see to. A HEAD request is a GET.

    Needs jsonschema-rs, and PyYAML for YAML: `pip install .[openapi]`.
    """

    document: Given = field(repr=False)
    prefix: str | None = None
    unknown: str = "refuse"
    strict_query: bool = False
    max_bytes: int = MAX_BYTES
    _ready: list[Paths[Operations]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    per: ClassVar[str] = "request"

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options and the document."""
        found = []
        wrong_prefix = self.prefix is not None and not _is_prefix(self.prefix)
        if wrong_prefix:
            found.append(f"prefix={self.prefix!r} must be an absolute path")
        if self.unknown not in ("refuse", "pass"):
            found.append(f"unknown={self.unknown!r} must be 'refuse' or 'pass'")
        if self.strict_query not in (True, False):
            found.append(f"strict_query={self.strict_query!r} must be True or False")
        if type(self.max_bytes) is not int or self.max_bytes < 1:
            found.append(f"max_bytes={self.max_bytes!r} must be 1 or more")
        try:
            if wrong_prefix:
                _made(self.document, "")
            else:
                self._paths()
        except DeclarationFaults as error:
            found += [f"document: {fault}" for fault in error.faults]
        return found

    def _paths(self) -> Paths[Operations]:
        """What is made of the document, once. Raises DeclarationFaults."""
        if not self._ready:
            self._ready.append(_made(self.document, self.prefix))
        return self._ready[0]

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See Transform. Raises Refusal, and what the body raises."""
        found = self._paths().find(request.target.partition("?")[0])
        operation = None if found is None else _of_method(found[0], request.method)
        if found is None or operation is None:
            if self.unknown == "pass":
                return request
            raise _unknown(None if found is None else found[0])
        sent = Sent(request, found[1])
        errors = [told for one in operation.parameters for told in one.violations(sent)]
        if self.strict_query:
            errors += _strange(operation, sent.query)
        more = 0
        if operation.bodies:
            request, wrong = self._judged(request, operation)
            if wrong is not None:
                errors += [{"pointer": where, "detail": what} for where, what in wrong.errors]
                more = wrong.more
        if errors:
            raise invalid("request", "invalid_request", errors, more)
        return request

    def _judged(
        self, request: UpstreamRequest, operation: Operation
    ) -> tuple[UpstreamRequest, Violations | None]:
        """The request, with what was read of its body in its place, and what is wrong with that."""
        missing = Violations((("", "a body is required"),)) if operation.body_required else None
        if not has_body(request):
            return request, missing
        types = values_of(request.headers, "content-type")
        if len(types) > 1:  # a backend might go by the other one
            raise Refusal("The request has more than one Content-Type.", slug="two_content_types")
        matched = operation.types.match(types[0]) if types else None
        if matched is None:
            raise unsupported(operation.types.accept)
        rules = operation.bodies[matched]
        if rules is None or not is_json(types[0]):
            return request, None
        taken = request_json(request, self.max_bytes, exact=False)
        if taken is None or not taken.raw:  # a chunked one without any data
            return replace(request, body=BytesBody(b"")), missing
        wrong = body_violations(taken.value, rules)
        return replace(request, body=BytesBody(taken.raw)), wrong


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and (not value or value.startswith("/"))


def _made(document: Given, prefix: str | None) -> Paths[Operations]:
    """The operations of a document. Raises DeclarationFaults."""
    try:
        from gateway.transforms.validation.openapi_operations import operations
    except ModuleNotFoundError as error:
        if error.name != "jsonschema_rs":
            raise
        raise DeclarationFaults([MISSING.format(extra="openapi")]) from None
    return operations(document, prefix)


def _of_method(known: Operations, method: str) -> Operation | None:
    return known.get(method) or (known.get("GET") if method == "HEAD" else None)


def _unknown(known: Operations | None) -> Refusal:
    """The refusal of what the document does not have."""
    if known is None:
        return Refusal("No operation has this path.", status=404, slug="not_found")
    allowed = sorted({*known, "HEAD"} if "GET" in known else known)
    return Refusal(
        "The method is not allowed here.",
        status=405,
        slug="method_not_allowed",
        headers=[("Allow", ", ".join(allowed))],
    )


def _strange(operation: Operation, query: Mapping[str, object]) -> list[Told]:
    """Parameters of a query that the operation does not have."""
    return [
        {"parameter": name[:_LONGEST_NAME], "in": "query", "detail": "is not known here"}
        for name in query
        if name not in operation.names and not name.startswith(operation.prefixes)
    ]
