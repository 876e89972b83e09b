"""The first run: example backends and the gateway in front of them, until Ctrl-C."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from examples.processes import Failure, Processes, Stop
from examples.starting import free_port, start_backends, start_gateway
from examples.tokens import TokenError, has_own_keys, keep_secret, make_token
from examples.welcome import ROLES, welcome


def main() -> int:
    """Run until asked to stop. 0 after that, 1 when something failed."""
    processes = Processes()
    processes.listen()
    try:
        run(processes, dict(os.environ))
    except Stop:
        return 0
    except Failure as failure:
        print(f"examples: {failure}", file=sys.stderr, flush=True)
        return 1
    finally:
        processes.end()


def run(processes: Processes, environment: dict[str, str]) -> NoReturn:
    """Start everything, say how to use it, and watch it. Ends only by raising Stop or Failure."""
    port = free_port(environment)
    environment["PORT"] = str(port)
    environment["WEB_CONCURRENCY"] = environment.get("WEB_CONCURRENCY") or "2"
    if not has_own_keys(environment):
        environment["JWT_SECRET"] = keep_secret()
    urls, places = start_backends(processes, environment)
    environment |= urls
    start_gateway(processes, environment, port)
    tokens = make_tokens(environment)
    processes.check()
    say(welcome(f"http://127.0.0.1:{port}", places, tokens))
    while True:
        processes.wait(60)


def make_tokens(environment: Mapping[str, str]) -> dict[str, str]:
    """A token for each role, or none: with keys of one's own they may not be ours to make."""
    try:
        with ThreadPoolExecutor() as pool:
            made = pool.map(lambda role: make_token(role, environment), ROLES)
            return dict(zip(ROLES, made, strict=True))
    except TokenError as error:
        print(f"examples: no tokens: {str(error).splitlines()[-1]}", file=sys.stderr, flush=True)
        return {}


def say(text: str) -> None:
    """Print at once, even into a pipe; when nobody reads any more, carry on silently."""
    try:
        print(text, flush=True)
    except OSError:
        # Or the interpreter would try again, and complain, when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
