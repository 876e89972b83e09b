"""Schemas compiled, and what they find wrong with a value. Needs jsonschema-rs.

Compiled once and used by all requests: a body of 1 KiB takes microseconds, and one of 1 MiB a
millisecond or two. Patterns are matched in linear time, or, with what only backtracking can match,
in a bounded number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import quote

import jsonschema_rs
from jsonschema_rs import FancyRegexOptions, Registry, ValidationError, Validator

from gateway.transforms.validation import wording
from gateway.transforms.validation.documents import DocumentFault, Documents, Place, shown
from gateway.transforms.validation.explaining import Explanation, Schemas, TooMuch
from gateway.transforms.validation.judging import MOST, Violations
from gateway.transforms.validation.references import Reached

_LATEST = "https://json-schema.org/draft/2020-12/schema"
_RECENT = (_LATEST, "https://json-schema.org/draft/2019-09/schema")
_OLDER = tuple(f"http://json-schema.org/draft-{number}/schema" for number in ("07", "06", "04"))
# Steps back while one text is compared with one pattern; some milliseconds.
_BACKTRACKS = 10_000
_PATTERNS = FancyRegexOptions(backtrack_limit=_BACKTRACKS)
# Errors are counted up to this many.
_COUNTED = 1000

Test = Callable[[Any], bool]


class Rules:
    """What a value must be like. test: whether one is. schema: what it says, to explain it."""

    __slots__ = ("_schema", "_schemas", "valid")

    def __init__(self, test: Test, schema: Any, schemas: Schemas) -> None:
        #: Whether a value is as it must be. It has no lone surrogate.
        self.valid = test
        self._schema = schema
        self._schemas = schemas

    def violations(self, value: Any) -> Violations:
        """What is wrong with one that is not; as far as it can be told with some effort."""
        found: list[tuple[str, str]] = []
        more = 0
        errors = Explanation(self._schemas).wrong(self._schema, value)
        try:
            for path, what in islice(errors, MOST):
                found.append((wording.pointer(path), what))
            more = sum(1 for _ in islice(errors, _COUNTED - MOST))
        except (TooMuch, RecursionError):
            pass
        return Violations(tuple(found) or (("", wording.OTHERWISE),), more)


class Compiler:
    """Compiles schemas of the documents read, all of them together: they share what they refer to,
    where each alone would have it once more."""

    def __init__(self, documents: Documents, reached: Reached) -> None:
        self._documents = documents
        self._schemas = _schemas(documents, reached)
        self._wanted: dict[str, Any] = {}
        self._validator: Validator | None = None

    def rules(self, place: Place) -> Rules:
        """The rules of a schema; they can be used once all are compiled."""
        key = f"{place.uri}#{quote(place.pointer, safe='/~')}"
        self._wanted[key] = {"$ref": key}

        def test(value: Any) -> bool:
            return self._validator is not None and self._validator.is_valid({key: value})

        return Rules(test, place.value, self._schemas)

    def compile(self) -> None:
        """Make the rules ready. Raises DocumentFault."""
        options: dict[str, Any] = {}
        if self._wanted:
            options["registry"] = _registry(self._documents)
        self._validator = _compiled({"properties": self._wanted}, **options)


def compiled(documents: Documents, reached: Reached) -> Rules:
    """The rules of a document that is a schema. Raises DocumentFault."""
    root = documents.root
    validator = _compiled(root.value, base_uri=root.uri, retriever=documents.fetch)
    return Rules(validator.is_valid, root.value, _schemas(documents, reached))


def _schemas(documents: Documents, reached: Reached) -> Schemas:
    draft = documents.root.get("$schema")
    kind = {"$schema": draft} if isinstance(draft, str) else {}

    def ask(keywords: dict[str, Any]) -> Test:
        try:
            return _compiled({**kind, **keywords}).is_valid
        except DocumentFault:  # of another draft than the first document is
            return lambda value: True

    return Schemas(ask, reached.targets, lonely=kind.get("$schema", "").rstrip("#") in _OLDER)


def _registry(documents: Documents) -> Registry:
    try:
        return Registry(documents.all(), retriever=_refuse)
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise DocumentFault(_line(str(error))) from None


def _refuse(uri: str) -> Any:
    raise DocumentFault(f"{shown(uri)!r} is not among the documents read")


def _compiled(schema: Any, **options: Any) -> Validator:
    if not options:
        options["offline"] = True
    try:
        return jsonschema_rs.validator_for(
            schema, validate_formats=True, pattern_options=_PATTERNS, **options
        )
    except ValidationError as error:
        where = wording.pointer(error.instance_path)
        raise DocumentFault(f"#{where}: {_line(error.message)}") from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise DocumentFault(_line(str(error))) from None


def _line(text: str) -> str:
    return wording.cut(text.partition("\n")[0])


def schema_faults(place: Place) -> list[str]:
    """What is wrong with a schema itself, by the schema of schemas."""
    if isinstance(place.value, bool):
        return []
    if not isinstance(place.value, dict):
        return [f"{place.label}: a schema must be an object or a boolean"]
    draft = place.get("$schema")
    known = _LATEST if draft is None else str(draft).rstrip("#")
    if known not in _RECENT + _OLDER:
        return [f"{place.label}/$schema: {draft!r} is not supported"]
    if known != _LATEST:
        return []  # told, one by one, when it is compiled
    return [
        f"{place.label}{wording.pointer(error.instance_path)}: {_line(error.message)}"
        for error in _METASCHEMA.iter_errors(place.value)
    ]


_METASCHEMA = jsonschema_rs.validator_for({"$ref": _LATEST}, validate_formats=True, offline=True)
