"""A scripted upstream: a real listening socket that plays the bytes a test wrote down.

It says nothing of its own, so a test decides every byte a backend sends, when it sends it and
how it leaves, and afterwards sees every byte the gateway sent:

    with ScriptedUpstream() as upstream:
        upstream.respond(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        ...                                          # point a service at upstream.url
        assert upstream.requests[0].target == b"/orders/7"

A script is a list of steps: `Send`, `Wait`, `Until`, `ReadBody`, `Close`, `Reset`, `Hang`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_PIECE = 1 << 18
_LINGER = 2.0
# Polling for this alone reports a peer that left, however many of its bytes are still unread.
_PEER_LEFT = getattr(select, "POLLRDHUP", 0)


class Step:
    """One thing a scripted upstream does; what it can do are the classes below."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Send(Step):
    """Bytes to send, `times` times over."""

    data: bytes
    times: int = 1


@dataclass(frozen=True, slots=True)
class Wait(Step):
    """Silence for some seconds; the script ends at once if the peer leaves meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until(Step):
    """Silence until an event is set, `limit` seconds at the most."""

    event: threading.Event
    limit: float = 20.0


@dataclass(frozen=True, slots=True)
class ReadBody(Step):
    """The moment to read the request's body, in a script that starts before it."""


@dataclass(frozen=True, slots=True)
class Close(Step):
    """An orderly end: all bytes sent so far arrive, then the end of the stream."""


@dataclass(frozen=True, slots=True)
class Reset(Step):
    """An abrupt end: a TCP reset, bytes under way may be lost."""


@dataclass(frozen=True, slots=True)
class Hang(Step):
    """Silence until the peer leaves or the upstream is reset or closed."""


Script = Sequence[Step]


@dataclass(slots=True, eq=False)
class Received:
    """One request as it arrived; recorded from its head on, it grows with its body."""

    #: Which TCP connection carried it, counted from 0 since the last reset.
    connection: int
    #: Request line and header lines, with the empty line that ends them.
    head: bytes
    #: Every byte as it came, framing included.
    raw: bytes
    #: The body without its framing.
    body: bytes = b""
    #: Length of the body so far, also when bodies are not kept.
    size: int = 0
    #: Whether the body reached the end that its framing announced.
    complete: bool = False

    @property
    def method(self) -> bytes:
        """The request line's method."""
        return self.head.split(b" ", 1)[0]

    @property
    def target(self) -> bytes:
        """The request line's target, byte for byte."""
        return self.head.split(b"\r\n", 1)[0].split(b" ", 1)[1].rsplit(b" ", 1)[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header lines in order: names as sent, values without surrounding spaces."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:-2])
        return [(name, value.strip(b" \t")) for name, _, value in pairs]

    def header(self, name: bytes) -> list[bytes]:
        """All values of one header, in order; names compare without case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection that the peer left first; `at` is `time.monotonic()`."""

    connection: int
    at: float


@dataclass(slots=True, eq=False)
class _Scene:
    """What is said and heard between two resets; a connection belongs to one for good."""

    choose: Callable[[int, Received], Script] = lambda _index, _received: [Send(_OK)]
    early: bool = False
    keep_bodies: bool = True
    requests: list[Received] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)


class ScriptedUpstream:
    """A backend to be used as a context manager; on a free port of 127.0.0.1, unless told where.

    Until told otherwise it answers `200` with the body `ok`. Each connection is played on its own
    thread, so scripts of different connections run side by side.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=256)
        self._changed = threading.Condition()
        self._scene = _Scene()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def requests(self) -> list[Received]:
        """The requests since the last reset, in the order their heads arrived."""
        return self._scene.requests

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted since the last reset."""
        return len(self._scene.sockets)

    @property
    def closed(self) -> list[Closed]:
        """The connections that the peer closed or reset first, in order."""
        return self._scene.closed

    def respond(self, *responses: bytes) -> None:
        """Answer each request with the next of these, and with the last one ever after."""
        self.script(*([Send(response)] for response in responses))

    def script(self, *scripts: Script, early: bool = False, keep_bodies: bool = True) -> None:
        """Play the next of these scripts for each request, and the last one ever after.

        `early` starts them when the head has come, before the body is read. Without `keep_bodies`
        bodies are counted and dropped, for tests with very large ones.
        """
        scene = self._scene
        scene.early, scene.keep_bodies = early, keep_bodies
        first = len(scene.requests)
        scene.choose = lambda index, _received: scripts[min(index - first, len(scripts) - 1)]

    def answer(self, function: Callable[[Received], Script]) -> None:
        """Play the script that this function makes of each request, once it is complete."""
        self._scene.choose = lambda _index, received: function(received)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> bool:
        """Whether the condition came true in time; it is looked at when anything arrives."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def wait_closed(self, connection: int = 0, timeout: float = 10.0) -> bool:
        """Whether the peer closed this connection in time."""
        return self.wait_until(
            lambda: any(left.connection == connection for left in self.closed), timeout
        )

    def reset(self) -> None:
        """Forget scripts and recordings and end every connection; the address stays."""
        with self._changed:
            past, self._scene = self._scene, _Scene()
        for sock in past.sockets:
            _shut(sock)

    def close(self) -> None:
        """Stop listening and end every connection."""
        _shut(self._listener)
        self._listener.close()
        self.reset()

    def __enter__(self) -> ScriptedUpstream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # raised once the listener is closed
            while True:
                sock, _ = self._listener.accept()
                # The pieces of a script are to leave as written, not merged by the kernel.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._changed:
                    connection = _Connection(sock, self._scene, self._changed)
                    self._changed.notify_all()
                threading.Thread(target=connection.run, daemon=True).start()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is shut already
        sock.shutdown(socket.SHUT_RDWR)


class _PeerLeft(Exception):
    """The peer closed or reset the connection."""


class _Connection:
    """One accepted connection: reads requests, records them and plays their scripts."""

    def __init__(self, sock: socket.socket, scene: _Scene, changed: threading.Condition) -> None:
        self._sock, self._scene, self._changed = sock, scene, changed
        self._number = len(scene.sockets)
        self._unread = bytearray()
        scene.sockets.append(sock)

    def run(self) -> None:
        """Serve requests until either side leaves, or what comes cannot be read as HTTP."""
        try:
            while self._serve():
                pass
        except ValueError:
            pass  # a malformed length: the request stays incomplete
        except (_PeerLeft, OSError):
            with self._changed:
                self._scene.closed.append(Closed(self._number, time.monotonic()))
                self._changed.notify_all()
        finally:
            self._sock.close()

    def _serve(self) -> bool:
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            self._more()
        head = self._take(end + 4)
        received = Received(self._number, head, head)
        with self._changed:
            index = len(self._scene.requests)
            self._scene.requests.append(received)
            self._changed.notify_all()
        if not self._scene.early:
            self._read_body(received)
        for step in self._scene.choose(index, received):
            if not self._play(step, received):
                return False
        self._read_body(received)
        return True

    def _play(self, step: Step, received: Received) -> bool:
        """Do one step; False when it ended the connection."""
        match step:
            case Send(data, times):
                for _ in range(times):
                    self._sock.sendall(data)
            case Wait(seconds):
                self._silence(lambda: False, seconds)
            case Until(event, limit):
                self._silence(event.is_set, limit)
            case Hang():
                self._silence(lambda: False, float("inf"))
            case ReadBody():
                self._read_body(received)
            case Close():
                self._linger()
                return False
            case Reset():
                linger = struct.pack("ii", 1, 0)
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
        return True

    def _silence(self, over: Callable[[], bool], limit: float) -> None:
        poller = select.poll()
        poller.register(self._sock, _PEER_LEFT)
        end = time.monotonic() + limit
        while not over() and time.monotonic() < end:
            if poller.poll(5):
                raise _PeerLeft

    def _linger(self) -> None:
        """End the stream, then wait for the peer: closing over unread bytes would reset."""
        self._sock.shutdown(socket.SHUT_WR)
        self._sock.settimeout(_LINGER)
        with contextlib.suppress(OSError):
            while self._sock.recv(_PIECE):
                pass

    def _read_body(self, received: Received) -> None:
        if received.complete:
            return
        if received.header(b"Transfer-Encoding"):
            while size := int(self._line(received).split(b";")[0], 16):
                self._pass(received, size)
                self._line(received)
            while self._line(received) != b"\r\n":
                pass
        else:
            self._pass(received, int((received.header(b"Content-Length") or [b"0"])[0]))
        with self._changed:
            received.complete = True
            self._changed.notify_all()

    def _line(self, received: Received) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            self._more()
        line = self._take(end + 1)
        received.raw += line
        return line

    def _pass(self, received: Received, size: int) -> None:
        """Record so many bytes of body, piece by piece as they come."""
        while size:
            if not self._unread:
                self._more()
            piece = self._take(min(size, len(self._unread)))
            size -= len(piece)
            with self._changed:
                received.size += len(piece)
                if self._scene.keep_bodies:
                    received.body += piece
                    received.raw += piece
                self._changed.notify_all()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _more(self) -> None:
        piece = self._sock.recv(_PIECE)
        if not piece:
            raise _PeerLeft
        self._unread += piece
