"""`flask gateway filters` where there are none; tests/filters/test_running.py has the rest."""

from __future__ import annotations

from tests.cli.support import IN_ORDER, Folder


def test_a_gateway_without_filters(shared: Folder) -> None:
    done = shared.run("filters", **IN_ORDER)
    assert (done.code, done.out) == (0, "There are no filters.\n")
    assert shared.run("filters", "--json", **IN_ORDER).out == '{"filters":[]}\n'
    fault = "there is no filter 'geo'"
    assert shared.run("filters", "off", "geo", **IN_ORDER).faults == [fault]
