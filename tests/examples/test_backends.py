"""The example backends, each in a process of its own, over real sockets."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("users", "orders", "products", "payments", "notifications")


@dataclass(frozen=True)
class Answer:
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A backend process and where it listens."""

    process: subprocess.Popen[bytes]
    origin: str

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        with contextlib.closing(self.connect()) as connection:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.getheaders()), reply.read())

    def send(self, data: bytes) -> bytes:
        """Everything the backend says to these bytes until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(data)
            parts = []
            while part := sock.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def interrupt(self) -> tuple[int, bytes]:
        """Ctrl-C: the exit status and stderr. Its stdin stays open, or that would end it too."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        return self.process.wait(5), self.process.stderr.read()


@contextlib.contextmanager
def backend(name: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-m", f"examples.{name}", "--supervised"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            yield Running(process, process.stdout.readline().decode().strip())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def users() -> Iterator[Running]:
    with backend("users") as running:
        yield running


@pytest.fixture
def orders() -> Iterator[Running]:
    with backend("orders") as running:
        yield running


@pytest.mark.parametrize("name", SERVICES)
def test_every_backend_lists_shows_and_creates(name: str) -> None:
    with backend(name) as running:
        assert running.ask("GET", "/health").json == {"status": "ok", "service": name}
        listed = running.ask("GET", f"/api/v1/{name}").json
        assert listed["total"] == len(listed["items"]) > 3 or name == "payments"
        first = listed["items"][0]
        assert running.ask("GET", f"/api/v1/{name}/{first['id']}").json.items() >= first.items()
        refused = running.ask("POST", f"/api/v1/{name}", b"{}")
        assert refused.status == 400
        assert "needs" in refused.json["error"]["message"]
        created = running.ask("POST", f"/api/v1/{name}", json.dumps(first))
        assert created.status == 201
        path = created.headers["Location"].removeprefix(running.origin)
        assert path == f"/api/v1/{name}/{created.json['id']}"
        assert created.json["id"] not in [item["id"] for item in listed["items"]]
        assert running.ask("GET", path).status == 200


def test_a_list_can_be_narrowed_and_cut_off(orders: Running) -> None:
    mine = orders.ask("GET", "/api/v1/orders?user_id=1").json
    assert [order["id"] for order in mine["items"]] == [1001, 1003]
    cut = orders.ask("GET", "/api/v1/orders?user_id=1&limit=1").json
    assert ([order["id"] for order in cut["items"]], cut["total"]) == ([1001], 2)
    assert orders.ask("GET", "/api/v1/orders?unknown=1").json["total"] == 4


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "99999999999", "²"])
def test_a_limit_that_is_none_is_refused(users: Running, limit: str) -> None:
    path = "/api/v1/users?limit=" + limit.replace("²", "%C2%B2")
    assert users.ask("GET", path).status == 400


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/users/999", "/api/v1/users/x", "/api/v1/users/1/x", "/api/v1/orders"]
)
def test_what_is_not_there_is_404_as_json(users: Running, path: str) -> None:
    answer = users.ask("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")
    assert answer.json["error"]["status"] == 404


def test_a_wrong_method_is_405_with_allow(users: Running) -> None:
    answer = users.ask("DELETE", "/api/v1/users/1")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_options_says_what_is_allowed(users: Running) -> None:
    answer = users.ask("OPTIONS", "/api/v1/users")
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert "Content-Length" not in answer.headers


def test_head_has_the_headers_of_get_and_no_body(users: Running) -> None:
    got, head = users.ask("GET", "/api/v1/users/1"), users.ask("HEAD", "/api/v1/users/1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.body))


def test_one_connection_carries_many_requests(users: Running) -> None:
    with contextlib.closing(users.connect()) as connection:
        connection.connect()
        sock = connection.sock
        for method, path in [("GET", "/api/v1/users"), ("HEAD", "/api/v1/users"), ("GET", "/none")]:
            connection.request(method, path)
            connection.getresponse().read()
            assert connection.sock is sock


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_400(users: Running, body: bytes) -> None:
    assert users.ask("POST", "/api/v1/users", body).status == 400


def test_a_chunked_body_arrives(users: Running) -> None:
    parts = iter([b'{"name": "Noor Haddad",', b' "email": "noor.haddad@example.com"}'])
    answer = users.ask("POST", "/api/v1/users", parts)
    assert (answer.status, answer.json["name"]) == (201, "Noor Haddad")


def test_chunk_extensions_and_trailers_are_skipped(users: Running) -> None:
    head = b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'1b;note="a b"\r\n{"name":"Ada","email":"a"}\n\r\n0\r\nChecksum: 1\r\n\r\n'
    following = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = users.send(head + body + following)
    assert said.startswith(b"HTTP/1.1 201 ")
    assert said.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"Content-Length: -1\r\n\r\n", 400),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"Content-Length: 1048577\r\n\r\n", 413),
        (b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"Transfer-Encoding: chunked\r\n\r\n0x1\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413),
    ],
)
def test_a_body_that_cannot_be_framed_ends_the_connection(
    users: Running, framing: bytes, status: int
) -> None:
    said = users.send(b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\n" + framing)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in said


def test_what_is_not_http_is_refused_in_json(users: Running) -> None:
    said = users.send(b"GET /a b c HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["status"] == 400


def test_events_arrive_one_by_one(users: Running) -> None:
    with contextlib.closing(users.connect()) as connection:
        connection.request("GET", "/api/v1/users/1/events")
        reply = connection.getresponse()
        assert reply.getheader("Content-Type") == "text/event-stream"
        first = [reply.readline() for _ in range(4)]
        begin = time.monotonic()
        rest = reply.read()
        later = time.monotonic() - begin
    assert first[:2] == [b"id: 1\n", b"event: signed_in\n"]
    assert rest.count(b"\n\n") == 2
    assert later > 0.3


def test_an_older_client_gets_events_without_chunks(users: Running) -> None:
    said = users.send(b"GET /api/v1/users/1/events HTTP/1.0\r\n\r\n")
    assert b"Transfer-Encoding" not in said
    assert said.partition(b"\r\n\r\n")[2].startswith(b"id: 1\n")


def test_an_order_shows_who_asked(orders: Running) -> None:
    assert orders.ask("GET", "/api/v1/orders/1001").json["requested_by"] is None
    answer = orders.ask("GET", "/api/v1/orders/1001", X_User_ID="u-7")
    assert answer.json["requested_by"] == "u-7"


def test_no_more_is_refunded_than_was_paid(orders: Running) -> None:
    path = "/api/v1/orders/1001/refunds"
    part = orders.ask("POST", path, b'{"amount": "29.5", "reason": "scratched"}')
    assert (part.status, part.json["amount"], part.json["currency"]) == (201, "29.50", "EUR")
    assert orders.ask("POST", path, b'{"amount": 100}').status == 409
    rest = orders.ask("POST", path)
    assert (rest.status, rest.json["amount"]) == (201, "99.50")
    assert orders.ask("POST", path).status == 409
    assert orders.ask("GET", path).json["total"] == 2
    where = rest.headers["Location"].removeprefix(orders.origin)
    assert orders.ask("GET", where).json == rest.json


@pytest.mark.parametrize("amount", ['"x"', "-1", "0", '"NaN"', "null"])
def test_an_amount_that_is_none_is_refused(orders: Running, amount: str) -> None:
    body = f'{{"amount": {amount}}}'
    assert orders.ask("POST", "/api/v1/orders/1001/refunds", body).status == 400


def test_an_unpaid_order_is_not_refunded(orders: Running) -> None:
    assert orders.ask("POST", "/api/v1/orders/1004/refunds").status == 409
    assert orders.ask("POST", "/api/v1/orders/9/refunds").status == 404


def test_a_product_has_images_reviews_and_relatives() -> None:
    with backend("products") as running:
        product = running.ask("GET", "/api/v1/products/3").json
        assert len(product["images"]) == 3
        for image in product["images"]:
            assert image["thumbnail_url"].startswith("https://images.example.com/")
            assert image["full_url"] != image["thumbnail_url"]
        assert product["specifications"]
        assert product["full_description"].startswith(product["description"])
        assert running.ask("GET", "/api/v1/products/1/reviews").json["total"] == 2
        related = running.ask("GET", "/api/v1/products/3/related").json["items"]
        assert [each["id"] for each in related] == [4, 5]
        # More than the ten and the eight that a page shows.
        assert running.ask("GET", "/api/v1/products/2/reviews").json["total"] == 12
        assert running.ask("GET", "/api/v1/products/2/related").json["total"] == 9


def test_recommendations_are_of_one_user() -> None:
    with backend("products") as running:
        path = "/api/v1/products/recommendations"
        cook = running.ask("GET", f"{path}?user_id=1&limit=3")
        assert [each["category"] for each in cook.json["items"]] == ["kitchen"] * 3
        assert cook.headers["Cache-Control"] == "private, max-age=30"
        clerk = running.ask("GET", f"{path}?user_id=2").json
        assert clerk["items"][0]["category"] == "office"
        assert all(each["stock"] for each in clerk["items"])
        assert running.ask("GET", f"{path}?user_id=99").json["total"] == clerk["total"]
        for nobody in ("", "?user_id=", "?user_id=x"):
            assert running.ask("GET", path + nobody).status == 400


def test_unread_notifications_of_a_user() -> None:
    with backend("notifications") as running:
        path = "/api/v1/notifications?user_id=1"
        assert [each["id"] for each in running.ask("GET", path).json["items"]] == [1, 4]
        unread = running.ask("GET", path + "&unread=true").json
        assert ([each["id"] for each in unread["items"]], unread["total"]) == ([4], 1)


def test_the_catalogue_says_how_long_it_may_be_kept() -> None:
    with backend("products") as running:
        path = "/api/v1/products/3/reviews"
        first = running.ask("GET", path)
        assert first.headers["Cache-Control"].startswith("public, max-age=60")
        assert first.headers["Surrogate-Key"] == "products product-3 reviews"
        again = running.ask("GET", path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        assert "Content-Length" not in again.headers
        other = running.ask("GET", "/api/v1/products", If_None_Match=first.headers["ETag"])
        assert other.status == 200
        assert running.ask("GET", "/api/v1/products/99").headers.get("ETag") is None


def test_a_notification_can_be_deleted_once_and_its_number_is_not_used_again() -> None:
    with backend("notifications") as running:
        assert running.ask("DELETE", "/api/v1/notifications/5").status == 204
        assert running.ask("DELETE", "/api/v1/notifications/5").status == 404
        body = b'{"user_id": 1, "subject": "Hello"}'
        assert running.ask("POST", "/api/v1/notifications", body).json["id"] == 6


def test_a_backend_ends_when_its_supervisor_does() -> None:
    with backend("users") as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(5) == 0


def test_ctrl_c_ends_a_backend_quietly() -> None:
    with backend("users") as running:
        assert running.interrupt() == (0, b"")


def test_clients_that_hang_up_leave_no_noise() -> None:
    with backend("users") as running:
        with socket.create_connection(("127.0.0.1", running.port)) as sock:
            sock.sendall(b"GET /api/v1/users/1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            sock.recv(100)
        time.sleep(0.8)
        assert running.interrupt() == (0, b"")
