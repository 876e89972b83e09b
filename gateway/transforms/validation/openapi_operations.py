"""The operations of an OpenAPI document, compiled. Needs jsonschema-rs."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.transforms.validation.documents import DocumentFault, Documents, Given, Place
from gateway.transforms.validation.judging import DeclarationFaults
from gateway.transforms.validation.media_ranges import MediaRanges
from gateway.transforms.validation.openapi_document import (
    DescribedOperation,
    DescribedParameter,
    Description,
)
from gateway.transforms.validation.openapi_parameters import Parameter, json_reader, reader
from gateway.transforms.validation.openapi_paths import PathFault, Paths
from gateway.transforms.validation.openapi_schemas import Modern, bound_integers
from gateway.transforms.validation.openapi_values import Shape, shape_of
from gateway.transforms.validation.references import Reached
from gateway.transforms.validation.rules import Compiler, Rules, schema_faults


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation asks of requests. names, prefixes: parameters of a query that it knows, and
    what the names of others begin with. bodies: by media type, as `types` finds it; None where it
    may be anything; empty where the document knows of no body."""

    parameters: tuple[Parameter, ...]
    names: frozenset[str]
    prefixes: tuple[str, ...]
    body_required: bool
    types: MediaRanges
    bodies: dict[str, Rules | None]


#: The operations of a path, by method.
Operations = dict[str, Operation]


def operations(given: Given, prefix: str | None) -> Paths[Operations]:
    """The operations of a document by their paths. prefix: what paths are below, None: what its
    servers say. Raises DeclarationFaults."""
    try:
        documents = Documents(given)
    except DocumentFault as error:
        raise DeclarationFaults([str(error)]) from None
    description = Description(documents, prefix)
    prepare = bound_integers if description.is_modern else Modern(documents)
    reached = Reached(documents, prepare)
    for schema in description.schemas():
        reached.enter(schema)
    found = description.faults + _path_faults(description.operations) + reached.faults
    for entered in reached.entered:
        found += schema_faults(entered)
    if found:
        raise DeclarationFaults(found)
    return _Compiling(documents, reached).all(description.operations)


def _path_faults(described: list[DescribedOperation]) -> list[str]:
    """What is wrong with paths, and with several together."""
    found: dict[str, None] = {}
    paths: Paths[bool] = Paths()
    for one in described:
        for template in one.templates:
            try:
                paths.at(template, True)
            except PathFault as error:
                found[f"{one.place.label}: path {template!r}: {error}"] = None
    return list(found)


class _Compiling:
    def __init__(self, documents: Documents, reached: Reached) -> None:
        self._documents = documents
        self._compiler = Compiler(documents, reached)

    def all(self, described: list[DescribedOperation]) -> Paths[Operations]:
        """All operations by their paths, which are in order. Raises DeclarationFaults."""
        paths: Paths[Operations] = Paths()
        for one in described:
            operation = self._operation(one)
            for template in one.templates:
                paths.at(template, {})[one.method] = operation
        try:
            self._compiler.compile()
        except DocumentFault as error:
            raise DeclarationFaults([str(error)]) from None
        return paths

    def _operation(self, described: DescribedOperation) -> Operation:
        parameters = tuple(map(self._parameter, described.parameters))
        names = frozenset().union(*(one.takes for one in parameters))
        return Operation(
            parameters,
            names,
            tuple(one.prefix for one in parameters if one.prefix),
            described.body_required,
            MediaRanges(media_type for media_type, _ in described.bodies),
            {media_type: self._rules(schema) for media_type, schema in described.bodies},
        )

    def _rules(self, schema: Place | None) -> Rules | None:
        return None if schema is None else self._compiler.rules(schema)

    def _parameter(self, described: DescribedParameter) -> Parameter:
        name, where, schema = described.name, described.where, described.schema
        shape = Shape() if schema is None else shape_of(schema, self._documents)
        if described.json:
            read = json_reader(name, where)
        else:
            read = reader(name, where, described.style, described.explode, shape)
        takes, prefix = frozenset[str](), ""
        if where == "query":
            takes = frozenset({name})
            if described.style == "deepObject":
                prefix = f"{name}["
            elif shape.of == "object" and described.explode and not described.json:
                takes = frozenset(shape.members)
        return Parameter(
            name,
            where,
            described.required,
            described.allow_empty,
            read,
            self._rules(schema),
            takes,
            prefix,
        )
