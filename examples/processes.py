"""The processes of one run: started in order, watched, and always ended."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

TICK = 0.05
"""Seconds between two looks at the processes."""


class Failure(Exception):
    """Why the run cannot go on."""


class Stop(Exception):
    """The run was asked to end."""


@dataclass(slots=True)
class Process:
    """A started process, the seconds it gets to end, and the signal that hurries it."""

    name: str
    handle: subprocess.Popen[bytes]
    patience: float
    hurried: signal.Signals = signal.SIGTERM

    def obituary(self) -> str | None:
        """How it ended, or None while it runs."""
        code = self.handle.poll()
        if code is None:
            return None
        cause = f"signal {-code}" if code < 0 else f"exit status {code}"
        return f"{self.name} ended unexpectedly ({cause})"


@dataclass(slots=True)
class Processes:
    """What was started so far, oldest first, and the signals that asked this run to stop."""

    started: list[Process] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and the closing of the terminal as the wish to stop.

        Only noted here and acted on in `check`: an exception out of a signal handler could lose
        a process between its start and its entry in the list.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        patience: float,
        pipes: bool = False,
    ) -> Process:
        """Start a process in a session of its own, so that Ctrl-C reaches the supervisor only.

        With `pipes` its stdin and stdout are pipes to here; stdin closes when this process ends.
        """
        handle = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else None,
            start_new_session=True,
        )
        process = Process(name, handle, patience)
        self.started.append(process)
        return process

    def check(self) -> None:
        """Raises Stop when asked to end, and Failure when a process has ended by itself."""
        if self.asked:
            raise Stop
        for process in self.started:
            if obituary := process.obituary():
                raise Failure(obituary)

    def wait(self, seconds: float) -> None:
        """Sleep, but `check` all the while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(TICK)

    def end(self) -> None:
        """End all of them, the newest first. After SIGTERM requests may finish; else hurry."""
        graceful = self.asked and self.asked[0] != signal.SIGINT
        for process in reversed(self.started):
            self._end(process, signal.SIGTERM if graceful else process.hurried)
        self.started.clear()

    def _end(self, process: Process, number: signal.Signals) -> None:
        handle = process.handle
        if handle.poll() is None:
            handle.send_signal(number)
            limit = time.monotonic() + process.patience
            # A second Ctrl-C means now.
            while handle.poll() is None and time.monotonic() < limit and len(self.asked) < 2:
                time.sleep(TICK)
        # Its workers too: they share its process group, and may outlive one that was killed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(handle.pid, signal.SIGKILL)
        handle.wait()
        for pipe in (handle.stdin, handle.stdout):
            if pipe is not None:
                pipe.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked.append(number)
