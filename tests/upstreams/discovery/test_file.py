"""A file of instances: when it is read, and what is made of what stands there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.upstreams.discovery import DiscoveryError, Look
from gateway.upstreams.discovery.file import WatchedFile

Change = Callable[[], object]


class Glances:
    """What happens to the file between two glances at it; after the last, the look is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes: list[Change] = []
        self.waits = 0
        self.over = threading.Event()
        self.look: Look = WatchedFile(path, self._wait).begin()

    def _wait(self, over: threading.Event, seconds: float) -> None:
        self.waits += 1
        if self.changes:
            self.changes.pop(0)()
        else:
            over.set()

    def names(self, *changes: Change) -> list[str]:
        """What the next look finds."""
        self.over.clear()
        self.waits = 0
        self.changes = list(changes)
        found = self.look(self.over)
        assert not self.over.is_set(), "it saw no change"
        assert found.next_look == 0
        return [target.name for target in found.targets]

    def unchanged(self, *changes: Change) -> bool:
        """Whether a look goes on waiting."""
        self.over.clear()
        self.changes = list(changes)
        self.look(self.over)
        return self.over.is_set()

    def write(self, text: str) -> Change:
        return lambda: self.path.write_text(text)

    def replace(self, text: str) -> Change:
        def act() -> None:
            other = self.path.with_suffix(".new")
            other.write_text(text)
            other.replace(self.path)

        return act


def nothing() -> None:
    """A moment in which nothing happens."""


@pytest.fixture
def file(tmp_path: Path) -> Glances:
    path = tmp_path / "orders.txt"
    path.write_text("http://a\n")
    return Glances(path)


def test_the_first_look_does_not_wait(file: Glances) -> None:
    assert file.names() == ["a"]
    assert file.waits == 0


def test_lists_lines_and_comments(file: Glances) -> None:
    file.path.write_text(
        "# orders\n\nhttp://a:8080;weight=3, http://b # the old ones\n  https://c/v1,\r\n#http://d"
    )
    assert file.names() == ["a:8080", "b", "c/v1"]


def test_a_change_is_seen_once_the_file_rests(file: Glances) -> None:
    file.names()
    assert file.names(nothing, file.write("http://b"), nothing) == ["b"]
    assert file.names(file.replace("http://c"), nothing) == ["c"]
    assert file.unchanged(nothing, nothing)


def test_a_file_written_in_pieces_is_not_read_halfway(file: Glances) -> None:
    file.names()
    pieces = [file.write("http://10.0.0.1:8"), file.write("http://10.0.0.1:80\n"), nothing]
    assert file.names(*pieces) == ["10.0.0.1"]
    assert file.waits == 3


def test_a_link_to_another_file_is_a_change(file: Glances, tmp_path: Path) -> None:
    (tmp_path / "two").write_text("http://b\n")
    file.names()

    def link() -> None:
        file.path.unlink()
        file.path.symlink_to(tmp_path / "two")

    assert file.names(link, nothing) == ["b"]


def test_a_missing_file_is_waited_for(file: Glances) -> None:
    file.path.unlink()
    with pytest.raises(DiscoveryError, match=r"orders\.txt: No such file"):
        file.names()
    assert file.names(nothing, file.write("http://b"), nothing) == ["b"]


def test_a_file_that_goes_is_told_once(file: Glances) -> None:
    file.names()
    with pytest.raises(DiscoveryError, match="No such file"):
        file.names(file.path.unlink, nothing)
    assert file.names(nothing, file.write("http://a"), nothing) == ["a"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"http://a\nb:80\n", "'b' must be http"),
        (b"http://me:secret@a\n", "'a' must be http"),
        (b"http://a\nhttp://a\n", "'a' is there twice"),
        (b"\xff\xfe", "can't decode"),
        (b"#" * (1 << 20) + b"\n", "more than a megabyte"),
    ],
)
def test_a_faulty_file_is_told_and_waited_for(file: Glances, data: bytes, fault: str) -> None:
    file.path.write_bytes(data)
    with pytest.raises(DiscoveryError, match=fault) as caught:
        file.names()
    assert "secret" not in str(caught.value)
    assert file.names(file.write("http://b"), nothing) == ["b"]


def test_an_empty_file_is_an_answer(file: Glances) -> None:
    file.path.write_text("# none\n")
    assert file.names() == []


def test_a_change_while_reading_is_read_again(
    file: Glances, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.names()
    reading = Path.open
    changes = [file.write("http://c")]

    def disturbed(path: Path, mode: str) -> object:
        opened = reading(path, mode)
        if changes:
            monkeypatch.setattr(Path, "open", reading)
            changes.pop()()
            monkeypatch.setattr(Path, "open", disturbed)
        return opened

    def disturb() -> None:
        file.path.write_text("http://b and more")
        monkeypatch.setattr(Path, "open", disturbed)

    assert file.names(disturb, nothing, nothing, nothing) == ["c"]
