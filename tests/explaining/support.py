"""What tests of `flask gateway explain` share: the command, and how they look at what it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from gateway.cli import group
from tests.support.wsgi import bearer

Explain = Callable[..., dict[str, Any]]


def run(app: Flask, *words: str) -> Result:
    """The command, in this process."""
    info = ScriptInfo(create_app=lambda: app)
    done = CliRunner().invoke(group, ["explain", *words], obj=info)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done


def holding(*permissions: str) -> list[str]:
    """The words that present a token with these permissions."""
    return ["--token", bearer(*permissions)[1].removeprefix("Bearer ")]


def told(found: dict[str, Any]) -> tuple[str, int | None, str | None]:
    """What becomes of it: outcome, status and code."""
    answer = found["answer"] or {"status": None, "code": None}
    return found["outcome"], answer["status"], answer["code"]


READER = holding("order:read")
WRITER = holding("order:read", "order:write", "order:refund")


def others(found: dict[str, Any]) -> dict[str, str]:
    """Which other rules there were, and why each lost."""
    return {other["endpoint"]: other["why"] for other in found["others"]}
