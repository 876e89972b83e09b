"""What is wrong with a value that its schema does not allow: where, and what it must be.

Whether a value is allowed is jsonschema-rs's to say. What it tells of errors has a copy of what is
wrong for each of them, and of each form that was tried: a body of 14 KiB can be made to take 600
MiB and seconds, before the first is told. So the schema is gone through once more, here, with an
eye on the effort. What each keyword means is asked of that library still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.transforms.validation import wording

#: How many times a schema is held against a value, at most; about a tenth of a second.
MOST_STEPS = 50_000

#: Where something is wrong, and what.
Path = tuple[str | int, ...]
Wrong = Iterator[tuple[Path, str]]
#: Whether a value is as one keyword, with its partners, asks: keywords and what they say.
Ask = Callable[[dict[str, Any]], Callable[[Any], bool]]

# Keywords that change what another one means: those of draft 4.
_PARTNERS = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


class TooMuch(Exception):
    """There is more to look at than is worth it."""


class Schemas:
    """Schemas that were compiled, to be asked keyword by keyword.

    ask: compiles some keywords. targets: what the `$ref` of a schema leads to, by the schema's id.
    lonely: whether what stands beside a `$ref` means nothing, as before draft 2019-09. What was
    compiled is kept: at most as much as the schemas have.
    """

    def __init__(self, ask: Ask, targets: Mapping[int, Any], *, lonely: bool = False) -> None:
        self._ask = ask
        self._targets = targets
        self.lonely = lonely
        self._compiled: dict[tuple[int, str], Callable[[Any], bool]] = {}

    def target(self, schema: dict[str, Any]) -> Any:
        """What a schema's `$ref` leads to; True, which allows anything, where that is not known."""
        return self._targets.get(id(schema), True)

    def allows(self, schema: dict[str, Any], keyword: str, value: Any) -> bool:
        """Whether a value is as one keyword of a schema asks."""
        key = id(schema), keyword
        test = self._compiled.get(key)
        if test is None:
            asked = {keyword: schema[keyword]}
            partner = _PARTNERS.get(keyword, "")
            if isinstance(schema.get(partner), bool):
                asked[partner] = schema[partner]
            test = self._compiled[key] = self._ask(asked)
        return test(value)

    def matches(self, patterns: dict[str, Any], pattern: str, name: str) -> bool:
        """Whether a name matches one of a schema's patterns."""
        key = id(patterns), pattern
        test = self._compiled.get(key)
        if test is None:
            test = self._compiled[key] = self._ask({"pattern": pattern})
        return test(name)


class Explanation:
    """What is wrong with one value."""

    __slots__ = ("_known", "_left", "_schemas")

    def __init__(self, schemas: Schemas, steps: int = MOST_STEPS) -> None:
        self._schemas = schemas
        self._left = steps
        # Whether a schema allows a value, by the ids of both: forms that lead to the same one
        # again and again are looked at once.
        self._known: dict[tuple[int, int], bool] = {}

    def wrong(self, schema: Any, value: Any, path: Path = ()) -> Wrong:
        """What is wrong, in the order of the schema. Raises TooMuch."""
        if not isinstance(schema, dict):
            if schema is False:
                yield path, wording.FORBIDDEN
            return
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        if "$ref" in schema:
            yield from self.wrong(self._schemas.target(schema), value, path)
            if self._schemas.lonely:
                return
        if "type" in schema and not self._schemas.allows(schema, "type", value):
            yield path, wording.told("type", schema["type"])
            return  # what else it asks is asked of that type, mostly
        for keyword in schema:
            if keyword in _PARTS:
                yield from _PARTS[keyword](self, schema, value, path)
            elif keyword in wording.TOLD and not self._schemas.allows(schema, keyword, value):
                yield path, _told(schema, keyword)

    def allowed(self, schema: Any, value: Any) -> bool:
        """Whether nothing is found wrong."""
        key = id(schema), id(value)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = next(self.wrong(schema, value), None) is None
        return known

    def _required(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, dict):
            yield from ((path, wording.missing(x)) for x in schema["required"] if x not in value)

    def _properties(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, dict):
            for name, inner in schema["properties"].items():
                if name in value:
                    yield from self.wrong(inner, value[name], (*path, name))

    def _pattern_properties(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, dict):
            patterns = schema["patternProperties"]
            for pattern, inner in patterns.items():
                for name in value:
                    if self._schemas.matches(patterns, pattern, name):
                        yield from self.wrong(inner, value[name], (*path, name))

    def _additional_properties(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if not isinstance(value, dict):
            return
        inner = schema["additionalProperties"]
        patterns = schema.get("patternProperties", {})
        named = schema.get("properties", {})
        for name in value:
            if name in named:
                continue
            if any(self._schemas.matches(patterns, one, name) for one in patterns):
                continue
            if inner is False:
                yield (*path, name), wording.UNKNOWN
            else:
                yield from self.wrong(inner, value[name], (*path, name))

    def _unevaluated_properties(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if not isinstance(value, dict):
            return
        inner = schema["unevaluatedProperties"]
        looked_at = self._looked_at(schema, value)
        for name in (name for name in value if name not in looked_at):
            if inner is False:
                yield (*path, name), wording.UNKNOWN
            else:
                yield from self.wrong(inner, value[name], (*path, name))

    def _looked_at(self, schema: Any, value: dict[str, Any], *, inner: bool = False) -> set[str]:
        """The names that a schema, and the forms of it that fit, say something of."""
        self._left -= 1
        if self._left < 0:
            raise TooMuch
        if not isinstance(schema, dict):
            return set()
        if "additionalProperties" in schema or (inner and "unevaluatedProperties" in schema):
            return set(value)
        found = set(value).intersection(schema.get("properties", ()))
        patterns = schema.get("patternProperties", {})
        if patterns:
            matches = self._schemas.matches
            found |= {x for x in value if any(matches(patterns, one, x) for one in patterns)}
        for each in self._fitting(schema, value):
            found |= self._looked_at(each, value, inner=True)
        return found

    def _fitting(self, schema: dict[str, Any], value: dict[str, Any]) -> Iterator[Any]:
        if "$ref" in schema:
            yield self._schemas.target(schema)
        for keyword in ("allOf", "anyOf", "oneOf"):
            yield from (one for one in schema.get(keyword, ()) if self.allowed(one, value))
        for name, inner in schema.get("dependentSchemas", {}).items():
            if name in value:
                yield inner
        if "if" in schema:
            fits = self.allowed(schema["if"], value)
            if fits:
                yield schema["if"]
            yield schema.get("then" if fits else "else", True)

    def _property_names(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, dict):
            for name in value:
                for _, what in self.wrong(schema["propertyNames"], name):
                    yield (*path, name), wording.of_name(what)

    def _dependent_required(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        return self._dependent(schema["dependentRequired"], value, path)

    def _dependent_schemas(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        return self._dependent(schema["dependentSchemas"], value, path)

    def _dependencies(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        return self._dependent(schema["dependencies"], value, path)

    def _dependent(self, asked: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, dict):
            for name, each in asked.items():
                if name not in value:
                    continue
                if isinstance(each, list):
                    yield from ((path, wording.missing(x)) for x in each if x not in value)
                else:
                    yield from self.wrong(each, value, path)

    def _prefix_items(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        return iter(()) if "items" in schema else self._items(schema, value, path)

    def _items(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if not isinstance(value, list):
            return
        first = schema.get("prefixItems", ())
        rest = schema.get("items", True)
        if isinstance(rest, list):  # before draft 2020-12
            first, rest = rest, schema.get("additionalItems", True)
        for index, item in enumerate(value):
            inner = first[index] if index < len(first) else rest
            if inner is not True:
                yield from self.wrong(inner, item, (*path, index))

    def _contains(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if isinstance(value, list):
            found = sum(self.allowed(schema["contains"], item) for item in value)
            least, most = schema.get("minContains", 1), schema.get("maxContains", found)
            if not least <= found <= most:
                yield path, wording.NO_ITEMS

    def _all_of(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        for inner in schema["allOf"]:
            yield from self.wrong(inner, value, path)

    def _any_of(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if not any(self.allowed(inner, value) for inner in schema["anyOf"]):
            yield from self._of_no_form(schema["anyOf"], value, path)

    def _one_of(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        fitting = sum(self.allowed(inner, value) for inner in schema["oneOf"])
        if not fitting:
            yield from self._of_no_form(schema["oneOf"], value, path)
        elif fitting > 1:
            yield path, wording.MANY_FORMS

    def _of_no_form(self, forms: list[Any], value: Any, path: Path) -> Wrong:
        """What is wrong by the form that was meant: the only one of the value's type, or the only
        one that the value names by a member with a constant, such as `kind`."""
        meant = [form for form in forms if self._is_of_type(self._led_to(form), value)]
        if len(meant) > 1:
            meant = [form for form in meant if self._is_named(self._led_to(form), value)]
        if len(meant) == 1:
            yield from self.wrong(meant[0], value, path)
        else:
            yield path, wording.NO_FORM

    def _led_to(self, form: Any) -> Any:
        for _ in range(16):  # as many references as anybody has in a row
            if not isinstance(form, dict) or "$ref" not in form:
                break
            form = self._schemas.target(form)
        return form

    def _is_of_type(self, form: Any, value: Any) -> bool:
        if isinstance(form, dict) and "type" in form:
            return self._schemas.allows(form, "type", value)
        return form is not False

    def _is_named(self, form: Any, value: Any) -> bool:
        if not isinstance(form, dict) or not isinstance(value, dict):
            return False
        members = form.get("properties", {})
        asked = [(name, one, key) for name, one in members.items() for key in _naming(one)]
        return bool(asked) and all(
            name in value and self._schemas.allows(one, key, value[name])
            for name, one, key in asked
        )

    def _not(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        if self.allowed(schema["not"], value):
            yield path, wording.WRONG_FORM

    def _if(self, schema: dict[str, Any], value: Any, path: Path) -> Wrong:
        branch = "then" if self.allowed(schema["if"], value) else "else"
        yield from self.wrong(schema.get(branch, True), value, path)


def _naming(schema: Any) -> list[str]:
    """The keyword by which a member has only one value."""
    if not isinstance(schema, dict):
        return []
    one = schema.get("enum")
    return ["const"] if "const" in schema else ["enum"] * (isinstance(one, list) and len(one) == 1)


def _told(schema: dict[str, Any], keyword: str) -> str:
    exclusive = _PARTNERS.get(keyword, "")
    if schema.get(exclusive) is True:
        return wording.told(exclusive, schema[keyword])
    return wording.told(keyword, schema[keyword])


_Part = Callable[[Explanation, dict[str, Any], Any, Path], Wrong]

# By the keyword that has each called; what belongs to it is looked at, too.
_PARTS: dict[str, _Part] = {
    "required": Explanation._required,
    "properties": Explanation._properties,
    "patternProperties": Explanation._pattern_properties,
    "additionalProperties": Explanation._additional_properties,
    "propertyNames": Explanation._property_names,
    "unevaluatedProperties": Explanation._unevaluated_properties,
    "dependentRequired": Explanation._dependent_required,
    "dependentSchemas": Explanation._dependent_schemas,
    "dependencies": Explanation._dependencies,
    "items": Explanation._items,
    "prefixItems": Explanation._prefix_items,
    "contains": Explanation._contains,
    "allOf": Explanation._all_of,
    "anyOf": Explanation._any_of,
    "oneOf": Explanation._one_of,
    "not": Explanation._not,
    "if": Explanation._if,
}
