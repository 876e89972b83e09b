"""`flask gateway check` and `services`: all faults at once, or what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import blueprints
from tests.cli.support import ALL_IN_ORDER, IN_ORDER, SECRET, SERVICES, Folder


def test_a_gateway_in_order(shared: Folder) -> None:
    done = shared.run("check", **IN_ORDER)
    assert (done.code, done.err) == (0, "")
    assert done.out == ALL_IN_ORDER


def test_without_any_environment_every_need_is_named(shared: Folder) -> None:
    faults = shared.run("check").faults
    assert [fault.split(" ")[0] for fault in faults] == [
        "JWT_SECRET",
        *[f"{name.upper()}_URL" for name in SERVICES],
    ]
    assert f"({shared.path}/blueprints/orders.py:" in faults[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "65536"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "abc"),
        ("WORKER_CLASS", "sync"),
        ("JWT_LEEWAY", "-1"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ("RATE_LIMIT_DEFAULT", "many/minute"),
        ("RATE_LIMIT_USER", "10/fortnight"),
        ("STATE_URL", "sqlite://"),
        ("STATE_URL", "memory://"),
        ("REDIS_URL", "http://h.test"),
        ("JWT_SECRET", "short"),
        ("JWT_KEYS", "none:env:PATH"),
        ("ORDERS_URL", "orders.test:80"),
        ("ORDERS_URL", "http://user:password@orders.test"),
        ("ORDERS_URL", "http://orders.test,ftp://orders.test"),
        ("ORDERS_URL", "dns://orders.test;scheme=ftp"),
        ("DNS_SERVERS", "ns.test"),
    ],
)
def test_one_fault_is_named_by_its_variable(shared: Folder, name: str, value: str) -> None:
    (fault,) = shared.run("check", **{**IN_ORDER, name: value}).faults
    assert fault.startswith(name)


def test_several_settings_at_once(shared: Folder) -> None:
    wrong = {"PORT": "x", "WEB_CONCURRENCY": "0", "READ_TIMEOUT": "0", "ACCESS_LOG": "maybe"}
    faults = shared.run("check", **IN_ORDER, **wrong).faults
    assert sorted(fault.split(":")[0] for fault in faults) == sorted(wrong)


def test_keys_store_and_addresses_at_once(shared: Folder) -> None:
    wrong = {"JWT_SECRET": "short", "STATE_URL": "x://", "BIND": "unix:/s", "USERS_URL": "nonsense"}
    environ = {name: value for name, value in IN_ORDER.items() if name != "ORDERS_URL"} | wrong
    faults = shared.run("check", **environ).faults
    found = [re.split(r"[ :]", fault)[0] for fault in faults]
    assert sorted(found) == sorted([*wrong, "ORDERS_URL"])


def test_what_services_declare_is_checked_at_once(own: Folder) -> None:
    own.add("unguarded")
    own.add("half", 'require("a:b", methods=["GET"])(half)')
    own.add("hasty", "public(hasty)", 'limiter.limit("10/fortnight")(hasty)')
    own.add("wrong", "public(wrong)", '@wrong.get("/x")', '@limiter.limit("x")', "def x(): ...")
    faults = own.run("check", **IN_ORDER, RATE_LIMIT_DEFAULT="many").faults
    assert len(faults) == 5
    text = "\n".join(faults)
    assert "service 'unguarded' neither requires anything nor is public for DELETE, GET" in text
    assert "service 'half' neither requires anything nor is public for DELETE, OPTIONS" in text
    assert f"({own.path}/blueprints/unguarded.py:2)" in text
    assert "service 'hasty': no granularity matched for fortnight" in text
    assert "view 'wrong.x': couldn't parse rate limit string 'x'" in text


def test_faults_of_every_kind_at_once(own: Folder) -> None:
    own.add("unguarded")
    own.add("hasty", "public(hasty)", 'limiter.limit("10/fortnight")(hasty)')
    wrong = {"PORT": "x", "JWT_SECRET": "short", "USERS_URL": "nonsense", "RATE_LIMIT_USER": "many"}
    environ = {name: value for name, value in IN_ORDER.items() if name != "ORDERS_URL"} | wrong
    faults = own.run("check", **environ).faults
    assert len(faults) == 7
    for part in (*wrong, "ORDERS_URL", "service 'unguarded' neither", "service 'hasty': no"):
        assert [fault for fault in faults if fault.startswith(part)], part


def test_an_option_that_is_refused_is_named_with_its_place(own: Folder) -> None:
    own.add("hashed", "from gateway import ConsistentHash", 'by = ConsistentHash(by="mood")')
    faults = own.run("check", **IN_ORDER, PORT="x").faults
    assert [fault.split(":")[0] for fault in faults] == ["PORT", "ConsistentHash(by='mood')"]
    assert "by must be 'user', 'address'" in faults[1]
    assert faults[1].endswith(f"({own.path}/blueprints/hashed.py:4)")


def test_no_secret_is_shown(shared: Folder) -> None:
    secrets = {
        "JWT_SECRET": "hunter2",
        "REDIS_URL": "http://:hunter2@h.test",
        "JWT_KEYS": "hunter2",
    }
    done = shared.run("check", **{**IN_ORDER, **secrets, "ORDERS_URL": "http://u:hunter2@h.test"})
    assert done.code == 1
    assert "hunter2" not in done.out + done.err


def test_services_shows_what_applies_where(shared: Folder) -> None:
    environ = {
        **IN_ORDER,
        "ORDERS_URL": "http://a.test,http://b.test",
        "PRODUCTS_URL": "dns://products.test:8080;scheme=https",
    }
    done = shared.run("services", **environ)
    assert (done.code, done.err) == (0, "")
    blocks = {block.partition(":")[0]: block for block in done.out.strip().split("\n\n")}
    assert tuple(blocks)[: len(SERVICES)] == SERVICES
    for name in SERVICES:
        assert blocks[name].startswith(f"{name}: /api/v1/{name} -> ")
    assert "; domain commerce\n" in blocks["orders"]
    first, _, _ = blocks["dashboard"].partition("\n")
    assert first.startswith("dashboard: /api/v1/dashboard, made of users, orders")
    assert first.endswith("; domain frontends")
    assert "-> http://a.test,http://b.test\n" in blocks["orders"]
    assert "-> dns://products.test:8080;scheme=https\n" in blocks["products"]
    assert "-> no instance\n" in blocks["users"]
    assert re.search(
        r"POST +/api/v1/orders/<int:order_id>/refunds\n"
        r" +requires order:refund and order:write; limits orders\.refund 10/60s, orders 100/60s",
        blocks["orders"],
    )
    assert "requires nothing (public); limits products 20/1s" in blocks["products"]
    assert re.search(r"DELETE +\S+\n +requires notification:read and role:admin", done.out)
    assert "read 20 s" in blocks["payments"]


def test_a_gateway_for_one_domain(shared: Folder) -> None:
    faults = shared.run("check", JWT_SECRET=SECRET, DOMAINS="frontends,media").faults
    assert faults[0].startswith("DOMAINS: there is no domain 'media'; there are commerce, admin")
    assert faults[1].startswith("USERS_URL is not set: ")
    assert "of service 'users', which 'dashboard' needs (" in faults[1]
    environ = {key: value for key, value in IN_ORDER.items() if key != "PAYMENTS_URL"}
    done = shared.run("check", **environ, DOMAINS="frontends")
    domains: Any = blueprints.DOMAINS
    count = len(domains["frontends"])
    assert done.out.startswith(f"The settings and {count} services of frontends are in order. With")
    done = shared.run("services", **environ, DOMAINS="frontends")
    assert "users: no paths, for dashboard -> no instance\n" in done.out
    assert "payments" not in done.out


def test_a_service_in_no_domain_is_a_note(own: Folder) -> None:
    own.add("lost", "public(lost)")
    done = own.run("check", **IN_ORDER)
    assert (done.code, done.err) == (0, "note: service 'lost' is in no domain\n")


def test_services_shows_how_instances_are_chosen_where_there_is_a_choice(own: Folder) -> None:
    added = "from gateway import RoundRobin; {0}.load_balancing = RoundRobin(); public({0})"
    for name in ("several", "alone"):
        own.add(name, added.format(name))
    own.add("usual", "public(usual)")
    environ = {**IN_ORDER, "ORDERS_URL": "http://a.test,http://b.test"}
    listed = own.path / "blueprints" / "several.py"
    listed.write_text(listed.read_text().replace("http://h.test", "http://a.test,http://b.test"))
    done = own.run("services", **environ)
    assert (done.code, done.err) == (0, "")
    told = {
        block.partition(":")[0]: re.findall(r"; balancing (.*)", block)
        for block in done.out.strip().split("\n\n")
    }
    assert told.pop("several") == ["RoundRobin()"]
    assert set(map(tuple, told.values())) == {()}
    assert {"orders", "alone", "usual"} <= told.keys()


def test_services_shows_the_policies_of_a_view(own: Folder) -> None:
    own.add(
        "more",
        "from gateway import Bulkhead, Retry, with_policies",
        "public(more)",
        "@more.get('/x')",
        "@with_policies(Retry(attempts=3), Bulkhead())",
        "def x():",
        "    return more.forward()",
    )
    (fault,) = own.run("check", **IN_ORDER).faults
    place = f"({own.path}/blueprints/more.py:6)"
    assert fault == (
        f"view 'more.x': Bulkhead works per request and must come before Retry {place}"
    )
    text = own.read("more.py").replace(", Bulkhead())", ")")
    (own.path / "blueprints" / "more.py").write_text(text)
    done = own.run("services", **IN_ORDER)
    lines = [line for line in done.out.splitlines() if "; policies Retry(attempts=3)" in line]
    assert len(lines) == 1
    assert lines[0].strip().startswith("requires nothing (public); limits ")


def test_services_shows_bursts(own: Folder) -> None:
    limit = 'from gateway import limiter; limiter.limit("10/second", burst=20)(bursts)'
    own.add("bursts", f"{limit}; public(bursts)")
    done = own.run("services", **IN_ORDER)
    assert "limits bursts 10/1s burst 20" in done.out


def test_services_shows_how_limits_are_not_as_usual(own: Folder) -> None:
    own.add(
        "odd",
        "def failed(response): return response.status_code >= 500",
        'limiter.limit("9/minute", on_failure="closed", dry_run=True)(odd)',
        'limiter.limit("5/hour", deduct_when=failed)(odd)',
        'limiter.limit("7/second", burst=3, nodelay=False)(odd)',
        'limiter.concurrency(4, on_failure="open")(odd)',
        "public(odd)",
    )
    done = own.run("services", **IN_ORDER)
    assert (
        "; limits odd 7/1s burst 3 nodelay=False, odd 9/60s on_failure=closed dry run,"
        " *default 1000/60s, odd 5/3600s deduct_when=failed, odd 4 at once on_failure=open\n"
    ) in done.out
    assert "dry run" not in done.out.partition("odd:")[0]
    done = own.run("services", **IN_ORDER, RATE_LIMIT_DRY_RUN="true")
    assert "orders 100/60s dry run, *default 1000/60s dry run" in done.out
    assert "odd 4 at once on_failure=open dry run\n" in done.out


@pytest.mark.parametrize(
    "wanted",
    [{"API_KEYS": "true"}, {"PLANS": '{"free": {"quota": "9/day"}}'}],
    ids=["keys", "quotas"],
)
def test_a_database_that_cannot_be_used_is_a_note(
    shared: Folder, tmp_path: Path, wanted: dict[str, str]
) -> None:
    for url, why in (
        (f"sqlite:///{tmp_path}/no.db", f"{tmp_path}/no.db is not there: "),
        ("postgresql://u:hunter2@127.0.0.1:1/d", "refused: when it can be reached, "),
    ):
        done = shared.run("check", **IN_ORDER, **wanted, DATABASE_URL=url)
        assert (done.code, done.out) == (0, ALL_IN_ORDER)
        (note,) = done.err.splitlines()
        assert note.startswith("note: DATABASE_URL: ")
        assert note.endswith(f"{why}run `flask gateway db upgrade`")
        assert "hunter2" not in note
        assert shared.run("check", **IN_ORDER, DATABASE_URL=url).err == ""  # nobody needs it


def test_a_database_in_order_is_not_mentioned(shared: Folder, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    environ = {**IN_ORDER, "API_KEYS": "true", "DATABASE_URL": url}
    assert shared.run("db", "upgrade", **environ).code == 0
    done = shared.run("check", **environ)
    assert (done.code, done.err) == (0, "")


def test_services_of_a_gateway_with_faults(shared: Folder) -> None:
    assert len(shared.run("services").faults) == 6


def test_a_folder_without_a_gateway(own: Folder) -> None:
    (own.path / "app.py").unlink()
    done = own.run("check", **IN_ORDER)
    assert (done.code, done.out) == (2, "")
    assert "Could not locate a Flask application" in done.err


def test_a_service_without_paths_is_shown_as_one(own: Folder) -> None:
    own.add("backup", "public(backup)")
    listed = own.path / "blueprints" / "backup.py"
    text = listed.read_text()
    changed = re.sub(r"url_prefix=[^,)]*", "url_prefix=None", text)
    assert changed != text
    listed.write_text(changed)
    done = own.run("services", **IN_ORDER)
    assert (done.code, done.err) == (0, "")
    assert "backup: no paths -> http://h.test\n" in done.out
