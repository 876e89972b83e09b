"""A backend: the routes of one small JSON service. Standard library only, no sockets here."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

Record = dict[str, Any]
View = Callable[..., "Reply"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `origin` is the backend's own, such as http://127.0.0.1:4711."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes
    origin: str

    def json(self) -> Record:
        """The body as a JSON object; anything else is refused with 400."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Refusal(400, "The body is not JSON.") from None
        if not isinstance(value, dict):
            raise Refusal(400, "The body must be a JSON object.")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: a JSON body, no body (None), or `events`, sent as a server-sent-event stream."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Iterable[bytes] | None = None

    def payload(self) -> bytes:
        """The encoded body; the last newline keeps a terminal's prompt on its own line."""
        return b"" if self.body is None else json.dumps(self.body, indent=2).encode() + b"\n"


class Refusal(Exception):
    """An error reply, raised: a status, a sentence for people, and extra headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"error": {"status": status, "message": message}}, headers or {})


class Backend:
    """A named table of routes. `{id}` in a path stands for a whole number, given to the view."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._routes: dict[re.Pattern[str], dict[str, View]] = {}
        # Requests arrive on threads; views take microseconds, so one at a time is simplest.
        self._lock = threading.Lock()
        self.get("/health")(lambda request: Reply(body={"status": "ok", "service": name}))

    def get(self, path: str) -> Callable[[View], View]:
        """Register a view for GET, and with it HEAD."""
        return self._route("GET", path)

    def post(self, path: str) -> Callable[[View], View]:
        """Register a view for POST."""
        return self._route("POST", path)

    def delete(self, path: str) -> Callable[[View], View]:
        """Register a view for DELETE."""
        return self._route("DELETE", path)

    def answer(self, request: Request) -> Reply:
        """The reply of the matching view. Raises Refusal: 404, 405, or what the view refuses."""
        views, ids = self._find(request.path)
        allow = {"Allow": ", ".join(_allowed(views))}
        if request.method == "OPTIONS":
            return Reply(204, headers=allow)
        view = views.get("GET" if request.method == "HEAD" else request.method)
        if view is None:
            raise Refusal(405, f"{request.method} is not allowed here.", allow)
        with self._lock:
            return view(request, *ids)

    def _route(self, method: str, path: str) -> Callable[[View], View]:
        pattern = re.compile(path.replace("{id}", "([0-9]{1,18})") + "/?")

        def register(view: View) -> View:
            self._routes.setdefault(pattern, {})[method] = view
            return view

        return register

    def _find(self, path: str) -> tuple[dict[str, View], list[int]]:
        for pattern, views in self._routes.items():
            if match := pattern.fullmatch(path):
                return views, [int(group) for group in match.groups()]
        raise Refusal(404, f"Nothing is at {path}.")


def _allowed(views: Mapping[str, View]) -> list[str]:
    head = ["HEAD"] if "GET" in views else []
    return sorted([*views, *head, "OPTIONS"])
