"""Values that differ from request to request: `{name}` in a text, read once, at start.

`{{` and `}}` stand for braces. What is not there comes out as nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.transforms.encodings import Encoding
from gateway.transforms.sources import NAMES, OF_ANSWERS, Clocks, Render, Source, find_source

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A text is no template. Says why, and nothing else of the text: it may hold a secret."""


@dataclass(frozen=True, slots=True)
class Template:
    """A value, compiled. constant: what it always is; None if it differs. sources: what it is made
    of, by name."""

    render: Render
    constant: str | None
    sources: dict[str, Source]


def compile_template(
    text: str, encoding: Encoding, clocks: Clocks, *, answers: bool = False
) -> Template:
    """Read a template. encoding: what it is for. answers: it is for answers, of which more is
    known. Raises TemplateError."""
    if not isinstance(text, str):
        raise TemplateError(f"must be text, not {type(text).__name__}")
    if any(one < " " or one == "\x7f" for one in text):
        raise TemplateError("has a control character")
    parts: list[str | Source] = []
    sources: dict[str, Source] = {}
    end = 0
    for found in _PART.finditer(text):
        parts.append(encoding.constant(text[end : found.start()]))
        end = found.end()
        name = found[1]
        if name is not None:
            sources[name] = sources.get(name) or _source(name, encoding, clocks, answers=answers)
            parts.append(sources[name])
        elif len(found[0]) == 2:
            parts.append(encoding.constant(found[0][0]))
        else:
            raise TemplateError(f"has a lone {found[0]}: write {found[0] * 2} for a brace")
    parts.append(encoding.constant(text[end:]))
    if sources:
        return Template(_renderer([part for part in parts if part != ""]), None, sources)
    constant = "".join(map(str, parts)).strip(" ")
    return Template(_always(constant), constant, sources)


def _source(name: str, encoding: Encoding, clocks: Clocks, *, answers: bool) -> Source:
    source = find_source(name, encoding, clocks, answers=answers)
    if source is None:
        known = NAMES + OF_ANSWERS if answers else NAMES
        listed = ", ".join(f"{{{one}}}" for one in known)
        raise TemplateError(f"has {{{name}}}, which is unknown: there are {listed}")
    return source


def _renderer(parts: list[str | Source]) -> Render:
    """What puts the parts together; a lone one needs nothing around it."""
    if len(parts) == 1 and isinstance(parts[0], Source):
        return parts[0].render
    steps = [_always(part) if isinstance(part, str) else part.render for part in parts]

    def render(request: UpstreamRequest, response: UpstreamResponse | None) -> str:
        return "".join([step(request, response) for step in steps]).strip(" ")

    return render


def _always(text: str) -> Render:
    return lambda request, response: text
