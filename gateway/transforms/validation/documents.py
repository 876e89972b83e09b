"""Documents that hold schemas: read from files of one folder, and from nowhere else.

Nothing is ever fetched. What a document refers to lies in the document, or in a file in its folder
or below it, with links followed first.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from gateway.transforms.codec import loads
from gateway.transforms.content_errors import MalformedJSON

#: A document, or where its file is, relative to the working directory.
Given: TypeAlias = Mapping[str, Any] | str | PathLike[str]

# The place of one that came as a dict; no file is there, and none is looked for.
_NOWHERE = "file:///document"
_YAML = (".yaml", ".yml")


class DocumentFault(ValueError):
    """What is wrong with a document, or with what it refers to, for its author to read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value inside of a document. uri: the document's. pointer: RFC 6901, empty for all of it."""

    uri: str
    pointer: str
    value: Any

    def child(self, name: str | int) -> Place:
        """A member or item that is there."""
        return Place(self.uri, f"{self.pointer}/{escaped(str(name))}", self.value[name])

    def members(self) -> list[tuple[str, Place]]:
        """Those of an object, by name; none of anything else."""
        if not isinstance(self.value, dict):
            return []
        return [(name, self.child(name)) for name in self.value]

    def items(self) -> list[Place]:
        """Those of an array; none of anything else."""
        if not isinstance(self.value, list):
            return []
        return [self.child(index) for index in range(len(self.value))]

    def get(self, name: str) -> Any:
        """A member's value; None if it is not there, or this is no object."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    @property
    def label(self) -> str:
        """How faults name it."""
        return f"{_name(self.uri)}#{self.pointer}"


class Documents:
    """A document, and the files it refers to, each read once. `root` is all of the first."""

    def __init__(self, given: Given) -> None:
        """Raises DocumentFault if it cannot be read."""
        self._folder: Path | None = None
        self._values: dict[str, Any] = {}
        if isinstance(given, Mapping):
            self._values[_NOWHERE] = copy.deepcopy(dict(given))
            uri = _NOWHERE
        else:
            path = _path(given)
            uri = path.as_uri()
            self._folder = path.parent
            self._values[uri] = _read(path)
        self.root = Place(uri, "", self._values[uri])
        self._stands_for = self._told_folder()

    def _told_folder(self) -> str:
        """What the first document calls its own folder by an absolute `$id`; empty for nothing."""
        told = self.root.get("$id")
        return urljoin(told, ".") if isinstance(told, str) and urlsplit(told).scheme else ""

    def fetch(self, uri: str) -> Any:
        """All of a document, by its URI without a fragment. Raises DocumentFault."""
        if uri in self._values:
            return self._values[uri]
        path = self._file(uri)
        here = path.as_uri()
        if here not in self._values:
            self._values[here] = _read(path)
        self._values[uri] = self._values[here]
        return self._values[uri]

    def _file(self, uri: str) -> Path:
        if self._folder is None:
            raise DocumentFault("nothing is fetched, and one given as a dict has no folder")
        if self._stands_for and uri.startswith(self._stands_for):
            uri = urljoin(self.root.uri, uri.removeprefix(self._stands_for))
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc:
            raise DocumentFault("nothing is fetched: it must be a file in the document's folder")
        path = Path(url2pathname(parts.path)).resolve()
        if not path.is_relative_to(self._folder):
            raise DocumentFault("the file lies outside of the document's folder")
        return path

    def find(self, base: str, reference: str) -> Place:
        """What a reference points at. base: of the document it stands in. Raises DocumentFault."""
        uri, fragment = urldefrag(urljoin(base, reference))
        value = self.fetch(uri)
        pointer = unquote(fragment)
        if pointer and not pointer.startswith("/"):
            raise DocumentFault("it is no JSON pointer")
        for part in pointer.split("/")[1:]:
            value = _step(value, part.replace("~1", "/").replace("~0", "~"))
        return Place(uri, pointer, value)

    def followed(self, place: Place) -> Place:
        """The place itself, or what its `$ref` leads to. Raises DocumentFault."""
        for _ in range(16):
            reference = place.get("$ref")
            if reference is None:
                return place
            if not isinstance(reference, str):
                raise DocumentFault("$ref must be text")
            place = self.find(place.uri, reference)
        raise DocumentFault("its references do not end")

    def all(self) -> list[tuple[str, Any]]:
        """Every document read so far, by its URI."""
        return list(self._values.items())


def escaped(name: str) -> str:
    """A name as part of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def shown(reference: str) -> str:
    """A reference as faults name it: what may be a password is left out."""
    return reference.rpartition("@")[2] if "://" in reference else reference


def _name(uri: str) -> str:
    return "" if uri == _NOWHERE else unquote(uri.rpartition("/")[2])


def _path(given: str | PathLike[str]) -> Path:
    try:
        return Path(fspath(given)).resolve()
    except TypeError:
        raise DocumentFault("it must be a dict, or the path of a file") from None


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict) and name in value:
        return value[name]
    if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    raise DocumentFault("there is no such place")


def _read(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise DocumentFault(f"there is no file {path.name!r}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise DocumentFault(f"file {path.name!r} cannot be read: {reason}") from None
    if path.suffix.lower() in _YAML:
        return _read_yaml(text, path.name)
    try:
        return loads(text, unique=True, exact=False)
    except MalformedJSON as error:
        raise DocumentFault(f"file {path.name!r} is {error}") from None


def _read_yaml(text: str, name: str) -> Any:
    try:
        from gateway.transforms.validation.yaml_documents import MalformedYAML, read_yaml
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise DocumentFault(f"file {name!r} needs PyYAML: pip install .[openapi]") from None
    try:
        return read_yaml(text)
    except MalformedYAML as error:
        raise DocumentFault(f"file {name!r} is {error}") from None
