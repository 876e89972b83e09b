"""Scaffolding: a new service is one short file and one line in the list."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from gateway.cli.service_list import has_domains, with_service
from gateway.errors import ConfigurationError

_TEMPLATE = Path(__file__).with_name("service.py.tmpl")
# Names that the new file imports, and blueprints of the gateway's own.
_TAKEN = ("limiter", "require", "gateway_admin", "gateway_ops")


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
    listed = _listed(index, name)
    text = _TEMPLATE.read_text("utf-8")
    for mark, value in (("NAME", name), ("TITLE", name.replace("_", " ").capitalize())):
        text = text.replace(f"@{mark}@", value)
    _write({target: text.replace("@PREFIX@", prefix), index: listed})
    variable = f"{name.upper()}_URL"
    where = index.relative_to(folder.parent)
    return [
        f"wrote {target.relative_to(folder.parent)}",
        f"listed it in {where}",
        *([f"it is in no domain: add it to DOMAINS in {where}"] if has_domains(listed) else []),
        f"now set {variable}=http://host:port and start the gateway again",
    ]


def _faults(name: str, prefix: str, index: Path, target: Path) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        faults.append(f"{name!r} must be lower-case letters, digits and underscores")
    elif keyword.iskeyword(name) or name in _TAKEN:
        faults.append(f"{name!r} is a name with another meaning here")
    if not re.fullmatch(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~\-]+)+", prefix):
        faults.append(f"--prefix {prefix!r} must be a path such as /api/v1/{name}")
    if not index.is_file():
        faults.append(f"{index} is not there: run this in the gateway's folder")
    elif target.exists():
        faults.append(f"{target} exists already")
    return faults


def _write(texts: dict[Path, str]) -> None:
    """Write the new file, then the old one; if that fails, take the new one back."""
    (target, text), (index, listed) = texts.items()
    try:
        target.write_text(text, "utf-8")
        index.write_text(listed, "utf-8")
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ConfigurationError(
            [f"{error.filename} cannot be written: {error.strerror}"]
        ) from None


def _listed(index: Path, name: str) -> str:
    try:
        return with_service(index.read_text("utf-8"), name)
    except (ValueError, SyntaxError):
        fault = "must have one list SERVICES = [...], without"
        raise ConfigurationError([f"{index} {fault} {name!r}"]) from None
