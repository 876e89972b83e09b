"""`flask gateway new-service`: a file, a line in the list, and a gateway that starts with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import blueprints
from gateway.cli.new_service import new_service
from gateway.errors import ConfigurationError
from tests.cli.support import IN_ORDER, Folder

PREFIX = ("--prefix", "/api/v1/line-items")


def test_a_new_service_is_written_listed_and_served(own: Folder) -> None:
    before = own.read("__init__.py")
    done = own.run("new-service", "line_items", *PREFIX)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "wrote blueprints/line_items.py",
        "listed it in blueprints/__init__.py",
        "it is in no domain: add it to DOMAINS in blueprints/__init__.py",
        "now set LINE_ITEMS_URL=http://host:port and start the gateway again",
    ]
    text = own.read("line_items.py")
    assert text.startswith('"""Line items: what this service is for."""\n')
    assert (
        'Service(\n    "line_items",\n    __name__,\n    url_prefix="/api/v1/line-items",' in text
    )
    assert "@" not in text
    added = set(own.read("__init__.py").splitlines()) - set(before.splitlines())
    assert added == {"from blueprints.line_items import line_items", "    line_items,"}

    (fault,) = own.run("check", **IN_ORDER).faults
    assert fault.startswith("LINE_ITEMS_URL is not set")
    environ = {**IN_ORDER, "LINE_ITEMS_URL": "http://h.test"}
    done = own.run("check", **environ)
    assert done.out == f"The settings and {len(blueprints.SERVICES) + 1} services are in order.\n"
    assert done.err == "note: service 'line_items' is in no domain\n"
    shown = own.run("services", **environ).out
    assert "line_items: /api/v1/line-items -> http://h.test" in shown
    assert "requires line_items:write; limits line_items 100/60s" in shown


def test_two_new_services_stand_in_order(own: Folder) -> None:
    before = own.read("__init__.py").count("\nfrom ")
    for name in ("zebras", "apples"):
        assert own.run("new-service", name, "--prefix", f"/{name}").code == 0
    lines = own.read("__init__.py").splitlines()
    imports = [line for line in lines if line.startswith("from ")]
    assert imports == sorted(imports)
    assert len(imports) == before + 2
    end = lines.index("]")
    assert lines[end - 2 : end] == ["    zebras,", "    apples,"]
    domains = own.read("__init__.py").partition("DOMAINS = ")[2]
    assert "apples" not in domains


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of the services."""
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


NO_NAMES = ("Invoices", "7up", "line-items", "a.b", "../a", "a b", "", "é", "a\n", "__init__")


@pytest.mark.parametrize("name", [*NO_NAMES, "class", "limiter", "require", "gateway_ops"])
def test_bad_names(own_blueprints: Path, name: str) -> None:
    before = snapshot(own_blueprints)
    with pytest.raises(ConfigurationError, match=r"must be lower-case letters|another meaning"):
        new_service(name, "/x", own_blueprints)
    assert snapshot(own_blueprints) == before


NO_PATHS = ("", "/", "x", "/x/", "//x", "/x//y", "/..", "/x/../y", "/.")


@pytest.mark.parametrize("prefix", [*NO_PATHS, "/<x>", "/x y", "/x?y", "/ä", '/x"', "/x\n"])
def test_bad_prefixes(own_blueprints: Path, prefix: str) -> None:
    before = snapshot(own_blueprints)
    with pytest.raises(ConfigurationError, match="--prefix"):
        new_service("fine", prefix, own_blueprints)
    assert snapshot(own_blueprints) == before


@pytest.fixture
def own_blueprints(tmp_path: Path) -> Path:
    """A folder of services with one in it."""
    folder = tmp_path / "blueprints"
    folder.mkdir()
    (folder / "__init__.py").write_text("from blueprints.a import a\n\nSERVICES = [\n    a,\n]\n")
    (folder / "a.py").write_text("a = 1\n")
    return folder


def test_a_service_that_exists_is_left_alone(own: Folder) -> None:
    before = snapshot(own.path / "blueprints")
    (fault,) = own.run("new-service", "orders", "--prefix", "/orders").faults
    assert fault == f"{own.path}/blueprints/orders.py exists already"
    assert snapshot(own.path / "blueprints") == before


def test_all_faults_at_once(own: Folder) -> None:
    assert len(own.run("new-service", "Orders", "--prefix", "orders").faults) == 2


def test_a_prefix_is_required(own: Folder) -> None:
    done = own.run("new-service", "invoices")
    assert (done.code, done.out) == (2, "")
    assert "Missing option '--prefix'" in done.err


def test_outside_a_gateways_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run this in the gateway's folder"):
        new_service("fine", "/x", tmp_path / "blueprints")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_listed_is_not_written_either(own: Folder) -> None:
    index = own.path / "blueprints" / "__init__.py"
    index.write_text("SERVICES = list(())\n")
    before = snapshot(index.parent)
    (fault,) = own.run("new-service", "invoices", "--prefix", "/x").faults
    assert fault == f"{index} must have one list SERVICES = [...], without 'invoices'"
    assert snapshot(index.parent) == before


def test_a_half_written_service_is_taken_back(
    own_blueprints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(path: Path, *args: str) -> int:
        if path.name == "__init__.py":
            raise OSError(28, "No space left on device", str(path))
        return write(path, *args)

    before = snapshot(own_blueprints)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ConfigurationError, match=r"__init__\.py cannot be written: No space left"):
        new_service("fine", "/x", own_blueprints)
    assert snapshot(own_blueprints) == before
