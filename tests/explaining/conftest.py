"""A gateway that is explained, and a worker of it that is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway.testing import ScriptedUpstream
from gateway.testing_stub import StubTransport
from tests.explaining.app import make
from tests.explaining.support import Explain, run


@pytest.fixture(scope="module")
def listener() -> Iterator[ScriptedUpstream]:
    """A backend that listens: whoever asked it would be seen."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the workers of the application meet."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def app(listener: ScriptedUpstream, shared: Path) -> Flask:
    return make(listener.url, f"lmdb://{shared}")


@pytest.fixture(scope="module")
def served(listener: ScriptedUpstream, shared: Path) -> Flask:
    """Another worker of the same gateway, whose backend is content with everything."""
    answer = 200, {"Content-Length": "2"}, b"ok"
    return make(listener.url, f"lmdb://{shared}", StubTransport(lambda *_asked: answer).session())


@pytest.fixture
def explain(app: Flask) -> Explain:
    """What is told of a request, and its exit code."""

    def explained(method: str, path: str, *words: str, to: Flask = app) -> dict[str, Any]:
        done = run(to, method, path, "--json", *words)
        assert done.stderr == ""
        return {**json.loads(done.stdout), "code": done.exit_code}

    return explained
