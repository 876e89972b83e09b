"""Room 2 as one list: what a request has to pass, in order, before anything is done for it.

The steps take the environ alone, so that a request can be admitted before Flask has it
(`gateway.early`); Flask's hook then finds that done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request

from gateway.errors import ClientGone, Refusal, UpstreamError

#: Passes a request or raises Refusal, UpstreamError or ClientGone.
Step = Callable[[dict[str, Any]], None]

_ADMITTED = "gateway.admitted"
_STOPPED = "gateway.stopped"


class Admission:
    """The steps of one application."""

    def __init__(self) -> None:
        self.steps: tuple[Step, ...] = ()

    def add(self, *steps: Step | None) -> None:
        """Add the steps that there are, the next last."""
        self.steps += tuple(step for step in steps if step is not None)

    def hook(self) -> None:
        """What Flask calls before the application's other hooks."""
        environ = request.environ
        if environ.pop(_ADMITTED, False):
            if _STOPPED in environ:
                raise environ.pop(_STOPPED)
            return
        for step in self.steps:
            step(environ)

    def ahead(self, environ: dict[str, Any]) -> bool:
        """Take the steps before Flask; False if one stopped the request: Flask's hook raises it
        again, to be answered as ever."""
        environ[_ADMITTED] = True
        try:
            for step in self.steps:
                step(environ)
        except (Refusal, UpstreamError, ClientGone) as error:
            # Its traceback leads back to the environ: only the collector would free the two.
            environ[_STOPPED] = error.with_traceback(None)
            return False
        except Exception as error:  # noqa: BLE001  raised again, and answered, in Flask
            environ[_STOPPED] = error  # with the place where it happened
            return False
        return True
