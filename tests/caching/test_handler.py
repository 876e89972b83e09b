"""What a cache does with a request, and what it sends upstream for it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from gateway.bodies import RequestBody
from gateway.caching.entry import Entry
from gateway.caching.store import Purge
from gateway.errors import ConnectFailed, Refusal
from gateway.exchange import Headers
from tests.caching.handling import (
    FRESH,
    Backend,
    Clock,
    Pieces,
    asking,
    cached,
    header,
    label,
    read,
    says,
    store,
)
from tests.support.outline import outline, requester

ETAG = '"one"'


def test_a_hit_is_what_came_and_says_so() -> None:
    backend, clock = Backend(), Clock()
    backend.says(FRESH, etag=ETAG, x_cache="HIT", surrogate_control="max-age=60", surrogate_key="a")
    handler = cached(backend, clocks={"wall": clock})
    first = handler(asking())
    assert (label(first), header(first, "Cache-Status")) == ("MISS", "edge; fwd=uri-miss; stored")
    assert header(first, "Surrogate-Control") == header(first, "Surrogate-Key") == ""
    assert read(first) == b"answer"
    clock.now += 9.6
    request = asking()
    again = handler(request)
    assert (again.status, read(again)) == (200, b"answer")
    assert (label(again), header(again, "Age")) == ("HIT", "9")
    assert header(again, "Cache-Status") == "edge; hit; ttl=50"
    assert header(again, "Content-Length") == "6"
    assert again.origin == "http://things.internal"
    assert request.exchange.cache == "hit"
    assert len(backend.asked) == 1


def test_each_hit_has_fields_of_its_own() -> None:
    backend = Backend()
    handler = cached(backend)
    read(handler(asking()))
    handler(asking()).headers.append(("X-Mine", "1"))
    assert header(handler(asking()), "X-Mine") == ""


def test_head_is_answered_from_get() -> None:
    backend = Backend()
    handler = cached(backend)
    assert label(handler(asking(method="HEAD"))) == "MISS"
    read(handler(asking()))
    assert [one.method for one in backend.asked] == ["HEAD", "GET"]
    head = handler(asking(method="HEAD"))
    assert (label(head), header(head, "Content-Length"), read(head)) == ("HIT", "6", b"")


def test_a_request_that_no_client_sent_is_nobodys() -> None:
    backend = Backend()
    handler = cached(backend)
    for _ in range(2):
        assert label(handler(replace(asking(), requester=None))) == "BYPASS"
    assert len(backend.asked) == 2


def test_a_request_with_a_body_passes() -> None:
    backend = Backend()
    handler = cached(backend)
    read(handler(asking()))
    asked = replace(asking(), body=RequestBody(io.BytesIO(b"x"), 1))
    response = handler(asked)
    assert (label(response), header(response, "Cache-Status")) == ("BYPASS", "edge; fwd=bypass")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_an_unsafe_method_drops_what_is_kept(method: str) -> None:
    backend = Backend()
    handler = cached(backend)
    read(handler(asking()))
    assert label(handler(asking(method=method))) == "BYPASS"
    assert label(handler(asking())) == "MISS"


def test_only_what_is_kept() -> None:
    backend = Backend()
    handler = cached(backend)
    wish = ("Cache-Control", "only-if-cached")
    with pytest.raises(Refusal) as refused:
        handler(asking(wish))
    assert (refused.value.code, refused.value.slug) == (504, "only_if_cached")
    assert backend.asked == []
    read(handler(asking()))
    assert label(handler(asking(wish))) == "HIT"


def test_what_a_client_asks_of_caches_counts_only_where_it_may() -> None:
    for allowed, expected in ((False, "HIT"), (True, "MISS")):
        handler = cached(Backend(), client_no_cache=allowed)
        read(handler(asking()))
        assert label(handler(asking(("Cache-Control", "no-cache")))) == expected
        assert label(handler(asking(("Pragma", "no-cache")))) == expected


def test_the_answer_to_no_store_is_not_kept() -> None:
    backend = Backend()
    handler = cached(backend)
    read(handler(asking(("Cache-Control", "no-store"), ("If-None-Match", ETAG))))
    assert backend.last("if-none-match") == ETAG
    assert label(handler(asking())) == "MISS"


# -- what is never kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("control", ["no-store", "private"])
def test_who_keeps_nothing_is_asked_at_once(control: str) -> None:
    backend, clock = Backend(), Clock()
    backend.says(control)
    handler = cached(backend, clocks={"wall": clock})
    first = handler(asking())
    assert (label(first), header(first, "Cache-Status")) == (
        "MISS",
        f"edge; fwd=uri-miss; detail={control}",
    )
    passed = handler(asking())
    assert label(passed) == "BYPASS"
    assert header(passed, "Cache-Status") == "edge; fwd=bypass; detail=passed"
    clock.now += 60
    assert label(handler(asking())) == "MISS"


def test_a_stream_of_events_is_nothing_to_wait_for() -> None:
    backend = Backend(lambda _: says(FRESH, Pieces(b"data"), content_type="Text/Event-Stream"))
    handler = cached(backend, ttl=60)
    assert header(handler(asking()), "Cache-Status") == "edge; fwd=uri-miss; detail=stream"
    assert label(handler(asking())) == "BYPASS"


def test_a_mark_outlives_no_change_of_the_clock() -> None:
    backend, clock = Backend(), Clock()
    backend.says("private")
    handler = cached(backend, clocks={"wall": clock})
    handler(asking())
    clock.now -= 3600
    assert label(handler(asking())) == "MISS"


def test_a_request_that_is_refused_stands_in_nobodys_way() -> None:
    backend = Backend()
    handler = cached(backend)
    backend.says(None, status=406)
    read(handler(asking(("Accept", "nothing"))))
    backend.says()
    read(handler(asking()))
    assert label(handler(asking())) == "HIT"


@pytest.mark.parametrize(("status", "then"), [(429, "STALE"), (403, "503"), (404, "503")])
def test_what_a_refusal_leaves_of_what_is_kept(status: int, then: str) -> None:
    clock = Clock()
    backend = Backend()
    handler = cached(backend, clocks={"wall": clock}, stale_if_error=600)
    read(handler(asking()))
    clock.now += 61
    backend.says("no-store", status=status)
    assert handler(asking()).status == status
    backend.says(None, status=503)
    response = handler(asking())
    assert (label(response) if response.status == 200 else str(response.status)) == then


def test_an_error_is_no_habit() -> None:
    backend = Backend()
    backend.says(None, status=500)
    handler = cached(backend)
    assert label(handler(asking())) == label(handler(asking())) == "MISS"
    backend.fails(ConnectFailed())
    with pytest.raises(ConnectFailed):
        handler(asking())


def test_cookies_of_one_are_not_kept_for_another() -> None:
    backend = Backend()
    backend.says(FRESH, set_cookie="sid=1")
    handler = cached(backend, override=["set-cookie"])
    first = handler(asking())
    assert header(first, "Set-Cookie") == "sid=1"
    second = handler(asking())
    assert (label(second), header(second, "Set-Cookie")) == ("HIT", "")


def test_what_is_purged_while_it_is_fetched_is_not_kept() -> None:
    kept = store()
    backend = Backend(lambda _: says(FRESH, Pieces(b"old")))
    handler = cached(backend, kept=kept)
    response = handler(asking())
    kept.purge(Purge("path", "/things/7"))
    assert read(response) == b"old"
    assert label(handler(asking())) == "MISS"


# -- early ----------------------------------------------------------------------------------------


class Plain:
    """A request of which only some fields are known."""

    differs: tuple[str, ...] = ()

    def __init__(self, *headers: tuple[str, str], method: str = "GET") -> None:
        self.method, self.target = method, "/things/7"
        self.exchange = outline().exchange
        self.requester = requester(headers=list(headers))
        self._fields: Headers = list(headers)

    def field(self, name: str) -> str | None:
        """A field; what begins with X- is not known."""
        if name.startswith("x-"):
            return None
        return ",".join(value for given, value in self._fields if given.lower() == name)


def test_early_is_a_fresh_hit_and_nothing_else() -> None:
    backend, clock = Backend(), Clock()
    backend.says("max-age=60, stale-while-revalidate=60", etag=ETAG)
    handler = cached(backend, clocks={"wall": clock}, client_no_cache=True)
    assert handler.early(Plain()) is None
    read(handler(asking()))
    clock.now += 5
    asked = Plain()
    response = handler.early(asked)
    assert response is not None
    assert (label(response), header(response, "Age"), read(response)) == ("HIT", "5", b"answer")
    assert asked.exchange.cache == "hit"
    part = handler.early(Plain(("Range", "bytes=0-1")))
    assert part is not None
    assert (part.status, read(part)) == (206, b"an")
    unchanged = handler.early(Plain(("If-None-Match", ETAG)))
    assert unchanged is not None
    assert unchanged.status == 304
    head = handler.early(Plain(method="HEAD"))
    assert head is not None
    assert read(head) == b""
    assert handler.early(Plain(("If-Match", ETAG))) is None
    assert handler.early(Plain(("Cache-Control", "no-cache"))) is None
    assert handler.early(Plain(("Cookie", "sid=1"))) is None
    clock.now += 60
    assert handler.early(Plain()) is None
    assert len(backend.asked) == 1


def test_early_leaves_what_it_cannot_know() -> None:
    for name, known in (("Accept", True), ("X-Tenant", False)):
        backend = Backend(lambda _, name=name: says(FRESH, vary=name))  # type: ignore[misc]
        handler = cached(backend)
        read(handler(asking()))
        assert (handler.early(Plain()) is not None) == known


def test_what_is_kept_is_not_shown() -> None:
    kept = cached(Backend())._shelf
    shown = repr(kept.find(asking(("Authorization", "secret"))))
    assert "secret" not in shown
    entry = Entry(200, "", [("X-Token", "secret")], b"secret", 0.0, 0.0, 60.0)
    assert "secret" not in repr(entry)


def test_what_may_be_kept_again_is_kept() -> None:
    backend = Backend()
    backend.says("private", set_cookie="a=1")
    handler = cached(backend)
    handler(asking())
    backend.says(FRESH)
    again = handler(asking())
    assert (label(again), header(again, "Cache-Status")) == ("MISS", "edge; fwd=uri-miss; stored")
    read(again)
    assert label(handler(asking())) == "HIT"
