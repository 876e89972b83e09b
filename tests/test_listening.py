"""What happens to those who connect while the gateway closes its listeners."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import listening

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is done")


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["4", "6"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A listening socket as the master has it."""
    family, host = request.param
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        sock.listen(16)
        sock.setblocking(False)
        yield sock


def arbiter(sock: Any, **changes: Any) -> SimpleNamespace:
    """A master that listens there, and whose listeners nobody else has."""
    usual = {
        "LISTENERS": [SimpleNamespace(sock=sock)],
        "cfg": SimpleNamespace(address=[("127.0.0.1", 80)]),
        "systemd": False,
        "reexec_pid": 0,
        "master_pid": 0,
    }
    return SimpleNamespace(**{**usual, **changes})


def connected(listener: socket.socket) -> socket.socket:
    """A client of it."""
    return socket.create_connection(listener.getsockname()[:2], 10)


def test_who_is_let_in_already_is_served(listener: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(listener)) for _ in range(5)]
        listening.refuse_newcomers(arbiter(listener))
        with pytest.raises(ConnectionRefusedError):
            connected(listener)
        for client in clients:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"served")
                client.sendall(b"asked")
                assert (accepted.recv(9), client.recv(9)) == (b"asked", b"served")
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_between_the_last_look_and_the_close_nobody_is_let_in(listener: socket.socket) -> None:
    """Without it such a client is connected, sends its request, and is reset."""
    listening.refuse_newcomers(arbiter(listener))
    with pytest.raises(BlockingIOError):
        listener.accept()
    with pytest.raises(ConnectionRefusedError):
        connected(listener)
    listener.close()


def test_others_see_it_done(listener: socket.socket) -> None:
    with listener.dup() as other:
        assert not listening.refuses_newcomers(other)
        listening.refuse_newcomers(arbiter(listener))
        assert listening.refuses_newcomers(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"systemd": True},
        {"reexec_pid": 7},
        {"master_pid": 7},
        {"cfg": SimpleNamespace(address=[3])},
    ],
    ids=["systemd's", "of the next gateway", "of the one before", "a given file"],
)
def test_what_others_go_on_with_is_left_alone(
    listener: socket.socket, changes: dict[str, Any]
) -> None:
    listening.refuse_newcomers(arbiter(listener, **changes))
    connected(listener).close()


def test_a_unix_socket_is_left_alone() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        listening.refuse_newcomers(arbiter(sock))
        assert not listening.refuses_newcomers(sock)


def test_where_the_kernel_cannot_nothing_happens(listener: socket.socket) -> None:
    old = SimpleNamespace(family=listener.family, setsockopt=_unknown, getsockopt=_unknown)
    listening.refuse_newcomers(arbiter(old))
    assert not listening.refuses_newcomers(old)


def _unknown(*_option: object) -> int:
    raise OSError("Protocol not available")
