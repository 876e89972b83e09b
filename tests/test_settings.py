"""Settings: what they accept, what is a fault, and that secrets stay out of messages."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest
from pydantic import ValidationError

from gateway import settings as rooms
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError
from gateway.settings.room import Room
from settings import Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Settings:
    """The settings of an environment."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def faults(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> list[str]:
    """The names of the settings that are wrong with this value."""
    monkeypatch.setenv(name, value)
    try:
        load_settings()
    except ConfigurationError as error:
        return [fault.split(":")[0] for fault in error.faults]
    return []


def test_without_an_environment_everything_has_a_default() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert load_settings().model_dump() == defaults


def test_no_default_is_a_secret() -> None:
    settings = load_settings()
    assert (settings.JWT_SECRET, settings.JWT_KEYS, settings.REDIS_URL) == ("", "", "")
    assert (settings.CONSUL_TOKEN, settings.EUREKA_URL) == ("", "")


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, PORT="9000", ACCESS_LOG="false", READ_TIMEOUT="2.5", UNKNOWN="x")
    assert (settings.PORT, settings.ACCESS_LOG, settings.READ_TIMEOUT) == (9000, False, 2.5)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("PORT", ["-1", "65536", "http", "", "80.5"]),
        ("WEB_CONCURRENCY", ["0", "-1", "many"]),
        ("WORKER_CLASS", ["sync", "", "GEVENT"]),
        ("WORKER_CONNECTIONS", ["0"]),
        ("WORKER_THREADS", ["0"]),
        ("KEEPALIVE_SECONDS", ["-1"]),
        ("GRACEFUL_TIMEOUT", ["0"]),
        ("DRAIN_SECONDS", ["-0.1", "nan", "inf"]),
        ("MAX_REQUESTS", ["-1"]),
        ("MAX_REQUESTS_JITTER", ["-1"]),
        ("LIMIT_REQUEST_LINE", ["255", "65537"]),
        ("LIMIT_REQUEST_FIELDS", ["0", "32769"]),
        ("LIMIT_REQUEST_FIELD_SIZE", ["255"]),
        ("TRUSTED_PROXIES", ["nonsense", "10.0.0.0/8,10.0.0.0/33", "10.0.0.0/8 fd00::/8"]),
        ("VIA_PSEUDONYM", ["a b", "a,b", "a\nb", "ä"]),
        ("MAX_BODY_BYTES", ["-1", "10MB"]),
        ("CLIENT_TIMEOUT", ["0", "nan", "inf"]),
        ("CONNECT_TIMEOUT", ["0", "nan", "inf"]),
        ("READ_TIMEOUT", ["0", "nan", "inf"]),
        ("TOTAL_TIMEOUT", ["0", "nan", "inf"]),
        ("POOL_SIZE", ["-1"]),
        ("POOL_IDLE_SECONDS", ["-1", "nan", "inf"]),
        ("CONSUL_TOKEN", ["a b", "a\nb", "ä"]),
        ("EUREKA_INTERVAL", ["0", "601", "1.5"]),
        ("EUREKA_APP", ["a b", "a/b", "ä"]),
        ("JWT_LEEWAY", ["-1", "nan", "inf", "1e300"]),
        ("JWT_CACHE_SIZE", ["-1"]),
        ("TOKEN_HEADER", ["x y", "x\ny", "x:", "ä"]),
        ("REDIS_TIMEOUT", ["0", "nan", "inf"]),
        ("ALLOW_MEMORY_STATE", ["maybe"]),
        ("FAULT_INJECTION", ["maybe", ""]),
        ("WEBHOOKS", ["x", "[]", "{"]),
        ("WEBHOOK_TIMEOUT", ["0", "301", "nan"]),
        ("WEBHOOK_RETRIES", ["0", "5,0", "604801", "1," * 101]),
        ("WEBHOOK_DAYS", ["0", "1.5"]),
        ("RATE_LIMIT_HEADERS", ["2"]),
        ("ACCESS_LOG", [""]),
    ],
)
def test_a_wrong_value_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, name: str, values: list[str]
) -> None:
    accepted = [value for value in values if faults(monkeypatch, name, value) != [name]]
    assert accepted == []


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("", ()),
        (" , ,", ()),
        ("10.0.0.0/8", ("10.0.0.0/8",)),
        (" 10.1.2.3/8 , fd00::/8,unix,,127.0.0.1", ("10.1.2.3/8", "fd00::/8", "unix", "127.0.0.1")),
    ],
)
def test_trusted_proxies(
    monkeypatch: pytest.MonkeyPatch, value: str, parts: tuple[str, ...]
) -> None:
    settings = read(monkeypatch, TRUSTED_PROXIES=value)
    assert parts == settings.TRUSTED_PROXIES


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(monkeypatch, PORT="x", WORKER_CLASS="sync", TRUSTED_PROXIES="y", JWT_LEEWAY="-1")
    names = [fault.split(":")[0] for fault in caught.value.faults]
    assert sorted(names) == ["JWT_LEEWAY", "PORT", "TRUSTED_PROXIES", "WORKER_CLASS"]


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("JWT_SECRET", "JWT_KEYS", "REDIS_URL", "CONSUL_TOKEN", "EUREKA_URL")
    secrets = dict.fromkeys(names, "hunter2")
    assert "hunter2" not in repr(read(monkeypatch, **secrets))
    with pytest.raises(ValidationError) as caught:
        Settings(PORT="hunter2")
    assert "hunter2" not in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().PORT = 1  # type: ignore[misc]


def test_where_gunicorn_listens() -> None:
    assert Settings(PORT=9000).bind == "0.0.0.0:9000"
    assert Settings(PORT=9000, BIND="unix:/run/g.sock").bind == "unix:/run/g.sock"


def test_concurrency_and_pools_follow_the_worker() -> None:
    gevent = Settings(WORKER_CLASS="gevent", WORKER_CONNECTIONS=7, WORKER_THREADS=3)
    threads = Settings(WORKER_CLASS="gthread", WORKER_CONNECTIONS=7, WORKER_THREADS=3)
    assert (gevent.worker_concurrency, gevent.pool_size) == (7, 7)
    assert (threads.worker_concurrency, threads.pool_size) == (3, 3)
    assert (gevent.worker_waiting, threads.worker_waiting) == (32, 12)
    assert Settings(WORKER_CONNECTIONS=512).worker_waiting == 128
    assert Settings(POOL_SIZE=2).pool_size == 2


def test_every_room_is_part_of_the_settings_and_shares_no_name() -> None:
    modules = [
        import_module(f"{rooms.__name__}.{m.name}") for m in pkgutil.iter_modules(rooms.__path__)
    ]
    found = {
        value
        for module in modules
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Room) and value is not Room
    }
    assert found == set(Settings.__bases__)
    assert sorted(Settings.model_fields) == sorted(n for room in found for n in room.model_fields)


def test_a_fork_adds_options_and_changes_defaults() -> None:
    class Own(Settings):
        READ_TIMEOUT: float = 3
        OWN: int = 1

    assert list(Own.model_fields) == [*Settings.model_fields, "OWN"]
    assert (Own().READ_TIMEOUT, Own().OWN, Own().PORT) == (3, 1, 8000)
