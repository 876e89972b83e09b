"""Adding a service to `blueprints/__init__.py` without harm to what its owner wrote there."""

from __future__ import annotations

import ast
import re
from itertools import accumulate


def with_service(text: str, name: str) -> str:
    """The text of the module with the service imported in its place and listed last.

    Raises ValueError or SyntaxError if that is not sure to work: SERVICES is not set once, to a
    list in brackets, or has the name already, or something else would change.
    """
    tree = ast.parse(text)
    services = _services(tree)
    made = _imported(_appended(text.encode(), services, name), tree, services, name).decode()
    after = ast.parse(made)
    old, new = (_dumps(one) for one in (services, _services(after)))
    added = ast.dump(ast.Name(name, ast.Load()))
    if added in old or new != [*old, added] or len(after.body) != len(tree.body) + 1:
        raise ValueError
    return made


def has_domains(text: str) -> bool:
    """Whether the module declares domains."""
    targets = (
        target
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )
    return any(isinstance(target, ast.Name) and target.id == "DOMAINS" for target in targets)


def _dumps(services: ast.List) -> list[str]:
    return [ast.dump(element) for element in services.elts]


def _services(tree: ast.Module) -> ast.List:
    found = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "SERVICES"
    ]
    if len(found) != 1 or not isinstance(found[0], ast.List):
        raise ValueError
    return found[0]


def _appended(data: bytes, services: ast.List, name: str) -> bytes:
    """The list with one more name: on a line of its own where the others have one."""
    lines = data.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    if not services.elts:
        at, added = starts[services.lineno - 1] + services.col_offset + 1, name
    else:
        last = services.elts[-1]
        row, column = last.end_lineno or 0, last.end_col_offset or 0
        at, added = starts[row - 1] + column, f", {name}"
        if re.fullmatch(rb",\s*(#.*)?\s*", lines[row - 1][column:]):
            at, added = starts[row], f"    {name},\n"
        elif services.lineno != services.end_lineno:
            added = f",\n    {name}"
    return data[:at] + added.encode() + data[at:]


def _imported(data: bytes, tree: ast.Module, services: ast.List, name: str) -> bytes:
    """The import among its like, in their order; else above SERVICES."""
    module = f"blueprints.{name}"
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("blueprints.")
    ]
    later = [node.lineno - 1 for node in imports if (node.module or "") > module]
    earlier = [node.end_lineno or 0 for node in imports]
    row = (later or earlier[-1:] or [services.lineno - 1])[0]
    lines = data.splitlines(keepends=True)
    line = f"from {module} import {name}\n".encode()
    return b"".join([*lines[:row], line, *lines[row:]])
