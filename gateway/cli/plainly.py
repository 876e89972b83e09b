"""Commands that fail say why in a line, and exit with code 1."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

import click

from gateway.errors import ConfigurationError

P = ParamSpec("P")


def failing_plainly(
    log: str, fault: Callable[[Exception], str | None]
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Makes a command say what is wrong with the settings, or what `fault` says of an exception;
    None: it is a bug, and raised. log: the logger that says it, too, in a worker."""
    logging.getLogger(log).addHandler(logging.NullHandler())  # a command says it once

    def plain(command: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(command)
        def wrapped(*arguments: P.args, **options: P.kwargs) -> None:
            try:
                command(*arguments, **options)
            except ConfigurationError as error:
                click.echo(str(error), err=True)
                raise SystemExit(1) from None
            except Exception as error:
                told = fault(error)
                if told is None:
                    raise
                click.echo(f"- {told}", err=True)
                raise SystemExit(1) from None

        return wrapped

    return plain
