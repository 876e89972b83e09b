"""What is kept where: variants, marks, tags, and what was purged in the meantime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway import Cache
from gateway.caching.conditions import kept_fields
from gateway.caching.entry import Entry, Passed
from gateway.caching.freshness import Verdict
from gateway.caching.keys import Keys
from gateway.caching.store import Purge
from gateway.caching.storing import Keeping, Place, Shelf, tags_of
from gateway.caching.tiers import TieredResponses
from gateway.exchange import Headers, UpstreamRequest
from tests.caching.handling import NOW, Pieces, says, store
from tests.support.outline import outline

GERMAN = [("Accept-Language", "de")]
FRENCH = [("Accept-Language", "fr")]


def entry(body: bytes = b"answer", **more: Any) -> Entry:
    """Something to keep."""
    return Entry(200, "", [], body, NOW, 0.0, 60.0, **more)


class Shelves:
    """A shelf with its store."""

    def __init__(self, **options: Any) -> None:
        self.store: TieredResponses = store()
        policy = Cache(**options)
        self.shelf = Shelf(Keys("things", policy), self.store, policy.vary)

    def find(self, headers: Headers | None = None) -> Place:
        """Where the answer to a request is."""
        place = self.shelf.find(outline(headers=headers))
        assert place is not None
        return place

    def body(self, headers: Headers | None = None) -> bytes | None:
        """What is kept for a request."""
        kept = self.find(headers).entry
        ready = self.shelf.ready(outline(headers=headers))
        assert ready == kept
        return None if kept is None else kept.body

    def keep(
        self, kept: Entry | Passed, headers: Headers | None = None, vary: tuple[str, ...] = ()
    ) -> bool:
        """Keep something as the answer to a request."""
        place = self.find(headers)
        ticket = self.shelf.ticket(place)
        return self.shelf.keep(place, outline(headers=headers), kept, ticket, vary)


def test_one_answer_for_all() -> None:
    shelves = Shelves()
    assert shelves.body() is None
    assert shelves.keep(entry())
    assert shelves.body() == shelves.body(GERMAN) == b"answer"


def test_variants_are_kept_apart() -> None:
    shelves = Shelves()
    assert shelves.keep(entry(b"de"), GERMAN, ("accept-language",))
    assert shelves.body(FRENCH) is None
    assert shelves.keep(entry(b"fr"), FRENCH, ("accept-language",))
    assert [shelves.body(one) for one in (GERMAN, FRENCH, None)] == [b"de", b"fr", None]


def test_an_answer_that_does_not_differ_drops_no_variant() -> None:
    """A 404 without Vary, where other answers have it."""
    shelves = Shelves()
    shelves.keep(entry(b"de"), GERMAN, ("accept-language",))
    shelves.keep(entry(b"none"), FRENCH)
    assert [shelves.body(one) for one in (GERMAN, FRENCH)] == [b"de", b"none"]


def test_names_add_up_to_a_bound() -> None:
    shelves = Shelves()
    shelves.keep(entry(), vary=("a",))
    shelves.keep(entry(), vary=("b",))
    assert shelves.find().names == ("a", "b")
    many = tuple(f"x-{number:02}" for number in range(15))
    shelves.keep(entry(b"many"), vary=many)
    assert shelves.find().names == many
    assert shelves.body() == b"many"


def test_what_the_operator_names_is_in_the_key_already() -> None:
    shelves = Shelves(vary=["Accept-Language"])
    shelves.keep(entry(b"de"), GERMAN, ("accept-language",))
    assert shelves.find(GERMAN).names == ()
    assert [shelves.body(one) for one in (GERMAN, FRENCH)] == [b"de", None]


def test_a_mark_of_one_variant_is_none_for_others() -> None:
    shelves = Shelves()
    shelves.keep(entry(b"de"), GERMAN, ("accept-language",))
    place = shelves.find(FRENCH)
    shelves.shelf.mark(place, outline(headers=FRENCH), shelves.shelf.ticket(place), NOW)
    assert shelves.find(FRENCH).passed == NOW + 60
    assert shelves.find(GERMAN).passed == 0
    assert shelves.body(GERMAN) == b"de"


def test_a_mark_takes_the_place_of_an_answer() -> None:
    shelves = Shelves()
    shelves.keep(entry())
    shelves.keep(Passed(NOW))
    assert shelves.body() is None


def test_what_cannot_be_keyed_has_no_place() -> None:
    shelf = Shelves().shelf
    unknown = replace(outline(), requester=None)
    assert shelf.find(unknown) is None
    assert shelf.ready(unknown) is None


FIELDS = [
    ("Content-Type", "a/b"),
    ("Connection", "X-Hop"),
    ("X-Hop", "1"),
    ("Surrogate-Key", "one two"),
    ("Surrogate-Key", "three"),
    ("Set-Cookie", "sid=1"),
    ("Age", "3"),
]


def keeping(shelves: Shelves, asked: UpstreamRequest, length: str = "4", most: int = 10) -> Keeping:
    """What is done at the end of an answer of this announced length."""
    place = shelves.shelf.find(asked)
    assert place is not None
    response = says(None, Pieces())
    response.headers = [*FIELDS, ("Content-Length", length)]
    verdict = Verdict(True, lifetime=60.0, age=3.0, vary=("accept",))
    ticket = shelves.shelf.ticket(place)
    return Keeping(shelves.shelf, place, asked, ticket, response, verdict, at=NOW, most=most)


def test_a_whole_body_is_kept() -> None:
    shelves = Shelves()
    assert keeping(shelves, outline())(b"body", 4) == "again"
    kept = shelves.find().entry
    assert kept is not None
    assert (kept.body, kept.age, kept.at) == (b"body", 3.0, NOW)
    assert kept.tags == tags_of(FIELDS) == ("one", "two", "three")
    assert kept.headers == kept_fields(FIELDS, NOW)
    assert kept.headers == [*FIELDS[:1], ("Date", "Mon, 12 Jan 1970 13:46:40 GMT")]
    assert shelves.find().names == ("accept",)


def test_what_is_not_whole_is_not_kept() -> None:
    shelves = Shelves()
    assert keeping(shelves, outline())(None, 3) == "again"
    assert keeping(shelves, outline(), length="5")(b"body", 4) == "again"
    assert shelves.find() == replace(shelves.find(), entry=None, passed=0.0)
    assert keeping(shelves, outline(), most=3)(None, 4) == "alone"
    assert shelves.find().passed == NOW + 60


def test_what_is_purged_on_its_way_is_not_kept() -> None:
    shelves = Shelves()
    late = keeping(shelves, outline())
    shelves.store.purge(Purge("path", "/things/7"))
    assert late(b"body", 4) == "alone"
    assert shelves.body() is None


def test_tags_name_what_is_kept() -> None:
    shelves = Shelves()
    keeping(shelves, outline())(b"body", 4)
    assert shelves.store.purge(Purge("tag", "two")) == 1
    assert shelves.body() is None
