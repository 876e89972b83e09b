"""OpenAPI documents of tests: one of a backend of the examples, and small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.transforms import OpenAPI
from tests.transforms.validation.asking import faults

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "orders.openapi.yaml"


def document(schema: Any = None, *, version: str = "3.1.0", **operation: Any) -> dict[str, Any]:
    """An API whose `POST /a` takes bodies as this schema says."""
    if schema is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return {"openapi": version, "paths": {"/a": {"post": operation}}}


def api(*args: Any, prefix: str | None = None, **options: Any) -> OpenAPI:
    """A sound one."""
    policy = OpenAPI(document(*args, **options), prefix=prefix)
    assert faults(policy) == []
    return policy
