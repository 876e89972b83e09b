"""An OpenAPI document, 3.0 or 3.1, read for what its operations ask of requests.

Looked at is what that takes, and only that has to be right: what answers are like, and how clients
authenticate, is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.transforms.validation.documents import DocumentFault, Documents, Place, shown
from gateway.transforms.validation.media_ranges import essence, is_range
from gateway.transforms.validation.openapi_parameters import STYLES

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_VERSION = re.compile(r"3\.[01]\.\d+(?:-.*)?")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_DIALECTS = (
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://json-schema.org/draft/2020-12/schema",
)
# Fields that other parts of a document speak for (Parameter Object, `in`).
_SPOKEN_FOR = frozenset({"accept", "authorization", "content-type"})


@dataclass(frozen=True, slots=True)
class DescribedParameter:
    """A parameter. schema: None where it may be anything. json: it is a JSON text."""

    name: str
    where: str
    required: bool
    allow_empty: bool
    style: str
    explode: bool
    schema: Place | None
    json: bool


@dataclass(slots=True)
class DescribedOperation:
    """An operation. place: where the document has it. templates: its paths, each with a server's.
    bodies: media types and schemas, in order; None where it may be anything."""

    place: Place
    method: str
    templates: list[str]
    parameters: list[DescribedParameter] = field(default_factory=list)
    body_required: bool = False
    bodies: list[tuple[str, Place | None]] = field(default_factory=list)


class Description:
    """What a document says. `faults` is all that is wrong with it, but for its schemas."""

    def __init__(self, documents: Documents, prefix: str | None) -> None:
        self._documents = documents
        self._prefix = prefix
        self.faults: list[str] = []
        self.operations: list[DescribedOperation] = []
        root = documents.root
        version = root.get("openapi")
        self.is_modern = str(version).startswith("3.1")
        if not _VERSION.fullmatch(str(version)):
            self.faults.append(f"{root.label}/openapi: {version!r} must be 3.0.x or 3.1.x")
            return
        dialect = root.get("jsonSchemaDialect")
        if self.is_modern and dialect is not None and dialect not in _DIALECTS:
            self.faults.append(f"{root.label}/jsonSchemaDialect: {dialect!r} is not supported")
        if not isinstance(root.get("paths"), dict) or not root.get("paths"):
            self.faults.append(f"{root.label}/paths: there must be paths")
            return
        for template, item in root.child("paths").members():
            if not template.startswith("x-"):
                self._read_item(template, item)

    def _followed(self, place: Place) -> Place | None:
        """What a place says, by itself or by its `$ref`; None, and a fault, for no object."""
        try:
            found = self._documents.followed(place)
        except DocumentFault as error:
            self.faults.append(f"{place.label}: $ref {shown(str(place.get('$ref')))!r}: {error}")
            return None
        if isinstance(found.value, dict):
            return found
        self.faults.append(f"{found.label}: it must be an object")
        return None

    def _read_item(self, template: str, place: Place) -> None:
        item = self._followed(place)
        if item is None:
            return
        for method in _METHODS:
            if method not in item.value:
                continue
            operation = self._followed(item.child(method))
            if operation is not None:
                bases = self._bases(operation, item)
                found = DescribedOperation(
                    operation, method.upper(), [f"{base}{template}" for base in bases]
                )
                found.parameters = self._parameters(operation, item, template)
                self._read_body(operation, found)
                self.operations.append(found)

    def _bases(self, *places: Place) -> list[str]:
        """The paths of the nearest servers: the operation's, the path's, or the document's."""
        if self._prefix is not None:
            return [self._prefix.rstrip("/")]
        for place in (*places, self._documents.root):
            if place.get("servers"):
                bases = (self._base(server) for server in place.child("servers").items())
                return list(dict.fromkeys(base for base in bases if base is not None))
        return [""]

    def _base(self, server: Place) -> str | None:
        url, variables = server.get("url"), server.get("variables")
        if not isinstance(url, str):
            self._once(f"{server.label}: a server needs a url")
            return None

        def default(match: re.Match[str]) -> str:
            known = variables.get(match[1]) if isinstance(variables, dict) else None
            return str(known.get("default", "")) if isinstance(known, dict) else match[0]

        path = urlsplit(_VARIABLE.sub(default, url)).path
        if path and not path.startswith("/"):
            self._once(f"{server.label}/url: it has no absolute path; give OpenAPI a prefix")
            return None
        return path.rstrip("/")

    def _once(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def _parameters(self, operation: Place, item: Place, template: str) -> list[DescribedParameter]:
        """Those of the path and the operation, whose count where both have one."""
        found: dict[tuple[str, str], DescribedParameter] = {}
        for place in (item, operation):
            here: set[tuple[str, str]] = set()
            if place.get("parameters") is None:
                continue
            for each in place.child("parameters").items():
                parameter = self._parameter(each)
                if parameter is None:
                    continue
                key = parameter.where, parameter.name
                if key in here:
                    self._once(f"{each.label}: {parameter.name!r} is there twice")
                here.add(key)
                found[key] = parameter
        self._check_variables(
            operation, template, {name for where, name in found if where == "path"}
        )
        return [one for one in found.values() if not _is_spoken_for(one)]

    def _check_variables(self, operation: Place, template: str, named: set[str]) -> None:
        variables = set(_VARIABLE.findall(template))
        for name in sorted(variables ^ named):
            what = "has no parameter" if name in variables else "is not in the path"
            self._once(f"{operation.label}: path variable {name!r} {what}")

    def _parameter(self, place: Place) -> DescribedParameter | None:
        parameter = self._followed(place)
        if parameter is None:
            return None
        name, where = parameter.get("name"), parameter.get("in")
        if not isinstance(name, str) or not name or where not in STYLES:
            self._once(f"{parameter.label}: it needs a name, and in: {', '.join(STYLES)}")
            return None
        style = parameter.get("style") or STYLES[where][0]
        if style not in STYLES[where]:
            known = ", ".join(STYLES[where])
            self._once(f"{parameter.label}/style: {style!r} is not supported here, but {known}")
            return None
        explode = parameter.get("explode")
        schema, json = self._parameter_schema(parameter)
        return DescribedParameter(
            name,
            where,
            required=parameter.get("required") is True or where == "path",
            allow_empty=parameter.get("allowEmptyValue") is True,
            style=style,
            explode=style == "form" if explode is None else explode is True,
            schema=schema,
            json=json,
        )

    def _parameter_schema(self, parameter: Place) -> tuple[Place | None, bool]:
        if parameter.get("schema") is not None:
            return parameter.child("schema"), False
        content = parameter.get("content")
        if not isinstance(content, dict) or len(content) != 1:
            self._once(f"{parameter.label}: it needs a schema, or content of one media type")
            return None, False
        ((media_type, described),) = parameter.child("content").members()
        if not _is_json(media_type) or described.get("schema") is None:
            return None, False
        return described.child("schema"), True

    def _read_body(self, operation: Place, found: DescribedOperation) -> None:
        if operation.get("requestBody") is None:
            return
        body = self._followed(operation.child("requestBody"))
        if body is None:
            return
        found.body_required = body.get("required") is True
        if not isinstance(body.get("content"), dict) or not body.get("content"):
            self._once(f"{body.label}: a request body needs content")
            return
        for media_type, described in body.child("content").members():
            if not is_range(media_type):
                self._once(f"{described.label}: {media_type!r} is no media type")
            schema = None
            if described.get("schema") is not None and _may_be_json(media_type):
                schema = described.child("schema")
            found.bodies.append((media_type, schema))

    def schemas(self) -> Iterator[Place]:
        """All schemas that the operations name."""
        for operation in self.operations:
            for parameter in operation.parameters:
                if parameter.schema is not None:
                    yield parameter.schema
            for _, schema in operation.bodies:
                if schema is not None:
                    yield schema


def _is_spoken_for(parameter: DescribedParameter) -> bool:
    return parameter.where == "header" and parameter.name.lower() in _SPOKEN_FOR


def _is_json(media_type: str) -> bool:
    kind = essence(media_type)
    return kind.endswith(("/json", "+json"))


def _may_be_json(media_type: str) -> bool:
    return _is_json(media_type) or "*" in media_type
