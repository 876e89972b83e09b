"""One request on its way through the rooms, and what was found out there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.authentication.scheme import NotAsked
from gateway.routes import UNMATCHED, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from gateway.application import Gateway
    from gateway.authentication.identity import Identity
    from gateway.exchange import Exchange


@dataclass(slots=True)
class Case:
    """A request in its context. ask: whether authorities and functions are asked that a request
    would ask.

    refusal: what would end it, of several the first. unknown: who would have to be asked.
    unidentified: whether that is who knows the caller; nothing that depends on the caller is told
    then. notes: for the reader.
    """

    app: Flask
    environ: dict[str, Any]
    ask: bool = False
    refusal: Exception | None = None
    unknown: list[str] = field(default_factory=list)
    unidentified: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def gateway(self) -> Gateway:
        """The application's."""
        found: Gateway = self.app.extensions["gateway"]
        return found

    @property
    def route(self) -> Route:
        """What was matched."""
        found: Route = self.environ.get("gateway.route", UNMATCHED)
        return found

    @property
    def identity(self) -> Identity | None:
        """Who asks; None also where nobody was asked."""
        found: Identity | None = self.environ.get("gateway.identity")
        return found

    @property
    def exchange(self) -> Exchange:
        """The request's record."""
        found: Exchange = self.environ["gateway.exchange"]
        return found

    def take(self, step: Callable[[], object]) -> bool:
        """Take a step; False if it ends the request, or cannot be told."""
        try:
            step()
        except NotAsked as error:
            self.unknown.append(str(error))
        except Exception as error:  # noqa: BLE001  answered as what it is, and a bug with 500
            self.refusal = self.refusal or error
        else:
            return True
        return False
