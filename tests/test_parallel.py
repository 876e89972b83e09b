"""What is done beside requests: begun at once or refused, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest

from gateway import parallel
from gateway.parallel import Task, Workers
from tests.support.gunicorn import wait_for

WAIT = 10.0


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the test's end: tasks that wait for it end then."""
    event = threading.Event()
    yield event
    event.set()


def at_work() -> int:
    """Threads of all `Workers` of this process."""
    return sum(thread.name == "gateway-parallel" for thread in threading.enumerate())


def test_tasks_run_beside_each_other_up_to_the_most(over: threading.Event) -> None:
    workers = Workers(3, 0.05)
    begun = threading.Semaphore(0)

    def task() -> None:
        begun.release()
        over.wait(WAIT)

    assert [workers.start(task) for _ in range(5)] == [True, True, True, False, False]
    assert all(begun.acquire(timeout=WAIT) for _ in range(3))
    over.set()
    assert wait_for(lambda: workers.start(lambda: None))


def test_a_thread_takes_one_task_after_the_other() -> None:
    workers = Workers(8, 5.0)
    seen: SimpleQueue[int] = SimpleQueue()
    for _ in range(50):
        assert workers.start(lambda: seen.put(threading.get_ident()))
        seen.get(timeout=WAIT)
        assert wait_for(lambda: bool(workers._idle))
    assert workers._count == 1


def test_idle_threads_end() -> None:
    before = at_work()
    workers = Workers(20, 0.05)
    for _ in range(20):
        workers.start(lambda: None)
    assert wait_for(lambda: workers._count == 0)
    assert wait_for(lambda: at_work() <= before)
    assert not workers._idle


def test_a_task_that_fails_is_logged_and_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers(1, 5.0)
    done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    assert workers.start(fail)
    assert wait_for(lambda: workers.start(done.set))
    assert done.wait(WAIT)
    assert "ZeroDivisionError" in caplog.text


def test_a_task_is_let_go_when_it_is_done() -> None:
    workers = Workers(1, 5.0)
    gone = threading.Event()

    class Held:
        def __call__(self) -> None:
            pass

        def __del__(self) -> None:
            gone.set()

    assert workers.start(Held())
    assert gone.wait(WAIT)


def test_a_thread_that_cannot_be_had_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(1, 5.0)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not workers.start(lambda: None)
    done = threading.Event()
    assert workers.start(done.set)
    assert done.wait(WAIT)


class Late(SimpleQueue[Task]):
    """An inbox whose owner is just giving up when a task comes."""

    def get(self, block: bool = True, timeout: float | None = None) -> Task:
        if timeout is not None:
            raise Empty
        return super().get(block)


def test_a_task_that_comes_as_a_thread_gives_up_is_done() -> None:
    workers = Workers(1, 5.0)
    inbox = Late()
    done = threading.Event()
    inbox.put(done.set)  # and `inbox` is among the idle no more
    assert workers._next(inbox) == done.set


def test_many_threads_use_one_set_of_workers() -> None:
    workers = Workers(4, 0.001)  # so short that giving up and taking meet
    done: SimpleQueue[None] = SimpleQueue()
    accepted: SimpleQueue[None] = SimpleQueue()

    def ask() -> None:
        for _ in range(300):
            if workers.start(lambda: done.put(None)):
                accepted.put(None)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accepted.qsize() > 0
    assert wait_for(lambda: done.qsize() == accepted.qsize())
    assert wait_for(lambda: workers._count == 0)


def test_a_forked_child_has_workers_of_its_own() -> None:
    done = threading.Event()
    assert parallel.start(done.set)
    assert done.wait(WAIT)
    script = (
        "import os, threading, warnings\n"
        "from gateway import parallel\n"
        "warnings.simplefilter('ignore')\n"
        "done = threading.Event()\n"
        "assert parallel.start(done.set) and done.wait(5)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    again = threading.Event()\n"
        "    os._exit(0 if parallel.start(again.set) and again.wait(5) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    assert os.getpid() in parallel._workers


GREENLETS = "from gevent import monkey; monkey.patch_all()\n"
HANGING = (
    "import threading, time\n"
    "from gateway import parallel\n"
    "begun = threading.Event()\n"
    "def hang():\n"
    "    begun.set()\n"
    "    time.sleep(60)\n"
    "assert parallel.start(hang)\n"
    "assert begun.wait(5)\n"
    "time.sleep(0.2)\n"
    "(workers,) = parallel._workers.values()\n"
    "print(workers.most)\n"
)


@pytest.mark.parametrize(("patch", "most"), [("", 64), (GREENLETS, 512)], ids=["threads", "gevent"])
def test_a_process_ends_with_a_task_under_way(patch: str, most: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", patch + HANGING], capture_output=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert int(ended.stdout) == most
