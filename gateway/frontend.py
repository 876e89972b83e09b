"""A backend for one kind of frontend: a blueprint whose views are made of what services answer."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from gateway.authentication.scheme import Scheme, SituatedScheme
from gateway.exchange import Timeouts
from gateway.service import Service

#: Most parts that one `gather` asks for, and the longest answer of one in bytes.
LEGS = 16
LEG_BYTES = 1024 * 1024


class Frontend(Service):
    """A service without a backend of its own: its views ask others with `gather`.

    name: as the access log tells it; there is no `<NAME>_URL`.
    url_prefix: the paths its views are below; others there answer 404.
    uses: the services it asks. They are part of every gateway that has it, without their paths
        where they were not chosen (docs/domains.md). Asking another one is an error.
    timeouts: `total` is the time of a view, from the request's arrival; its legs have 85 % of it.
        None takes TOTAL_TIMEOUT.
    legs: most legs of one gather; more are refused with 400.
    leg_bytes: longest answer of a leg in bytes; a longer one counts as failed.
    authentication: as a service's.

    `require`, `limiter.limit` and everything that a Blueprint offers work as for a service.
    """

    forwards = False

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        url_prefix: str,
        uses: Iterable[Service],
        timeouts: Timeouts | None = None,
        legs: int = LEGS,
        leg_bytes: int = LEG_BYTES,
        authentication: Sequence[str | Scheme | SituatedScheme] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            name,
            import_name,
            url_prefix=url_prefix,
            upstream="",
            timeouts=timeouts,
            authentication=authentication,
            **options,
        )
        frame = sys._getframe(1)  # faults at start name the place to mend
        self.declared_at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self.uses = tuple(uses)
        self.legs = legs
        self.leg_bytes = leg_bytes

    def faults(self) -> list[str]:
        """What is wrong with the declaration itself."""
        found = [f"{one!r} in uses is no service" for one in self.uses if not _forwards(one)]
        found += [
            f"{name}={value!r} must be a number above 0"
            for name, value in (("legs", self.legs), ("leg_bytes", self.leg_bytes))
            if type(value) is not int or value < 1
        ]
        if self.policies:
            found.append("it forwards nothing: policies are the services' that it asks")
        told = [f"service {self.name!r}: {fault} ({self.declared_at})" for fault in found]
        return super().faults() + told

    def forward(self, *, timeouts: Timeouts | None = None) -> NoReturn:
        """There is nothing to forward to. Raises TypeError."""
        raise TypeError(f"{self.name!r} has no backend: its views gather what others answer")


def _forwards(one: object) -> bool:
    return isinstance(one, Service) and one.forwards
