"""What every store does, whichever it is."""

from __future__ import annotations

import pytest

from gateway.caching import claims, memory, redis_store
from gateway.caching.names import group_of
from gateway.caching.store import TAG_BYTES, TAGS, Found, Outcome, Purge, ResponseStore
from tests.caching.conftest import SIZE
from tests.caching.stores import data_of, kept, key_of, put
from tests.support.gunicorn import wait_for

KEY, OTHER = key_of("one"), key_of("other")
ME, YOU = b"worker 1", b"worker 2"
LONG = "/" + "long/" * 100


def test_what_is_written_is_read(responses: ResponseStore) -> None:
    assert responses.read(KEY) is None
    stamp = put(responses, "one", b"first")
    assert stamp is not None
    assert len(stamp) == 8
    assert responses.read(KEY) == Found(stamp, b"first")
    assert responses.read(OTHER) is None


def test_what_is_known_is_not_read(responses: ResponseStore) -> None:
    stamp = put(responses, "one") or b""
    assert responses.read(KEY, stamp) == Found(stamp, None)
    newer = put(responses, "one", b"newer") or b""
    assert newer != stamp
    assert responses.read(KEY, stamp) == Found(newer, b"newer")


def test_every_write_has_a_stamp_of_its_own(responses: ResponseStore) -> None:
    stamps = set()
    for _ in range(5):
        stamps.add(put(responses, "one", b"same"))
        stamps.add(put(responses, "other", b"same"))
        responses.drop(KEY)
        responses.drop(OTHER)
    assert len(stamps) == 10


def test_drop(responses: ResponseStore) -> None:
    put(responses, "one")
    put(responses, "other")
    responses.drop(KEY)
    responses.drop(key_of("never there"))
    assert kept(responses, ["one", "other"]) == ["other"]
    assert responses.usage()[0] == 1
    assert responses.purge(Purge("path", "/orders")) == 1


def test_bytes_of_any_length_and_kind(responses: ResponseStore) -> None:
    """Around the ends of what a store may cut them into."""
    pattern = bytes(range(256)) * 300
    lengths = [0, 1, 1800, 1900, 2000, 4000, 4079, 4080, 4081, 8160, 12_345, 60_000]
    for length in lengths:
        put(responses, length, pattern[:length], url=f"/{length}", tags=["a", "b"])
    for length in lengths:
        assert data_of(responses, length) == pattern[:length]
    for length in reversed(lengths):
        put(responses, length, pattern[:length][::-1], url=LONG * 20, tags=[])
    for length in lengths:
        assert data_of(responses, length) == pattern[:length][::-1]
    assert responses.purge(Purge("tag", "a")) == 0
    assert responses.purge(Purge("url", LONG * 20)) == len(lengths)


@pytest.mark.parametrize("key", [b"\0" * 16, b"\xff" * 16, b"\n" * 16], ids=["0", "255", "10"])
def test_keys_of_any_bytes(responses: ResponseStore, key: bytes) -> None:
    written = responses.write(key, b"x", url="/", tags=["t"], ticket=responses.ticket("/"))
    assert written is not None
    assert responses.read(key) == Found(written, b"x")
    assert responses.claim(key, ME, 60)
    assert responses.purge(Purge("tag", "t")) == 1
    assert responses.read(key) is None


URLS = ["/a", "/a?", "/a?x=1", "/a?x=10", "/a/b", "/a/b?x=1", "/ab", "/", "/A", LONG, LONG + "?x"]
PURGES = [
    (Purge("url", "/a"), ["/a"]),
    (Purge("url", "/a?x=1"), ["/a?x=1"]),
    (Purge("url", LONG), [LONG]),
    (Purge("url", LONG[:-1]), []),
    (Purge("path", "/a"), ["/a", "/a?", "/a?x=1", "/a?x=10"]),
    (Purge("path", "/a/b"), ["/a/b", "/a/b?x=1"]),
    (Purge("path", "/"), ["/"]),
    (Purge("path", LONG), [LONG, LONG + "?x"]),
    (Purge("path", LONG[:-1]), []),
    (Purge("path", "/a?x=1"), []),
    (Purge("prefix", "/a"), ["/a", "/a?", "/a?x=1", "/a?x=10", "/a/b", "/a/b?x=1", "/ab"]),
    (Purge("prefix", "/a?x=1"), ["/a?x=1", "/a?x=10"]),
    (Purge("prefix", LONG[:400]), [LONG, LONG + "?x"]),
    (Purge("prefix", LONG + "?"), [LONG + "?x"]),
    (Purge("prefix", ""), URLS),
    (Purge("prefix", "/nothing"), []),
    (Purge("all"), URLS),
    (Purge("tag", "/a"), []),
]


@pytest.mark.parametrize(
    ("purge", "gone"), PURGES, ids=[f"{p.kind}-{p.what[:8]}-{len(p.what)}" for p, _ in PURGES]
)
def test_purges_by_url(responses: ResponseStore, purge: Purge, gone: list[str]) -> None:
    assert responses.purge(purge) == 0
    for url in URLS:
        put(responses, url, url=url)
    put(responses, "variant", url="/a/b")
    gone = [*gone, "variant"] if "/a/b" in gone else gone
    assert responses.purge(purge) == len(gone)
    names = [*URLS, "variant"]
    assert kept(responses, names) == [name for name in names if name not in gone]
    assert responses.purge(purge) == 0
    assert responses.usage()[0] == len(names) - len(gone)


def test_purges_by_tag(responses: ResponseStore) -> None:
    put(responses, 1, url="/1", tags=["a", "b", "a"])
    put(responses, 2, url="/2", tags=["b"])
    put(responses, 3, url="/3", tags=["ab", ""])
    assert responses.purge(Purge("tag", "")) == 0
    assert responses.purge(Purge("tag", "a")) == 1
    assert kept(responses, [1, 2, 3]) == [2, 3]
    assert responses.purge(Purge("tag", "b")) == 1
    assert kept(responses, [1, 2, 3]) == [3]


def test_tags_are_bounded(responses: ResponseStore) -> None:
    put(responses, "many", url="/many", tags=[f"t{n}" for n in range(TAGS + 1)])
    put(responses, "long", url="/long", tags=["x" * TAG_BYTES, "é" * TAG_BYTES, "y"])
    assert responses.purge(Purge("tag", f"t{TAGS}")) == 0
    assert responses.purge(Purge("tag", f"t{TAGS - 1}")) == 1
    assert responses.purge(Purge("tag", "é" * TAG_BYTES)) == 0
    assert responses.purge(Purge("tag", "x" * TAG_BYTES)) == 1
    assert responses.usage()[0] == 0


def test_what_is_written_anew_has_new_names_only(responses: ResponseStore) -> None:
    put(responses, "one", url="/old", tags=["old", "both"])
    put(responses, "one", url="/new", tags=["new", "both"])
    for purge in (Purge("url", "/old"), Purge("prefix", "/o"), Purge("tag", "old")):
        assert responses.purge(purge) == 0
    assert kept(responses, ["one"])
    assert responses.purge(Purge("tag", "both")) == 1
    assert responses.purge(Purge("tag", "new")) == 0


def test_text_of_any_kind(responses: ResponseStore) -> None:
    odd = ["/é", "/\udcff", "/\0a", "/%00", "/a b", "/[*]?", "/👍"]
    for number, text in enumerate(odd):
        put(responses, number, url=f"{text}/{number}", tags=[f"{text}{number}"])
    for number, text in enumerate(odd):
        assert responses.purge(Purge("tag", f"{text}{number}")) == 1
        put(responses, number, url=f"{text}/{number}")
        assert responses.purge(Purge("url", f"{text}/{number}")) == 1
    assert responses.usage()[0] == 0


@pytest.mark.parametrize("kind", ["all", "path", "url", "prefix", "tag"])
def test_what_was_purged_meanwhile_is_not_kept(responses: ResponseStore, kind: str) -> None:
    what = {"tag": "t", "prefix": "/ord"}.get(kind, "/orders")
    put(responses, "old", b"old", url="/else")
    ticket = responses.ticket("/orders")
    responses.purge(Purge(kind, what))  # type: ignore[arg-type]
    assert responses.write(KEY, b"", url="/orders", tags=["t"], ticket=ticket) is None
    assert responses.read(KEY) is None
    assert put(responses, "one", tags=["t"]) is not None


def test_a_path_is_purged_with_all_its_queries(responses: ResponseStore) -> None:
    ticket = responses.ticket("/orders?page=2")
    responses.purge(Purge("path", "/orders"))
    assert responses.write(KEY, b"", url="/orders?page=2", tags=[], ticket=ticket) is None


def test_purging_one_path_leaves_others_that_are_on_their_way(responses: ResponseStore) -> None:
    assert group_of(b"/orders") != group_of(b"/other")
    ticket = responses.ticket("/orders")
    responses.purge(Purge("path", "/other"))
    responses.purge(Purge("url", "/other"))
    responses.drop(KEY)
    assert responses.write(KEY, b"x", url="/orders", tags=[], ticket=ticket)
    assert responses.write(OTHER, b"x", url="/orders", tags=[], ticket=ticket)


def test_too_large_for_the_store(responses: ResponseStore) -> None:
    put(responses, "other", b"small")
    assert put(responses, "one", bytes(SIZE + 1)) is None
    assert responses.read(KEY) is None
    assert data_of(responses, "other") == b"small"


def test_what_was_written_first_makes_room(responses: ResponseStore) -> None:
    names = [*range(100), 0, *range(100, 200)]  # 0 is written once more
    for name in names:
        assert put(responses, name, bytes(15_000), url=f"/{name}", tags=["t"]) is not None
        count, taken = responses.usage()
        assert taken <= SIZE
    left = kept(responses, range(200))
    assert left == list(range(200 - count, 200))
    assert 25 < count < 70
    assert responses.purge(Purge("tag", "t")) == count
    assert responses.usage()[0] == 0


def test_written_anew_is_written_last(responses: ResponseStore) -> None:
    put(responses, "first", bytes(15_000))
    put(responses, "second", bytes(15_000))
    put(responses, "first", bytes(15_000))
    number = 0
    while kept(responses, ["second"]):
        put(responses, number, bytes(5_000))
        number += 1
    assert kept(responses, ["first", 0]) == ["first", 0]


def test_claims(responses: ResponseStore) -> None:
    assert responses.outcome(KEY, 60) == "again"
    assert responses.claim(KEY, ME, 60)
    assert responses.outcome(KEY, 60) is None
    assert not responses.claim(KEY, YOU, 60)
    assert responses.claim(KEY, ME, 60)
    assert responses.claim(OTHER, YOU, 60)
    responses.release(KEY, YOU, "alone")
    assert responses.outcome(KEY, 60) is None
    responses.release(KEY, ME, "again")
    assert responses.outcome(KEY, 60) == "again"
    assert responses.claim(KEY, YOU, 60)
    assert put(responses, "one")
    responses.purge(Purge("all"))
    assert responses.outcome(KEY, 60) is None


def test_claims_run_out(responses: ResponseStore) -> None:
    assert responses.claim(KEY, ME, 0.02)
    assert wait_for(lambda: responses.outcome(KEY, 60) == "again")
    responses.release(KEY, ME, "failed")  # too late
    assert responses.outcome(KEY, 60) == "again"
    assert responses.claim(KEY, YOU, 60)
    responses.release(KEY, ME, "failed")
    assert responses.outcome(KEY, 60) is None


def outcomes_count_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every store keep them for so long."""
    for module in (claims, memory):
        monkeypatch.setattr(module, "OUTCOME_SECONDS", seconds)
    monkeypatch.setattr(redis_store, "_KEPT_FOR", int(seconds * 1000))


@pytest.mark.parametrize("outcome", ["alone", "failed"])
def test_how_it_ended_is_told_to_who_waited(
    responses: ResponseStore, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes_count_for(monkeypatch, 60)
    assert responses.claim(KEY, ME, 60)
    responses.release(KEY, ME, outcome)
    assert responses.outcome(KEY, 60) == outcome
    assert responses.outcome(KEY, 0) == "again"
    assert responses.outcome(OTHER, 60) == "again"
    # Whoever comes anew asks, and those who waited before are told all the same.
    assert responses.claim(KEY, YOU, 60)
    assert responses.outcome(KEY, 60) == outcome
    assert responses.outcome(KEY, 0) is None
    responses.release(KEY, YOU, "again")
    assert responses.outcome(KEY, 60) == outcome
    assert responses.outcome(KEY, 0) == "again"


def test_the_last_one_says_how_it_ended(
    responses: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes_count_for(monkeypatch, 60)
    told: list[Outcome] = ["failed", "alone", "failed"]
    for outcome in told:
        assert responses.claim(KEY, ME, 60)
        responses.release(KEY, ME, outcome)
        assert responses.outcome(KEY, 60) == outcome


def test_how_it_ended_is_forgotten(
    responses: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes_count_for(monkeypatch, 0.02)
    assert responses.claim(KEY, ME, 60)
    responses.release(KEY, ME, "failed")
    assert wait_for(lambda: responses.outcome(KEY, 60) == "again")
    assert responses.claim(KEY, YOU, 60)
    assert responses.outcome(KEY, 60) is None


def test_usage(responses: ResponseStore) -> None:
    assert responses.usage()[0] == 0
    for number in range(10):
        put(responses, number, bytes(10_000))
    count, taken = responses.usage()
    assert count == 10
    assert 100_000 <= taken <= 200_000
