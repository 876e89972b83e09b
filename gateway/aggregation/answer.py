"""What came of a gather, and the response made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from flask import Response

from gateway.aggregation.leg import LegFailed

COMPLETED = "X-Gateway-Completed"


class Gathered(Mapping[str, Any]):
    """The parts by name: what the services answered, or what stands for it.

    `failed` tells of each part that could not be had why; `degraded` are their names, in order.
    """

    __slots__ = ("_values", "failed")

    def __init__(self, values: dict[str, Any], failed: dict[str, LegFailed]) -> None:
        self._values = values
        self.failed = failed

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts that could not be had."""
        return tuple(self.failed)

    @property
    def completed(self) -> bool:
        """Whether all parts are the services' own."""
        return not self.failed

    def respond(self, body: Mapping[str, Any] | None = None, *, status: int = 200) -> Response:
        """A JSON response: the body, by default the parts, with `_degraded`, and with
        `_degraded_parts` where something could not be had; `X-Gateway-Completed` tells it, too.

        An answer with something missing is not to be kept: `Cache-Control: no-store`.
        """
        told = {**(self._values if body is None else body), "_degraded": not self.completed}
        headers = {COMPLETED: "true"}
        if self.failed:
            told["_degraded_parts"] = list(self.failed)
            headers = {COMPLETED: "false", "Cache-Control": "no-store"}
        return Response(
            orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS),
            status,
            headers,
            content_type="application/json",
        )
