"""Commands as a user meets them: another process, in a copy of a gateway's folder."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

import blueprints
from gateway.cli import group
from tests.support.warm import run_command

ROOT = Path(__file__).resolve().parents[2]
FLASK = Path(sys.executable).with_name("flask")
SECRET = "a secret of tests, longer than thirty-two bytes"
SERVICES = ("users", "orders", "products", "payments", "notifications")
#: What `check` says of a gateway that is in order.
ALL_IN_ORDER = f"The settings and {len(blueprints.SERVICES)} services are in order.\n"
#: What a gateway with the five services needs to be in order.
IN_ORDER = {"JWT_SECRET": SECRET, **{f"{name.upper()}_URL": "" for name in SERVICES}}


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """The lines of a list of faults; nothing else may have been said."""
        assert (self.code, self.out) == (1, "")
        lines = self.err.splitlines()
        assert all(line.startswith("- ") for line in lines), self.err
        return [line.removeprefix("- ") for line in lines]


@dataclass(frozen=True, slots=True)
class Folder:
    """A gateway's folder. `run` gives a command this environment and nothing else of ours. Its
    process has the libraries already; the gateway is loaded from the folder."""

    path: Path

    def run(self, *words: str, **environ: str) -> Done:
        """`flask gateway` with these words."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.path),
            "TMPDIR": str(self.path.parent),
            **environ,
        }
        done = Done(*run_command(FLASK, ["gateway", *words], self.path, environment))
        assert "Traceback" not in done.err, done.err
        return done

    def here(self, *words: str, **environ: str) -> Done:
        """The same in this process, for commands that load no application: many times as quick."""
        unset = dict.fromkeys(os.environ, None)
        done = CliRunner().invoke(group, words, env={**unset, **environ}, prog_name="flask gateway")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    def read(self, name: str) -> str:
        """The text of a file of `blueprints`."""
        return (self.path / "blueprints" / name).read_text()

    def add(self, name: str, *lines: str) -> None:
        """Write a service with these lines after its declaration, and list it."""
        source = [
            "from gateway import Service, any_of, limiter, public, require, role",
            f'{name} = Service("{name}", __name__, url_prefix="/{name}", upstream="http://h.test")',
            *lines,
        ]
        (self.path / "blueprints" / f"{name}.py").write_text("\n".join(source) + "\n")
        index = self.path / "blueprints" / "__init__.py"
        more = f"\nfrom blueprints.{name} import {name}\n\nSERVICES.append({name})\n"
        index.write_text(index.read_text() + more)


def copied(place: Path, source: Path = ROOT) -> Folder:
    """A copy of everything that a gateway is made of."""
    folder = Folder(place / "gateway-of-a-team")
    for name in ("gateway", "blueprints"):
        shutil.copytree(source / name, folder.path / name)
    for name in ("app.py", "settings.py"):
        shutil.copy2(source / name, folder.path)
    return folder
