"""Clients that know which worker they talk to: a connection stays with the one that accepted it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.client import Connection, Reply
from tests.support.gunicorn import Gateway, wait_for
from tests.support.messages import request_head

_STACK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Client:
    """A connection that stays, and the worker at its other end."""

    connection: Connection
    worker: int

    def get(self, target: bytes, *headers: bytes, method: bytes = b"GET") -> Reply:
        """Ask, and read all of the answer."""
        self.connection.send(request_head(target, *headers, method=method))
        return self.connection.read_reply(to_head=method == b"HEAD")


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and when it came: seconds after the first of the burst was asked for."""

    reply: Reply
    seconds: float

    @property
    def cache(self) -> str:
        """What the cache did."""
        return b",".join(self.reply.header(b"X-Cache")).decode()

    @property
    def collapsed(self) -> bool:
        """Whether it waited for what another one had asked for."""
        return b"collapsed" in b",".join(self.reply.header(b"Cache-Status"))


@contextlib.contextmanager
def pinned(gateway: Gateway, count: int, workers: int = 4) -> Iterator[list[Client]]:
    """So many clients, and every worker has some of them; the first ones are all apart."""
    assert wait_for(lambda: len(gateway.worker_pids()) == workers)
    with contextlib.ExitStack() as stack:
        found: list[Client] = []
        end = time.monotonic() + 30
        while len(found) < count or len({one.worker for one in found}) < workers:
            assert time.monotonic() < end, "there are workers that take no connection"
            connection = stack.enter_context(Connection(gateway.address))
            connection.send(request_head(b"/worker/pid"))
            found.append(Client(connection, int(connection.read_reply().body)))
        firsts = list({one.worker: one for one in found}.values())
        others = [one for one in found if one not in firsts]
        yield [*firsts, *others][:count]


def together(clients: list[Client], target: bytes, *headers: bytes) -> list[Answered]:
    """What each was answered to the same request, sent at the same time."""
    with burst(clients, target, *headers) as answers:
        pass
    return answers


@contextlib.contextmanager
def burst(clients: list[Client], target: bytes, *headers: bytes) -> Iterator[list[Answered]]:
    """Requests that are under way within the block; it ends when each is answered."""
    answers: list[Answered] = []
    errors: list[Exception] = []
    begun = time.monotonic()

    def ask(client: Client) -> None:
        try:
            reply = client.get(target, *headers)
        except Exception as error:
            errors.append(error)
        else:
            answers.append(Answered(reply, time.monotonic() - begun))

    before = threading.stack_size(_STACK)
    try:
        threads = [threading.Thread(target=ask, args=(one,), daemon=True) for one in clients]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(before)
    yield answers
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client waits for an answer that does not come"
    assert not errors, errors


def soon(
    client: Client, target: bytes, good: Callable[[bytes], bool], seconds: float = 10.0
) -> bool:
    """Whether what a worker answers is right in time; at once, if that is 0."""
    return wait_for(lambda: good(client.get(target).body), seconds)
