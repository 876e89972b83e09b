"""gunicorn's settings and hooks: `gunicorn -c python:gateway.server app:app`.

Read by the master before it forks, so nothing here may load what gevent patches later.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from gunicorn.errors import HaltServer
from pydantic import ValidationError

from gateway import lifecycle, listening
from settings import Settings

# Seconds of draining in which nobody new may connect, and who began to is let in.
_HANDSHAKE = 0.2

# Seconds for which a new connection may send nothing, where none is kept alive.
_SILENT = 10

try:
    _settings = Settings()
except ValidationError:
    # Wrong values are reported by on_starting, with every other fault.
    _settings = Settings.model_construct()

bind = _settings.bind
workers = _settings.WEB_CONCURRENCY
worker_class = {
    "gevent": "gateway.gevent_worker.GeventWorker",
    "gthread": "gateway.workers.ThreadWorker",
}[_settings.WORKER_CLASS]
# More than what is forwarded or waits for it: for requests that are answered here, and for
# connections that are merely kept alive.
worker_connections = _settings.WORKER_CONNECTIONS + 2 * _settings.worker_waiting
if _settings.WORKER_CLASS == "gthread":
    threads = _settings.WORKER_THREADS + _settings.worker_waiting + 2
    worker_connections = max(_settings.WORKER_CONNECTIONS, 2 * threads)
# With 0, gunicorn would wait without end for what a new connection sends. The workers close each
# after its answer.
keepalive = _settings.KEEPALIVE_SECONDS or _SILENT
timeout = 60
graceful_timeout = _settings.GRACEFUL_TIMEOUT
max_requests = _settings.MAX_REQUESTS
max_requests_jitter = _settings.MAX_REQUESTS_JITTER
limit_request_line = _settings.LIMIT_REQUEST_LINE
limit_request_fields = _settings.LIMIT_REQUEST_FIELDS
limit_request_field_size = _settings.LIMIT_REQUEST_FIELD_SIZE
# Proxies are trusted by gateway.edge alone; gunicorn must not let one set the scheme or path.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# X_User_Id would arrive as X-User-Id.
header_map = "drop"
errorlog = "-"
accesslog = None
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  gunicorn's advice


def on_starting(server: Any) -> None:
    """Check everything once before any worker is started."""
    if _settings.WORKER_CLASS == "gthread":  # see the module's docstring
        for library in _libraries():
            import_module(library)
    # Who is forked shares what is here for as long as its collector leaves it alone.
    gc.freeze()
    if not _loadable(server):
        sys.exit(1)


def _libraries() -> Iterator[str]:
    """What each worker would load by itself; none of the fork's own, which a reload reads anew."""
    yield from ("cachetools", "flask", "flask_limiter", "jwt", "lmdb", "orjson", "requests")
    if _settings.REDIS_URL:
        yield "redis"
    if _settings.API_KEYS or _settings.PLANS:  # there may be a database
        yield "sqlalchemy"


def _loadable(server: Any) -> bool:
    """Whether a worker could load the application; tried in a process of its own."""
    child = os.fork()
    if child == 0:
        gc.disable()  # it is over before there is anything to collect
        os._exit(_checked(server.app.wsgi))
    _, status = os.waitpid(child, 0)
    return status == 0


def _checked(load: Callable[[], Any]) -> int:
    """0 if the application can be loaded; otherwise its faults are printed."""
    from gateway.errors import ConfigurationError  # see the module's docstring

    try:
        from gateway.configuration import load_settings

        load()
        load_settings()  # for an application that was not made from the environment
    except ConfigurationError as error:
        sys.stderr.write(f"The gateway cannot start:\n{error}\n")
        return 1
    except Exception:  # noqa: BLE001  a fault of the fork's own code: its author needs the place
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0


def when_ready(server: Any) -> None:
    """Have a graceful stop begin with a time in which `/readyz` alone says no, and a reload only
    take place if what it would load can be loaded: a worker that cannot start ends the gateway."""
    stop, reload = server.stop, server.reload

    def checked_reload() -> None:
        if _loadable(server):
            reload()
        else:
            server.log.error("Not reloaded: the old workers go on")

    def drain_and_stop(graceful: bool = True) -> None:
        if graceful and lifecycle.phase() == lifecycle.SERVING:
            lifecycle.enter(lifecycle.DRAINING)
            graceful = _drained(server, _settings.DRAIN_SECONDS)
        lifecycle.enter(lifecycle.STOPPING)
        stop(graceful)

    server.stop, server.reload = drain_and_stop, checked_reload
    listening.bound_sending(server, _settings.SEND_TIMEOUT)


def _drained(server: Any, seconds: float) -> bool:
    """Wait, at the end without new connections; False if a signal asks for a quick stop."""
    last = min(seconds, _HANDSHAKE)
    if _interrupted(server, seconds - last):
        return False
    listening.refuse_newcomers(server)
    return not _interrupted(server, last)


def _interrupted(server: Any, seconds: float) -> bool:
    """Wait; True as soon as a signal asks for a quick stop instead."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            if server.SIG_QUEUE.get(timeout=min(left, 0.1)) in (signal.SIGINT, signal.SIGQUIT):
                return True
        with contextlib.suppress(HaltServer):  # we halt already
            # A worker may have reached its MAX_REQUESTS just before.
            server.reap_workers()
            server.manage_workers()
    return False


def post_fork(server: Any, worker: Any) -> None:
    """Tell the worker what gunicorn's settings cannot, and load the application without looking for
    garbage in it: `post_worker_init` goes on."""
    worker.keeps_alive = _settings.KEEPALIVE_SECONDS > 0
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """The application is loaded and stays: the collector need not look at it again, now or when
    the worker ends. The gateway's own messages go where gunicorn's go, and look like them."""
    gc.freeze()
    gc.enable()
    log = logging.getLogger("gateway")
    log.handlers = worker.log.error_log.handlers
    log.setLevel(logging.INFO)
    log.propagate = False
    _pulse(worker, "begin")


def worker_exit(server: Any, worker: Any) -> None:
    """Leave to others what this worker did for all, and write down what it counted."""
    _pulse(worker, "end")
    records = getattr(_gateway(worker), "records", None)
    if records is not None:
        records.close()


def _pulse(worker: Any, what: str) -> None:
    gateway = _gateway(worker)
    if gateway is not None:
        getattr(gateway.pulse, what)()


def _gateway(worker: Any) -> Any:
    return getattr(getattr(worker, "wsgi", None), "extensions", {}).get("gateway")


def pre_request(worker: Any, request: Any) -> None:
    """Leave the parsed message on its body, where the application finds it: it still has repeated
    fields apart, and can be told to close the connection."""
    request.body.message = request
