"""The steps of a start: a free port, the example backends, a gateway that is ready."""

import errno
import http.client
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping

from examples.processes import Failure, Process, Processes
from examples.tokens import ROOT

SERVICES = ("users", "orders", "products", "payments", "notifications")
GATEWAY = ("-m", "gunicorn", "-c", "python:gateway.server", "app:app")
BACKEND_WITHIN = 15.0
READY_WITHIN = 20.0


def free_port(environment: Mapping[str, str]) -> int:
    """The port to listen on, seen to be free. Raises Failure when it is not, or is no port."""
    if environment.get("BIND"):
        raise Failure("BIND is set, but this run listens on PORT: unset BIND")
    text = environment.get("PORT") or "8000"
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= 65535):
        raise Failure(f"PORT must be a number from 1 to 65535, not {text!r}")
    # Both, because macOS lets one be bound while the other is taken.
    for host in ("127.0.0.1", "0.0.0.0"):
        _probe(host, int(text))
    return int(text)


def start_backends(
    processes: Processes, environment: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Start a backend for each service that has no `<NAME>_URL`.

    Gives the variables to add to the gateway's environment, and where each service is, for people.
    """
    given = {name for name in SERVICES if environment.get(_variable(name))}
    started = {
        name: processes.start(
            f"the {name} backend",
            [sys.executable, "-m", f"examples.{name}", "--supervised"],
            environment=environment,
            folder=ROOT,
            patience=2.0,
            pipes=True,
        )
        for name in SERVICES
        if name not in given
    }
    # Read when all are starting, so that they start at the same time.
    urls = {name: _reported_url(process) for name, process in started.items()}
    # The given address is not shown: it may hold a password.
    places = {name: urls.get(name) or f"as {_variable(name)} says" for name in SERVICES}
    return {_variable(name): url for name, url in urls.items()}, places


def start_gateway(processes: Processes, environment: Mapping[str, str], port: int) -> None:
    """Start gunicorn and come back when it is ready. Raises Failure, or Stop when asked to."""
    gateway = processes.start(
        "the gateway",
        [sys.executable, *GATEWAY],
        environment=environment,
        folder=ROOT,
        patience=10.0,
    )
    end = time.monotonic() + READY_WITHIN
    while (answer := _readiness(port)) != "200":
        if time.monotonic() > end:
            raise Failure(f"the gateway was not ready within {READY_WITHIN:g} s: {answer}")
        processes.wait(0.1)
    # gunicorn's quick stop; before it is up, SIGINT would print a traceback instead.
    gateway.hurried = signal.SIGINT


def _variable(service: str) -> str:
    return f"{service.upper()}_URL"


def _probe(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Failure(f"port {port} is in use; set PORT to another one") from None
            raise Failure(f"port {port} cannot be used: {error.strerror}") from None


def _reported_url(process: Process) -> str:
    """The line in which a backend says where it listens."""
    pipe = process.handle.stdout
    line = ""
    if pipe is not None and select.select([pipe], [], [], BACKEND_WITHIN)[0]:
        line = pipe.readline().decode().strip()
    if not line.startswith("http://"):
        raise Failure(f"{process.name} did not start")
    return line


def _readiness(port: int) -> str:
    """The status of /readyz, or why there is none. http.client knows no proxy variables."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
