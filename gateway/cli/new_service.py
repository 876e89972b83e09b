"""Scaffolding: a new service is one short file and one line in the list."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from gateway.errors import ConfigurationError

_TEMPLATE = Path(__file__).with_name("service.py.tmpl")


def new_service(name: str, prefix: str, folder: Path | None = None) -> list[str]:
    """Write `blueprints/<name>.py` and add it to SERVICES; returns what to do next.

    name: lower-case letters, digits and underscores. folder: default `blueprints` in the current
    directory. Raises ConfigurationError and writes nothing if something is in the way.
    """
    folder = folder or Path.cwd() / "blueprints"
    index = folder / "__init__.py"
    target = folder / f"{name}.py"
    faults = _faults(name, prefix, index, target)
    if faults:
        raise ConfigurationError(faults)
    listed = _listed(index.read_text(), name)
    text = _TEMPLATE.read_text()
    for mark, value in (("NAME", name), ("TITLE", name.replace("_", " ").capitalize())):
        text = text.replace(f"@{mark}@", value)
    target.write_text(text.replace("@PREFIX@", prefix))
    index.write_text(listed)
    variable = f"{name.upper()}_URL"
    return [
        f"wrote {target.relative_to(folder.parent)}",
        f"listed it in {index.relative_to(folder.parent)}",
        f"now set {variable}=http://host:port and start the gateway again",
    ]


def _faults(name: str, prefix: str, index: Path, target: Path) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        faults.append(f"{name!r} must be lower-case letters, digits and underscores")
    if not re.fullmatch(r"(/[A-Za-z0-9._~\-]+)+", prefix):
        faults.append(f"--prefix {prefix!r} must be a path such as /api/v1/{name}")
    if not index.is_file():
        faults.append(f"{index} is not there: run this in the gateway's folder")
    elif target.exists():
        faults.append(f"{target} exists already")
    elif "SERVICES" not in index.read_text():
        faults.append(f"{index} has no list SERVICES")
    return faults


def _listed(text: str, name: str) -> str:
    """The text of `blueprints/__init__.py` with the service imported and listed last."""
    line = f"from blueprints.{name} import {name}\n"
    imports = list(re.finditer(r"^from blueprints\.\S+ import .*\n", text, re.MULTILINE))
    later = next((found for found in imports if found[0] > line), None)
    at = later.start() if later else imports[-1].end() if imports else text.index("SERVICES")
    text = text[:at] + line + text[at:]
    opening = re.search(r"^SERVICES\b[^=\n]*=\s*\[", text, re.MULTILINE)
    if opening is None:
        raise ConfigurationError(["SERVICES must be a list"])
    end = text.index("]", opening.end())
    before = text[:end].rstrip()
    comma = "" if before.endswith((",", "[")) else ","
    return f"{before}{comma}\n    {name},\n{text[end:]}"
