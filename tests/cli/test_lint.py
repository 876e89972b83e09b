"""What `flask gateway check` warns of in the modules of services."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from gateway import Service, public
from gateway.cli import group
from gateway.cli.lint import file_warnings, service_warnings
from tests.support.wsgi import make_app


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import requests", ["1 requests"]),
        ("import requests as http", ["1 requests"]),
        ("import requests.adapters", ["1 requests"]),
        ("from requests import get", ["1 requests"]),
        ("import http.client", ["1 http.client"]),
        ("from http import HTTPStatus, client", ["1 http.client"]),
        ("import http\n\nhttp.client.HTTPConnection('h')", ["3 http.client"]),
        ("import urllib as u\nu.request.urlopen('http://h')", ["2 urllib.request"]),
        ("from urllib.parse import quote", []),
        ("import urllib.parse", []),
        ("from tornado import httpclient", ["1 tornado.httpclient"]),
        ("def view():\n    import sqlite3", ["2 sqlite3"]),
        ("try:\n    import redis\nexcept ImportError:\n    import httpx", ["2 redis", "4 httpx"]),
        ("import importlib\nimportlib.import_module('requests')", ["2 requests"]),
        ("import importlib as i\ni.import_module(name='psycopg')", ["2 psycopg"]),
        ("from importlib import import_module as load\nload('a'); load('boto3')", ["2 boto3"]),
        ("__import__('socket')", ["1 socket"]),
        ("from gateway.database.engine import Database", ["1 gateway.database"]),
        ("from gateway import Service, database", ["1 gateway.database"]),
        ("from gateway.transport.calls import Caller", ["1 gateway.transport"]),
        ("from gateway import Service, gather", []),
        ("from django import db", ["1 django.db"]),
        ("import django.conf", []),
        ("import requests_mock, redistribute", []),
        ("from . import redis\nfrom .http import client", []),
        ("import requests, redis, requests.auth", ["1 redis", "1 requests"]),
        ("import requests  # gateway: allow", []),
        ("import requests  # noqa: F401  # gateway: allow", []),
        ("import requests  # gateway: allow, for the session of a service", []),
        ("from http import (\n    client,  # gateway: allow\n)", []),
        ("text = '# gateway: allow'; import requests", ["1 requests"]),
        ("# gateway: allow\nimport requests", ["2 requests"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests", []),
        (
            "import typing\nif typing.TYPE_CHECKING:\n    import redis\nelse:\n    import lmdb",
            ["5 lmdb"],
        ),
        ("from typing import TYPE_CHECKING as T\nif not T:\n    import redis", ["3 redis"]),
        ("def requests(): ...\nrequests.get = 1", []),
        ("", []),
    ],
)
def test_what_is_found(tmp_path: Path, source: str, found: list[str]) -> None:
    path = tmp_path / "one.py"
    path.write_text(source)
    told = [line.partition(" opens ")[0].replace(": ", " ") for line in file_warnings(path)]
    assert told == found


def test_what_to_do_instead_is_said(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text("import requests\nimport sqlite3\n")
    client, database = file_warnings(path)
    assert "forward, get what other services know with fetch and gather" in client
    assert "belongs to a backend" in database


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"x = 1\ndef (:\n", "2: is not valid Python"),
        (b"# coding: nonsense\n", "1: is not valid Python"),
        (b"\xff\xfe\x00", "is not valid Python"),
        (b"a = 1\0", "is not valid Python"),
    ],
)
def test_a_file_that_is_no_python_is_told_of(tmp_path: Path, source: bytes, told: str) -> None:
    path = tmp_path / "one.py"
    path.write_bytes(source)
    (line,) = file_warnings(path)
    assert line.endswith(told)


def test_a_file_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    assert file_warnings(tmp_path) == ["1: cannot be read (IsADirectoryError)"]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A gateway in a folder, with services in `blueprints`, in a package elsewhere, and in the
    gateway's own modules."""
    monkeypatch.chdir(tmp_path)
    files = {
        "blueprints/__init__.py": "import socket",
        "blueprints/orders.py": "import requests",
        "blueprints/more/deep.py": "import redis",
        "team/__init__.py": "",
        "team/views.py": "\nimport pymongo",
        "alone.py": "import peewee",
        "unused.py": "import peewee",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("team", "alone"):
        module = ModuleType(name)
        module.__file__ = str(
            tmp_path / (f"{name}.py" if name == "alone" else f"{name}/__init__.py")
        )
        if name == "team":
            module.__path__ = [str(tmp_path / "team")]
        monkeypatch.setitem(sys.modules, name, module)
    names = {"a": "team", "b": "alone", "c": "gateway.service", "d": "nowhere", "e": "team"}
    return make_app(
        *(
            public(Service(name, module, url_prefix=f"/{name}", upstream="http://h.test"))
            for name, module in names.items()
        )
    )


def test_where_it_looks(app: Flask) -> None:
    places = [line.partition(" opens ")[0] for line in service_warnings(app)]
    assert places == [
        "blueprints/__init__.py:1: socket",
        "blueprints/more/deep.py:1: redis",
        "blueprints/orders.py:1: requests",
        "alone.py:1: peewee",
        "team/views.py:2: pymongo",
    ]


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--strict"], 1)], ids=["usual", "strict"])
def test_the_command_warns(app: Flask, words: list[str], code: int) -> None:
    info = ScriptInfo(create_app=lambda: app)
    done = CliRunner().invoke(group, ["check", *words], obj=info)
    assert done.exit_code == code, done.exception
    assert done.stdout == "The settings and 5 services are in order.\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("warning: ") for line in lines)


def test_without_warnings_strict_is_content(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    for name in ("team", "alone"):
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(group, ["check", "--strict"], obj=ScriptInfo(create_app=lambda: app))
    assert (done.exit_code, done.stderr) == (0, "")
