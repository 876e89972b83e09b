"""What `flask gateway check` warns of: services that open HTTP clients or databases of their own.

A view composes policies and services. What it fetched by a client of its own would pass no limit,
circuit, deadline or log of the gateway; what it kept in a database would be business logic.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

_ALLOW = re.compile(r"#\s*gateway:\s*allow\b")
_CLIENTS = frozenset(
    {
        *("aiohttp", "boto3", "botocore", "gateway.transport", "grpc", "http.client", "httplib2"),
        *("httpx", "pycurl", "requests", "socket", "tornado.httpclient", "tornado.websocket"),
        *("urllib.request", "urllib3", "websocket", "websockets", "xmlrpc.client", "zeep"),
    }
)
_DATABASES = frozenset(
    {
        *("MySQLdb", "aiomysql", "aiopg", "aiosqlite", "asyncpg", "cassandra", "clickhouse_driver"),
        *("cx_Oracle", "databases", "dbm", "django.db", "duckdb", "elasticsearch"),
        *("flask_sqlalchemy", "gateway.database", "lmdb", "mariadb", "mongoengine", "motor"),
        *("mysql", "neo4j", "opensearchpy", "oracledb", "peewee", "pony", "psycopg", "psycopg2"),
        *("pymemcache", "pymongo", "pymssql", "pymysql", "pyodbc", "redis", "shelve"),
        *("sqlalchemy", "sqlite3", "sqlmodel", "tortoise", "valkey"),
    }
)
_INSTEAD = {
    _CLIENTS: "a client of its own: forward, get what other services know with fetch and gather,"
    " or make what it calls a service",
    _DATABASES: "a database of its own: that belongs to a backend, which is forwarded to or"
    " fetched from",
}


def service_warnings(app: Flask) -> list[str]:
    """A line for each place where `blueprints`, or the module of a service of the application,
    opens a client or a database. The gateway's own modules are not looked at."""
    root = Path.cwd()
    found = dict.fromkeys(_own_files(app, root))
    return [f"{_shown(path, root)}:{told}" for path in found for told in file_warnings(path)]


def file_warnings(path: Path) -> list[str]:
    """What is wrong in one file, as `line: what`; also where it cannot be read as Python."""
    try:
        source = path.read_bytes()
        tree = ast.parse(source)
        allowed = _allowed(source)
    except SyntaxError as error:
        return [f"{error.lineno or 1}: is not valid Python"]
    except (OSError, ValueError) as error:
        return [f"1: cannot be read ({type(error).__name__})"]
    told: dict[tuple[int, str], str] = {}
    for node, module in _used(tree):
        last = getattr(node, "end_lineno", None) or node.lineno
        if allowed.isdisjoint(range(node.lineno, last + 1)) and (word := _opened(module)):
            told.setdefault((node.lineno, word), f"{node.lineno}: {word} opens {_instead(word)}")
    return [told[place] for place in sorted(told)]


def _own_files(app: Flask, root: Path) -> Iterator[Path]:
    """The files of `blueprints`, and of the modules in which services were made."""
    from gateway.service import Service

    yield from sorted((root / "blueprints").rglob("*.py"))
    services = [one for one in app.blueprints.values() if isinstance(one, Service)]
    for name in sorted({service.import_name for service in services}):
        module = sys.modules.get(name)
        place = getattr(module, "__file__", None)
        if place is None or name == "__main__" or name.partition(".")[0] == "gateway":
            continue
        folders: Iterable[str] = getattr(module, "__path__", ())  # a package: all that is in it
        yield from sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
        yield Path(place)


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _allowed(source: bytes) -> set[int]:
    """The lines whose comment says that it is meant."""
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    try:
        return {
            token.start[0]
            for token in tokens
            if token.type == tokenize.COMMENT and _ALLOW.search(token.string)
        }
    except tokenize.TokenError as error:  # what ast understands, tokenize may not
        raise ValueError(str(error)) from None


def _opened(module: str) -> str:
    """The name of a client or a database that a module is, or is part of; empty for neither."""
    words = module.split(".")
    names = (".".join(words[:count]) for count in range(1, len(words) + 1))
    return next((name for name in names if name in _CLIENTS or name in _DATABASES), "")


def _instead(word: str) -> str:
    return next(told for names, told in _INSTEAD.items() if word in names)


def _used(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """Every module that a file uses, wherever it does, by its whole name."""
    names = _bound(tree)
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node, _dotted(node, names)  # such as urllib.request after `import urllib`
        elif isinstance(node, ast.Call):
            yield node, _imported(node, names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and _is_for_types(child.test)):
            yield child
            yield from _running(child)
            continue
        for other in child.orelse:
            yield other
            yield from _running(other)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _bound(tree: ast.Module) -> dict[str, str]:
    """What names stand for that imports made, as far as these are absolute."""
    names = {"__import__": "__import__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The whole name of what an expression such as `a.b.c` means; empty if no import made it. Of
    what an import names itself nothing is told again."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    top = names[node.id]
    return "" if _opened(top) else ".".join([top, *reversed(words)])


def _imported(node: ast.Call, names: dict[str, str]) -> str:
    """The module that a call of `importlib.import_module` or `__import__` names."""
    called = names.get(node.func.id, "") if isinstance(node.func, ast.Name) else ""
    if (called or _dotted(node.func, names)) not in ("importlib.import_module", "__import__"):
        return ""
    given: Sequence[ast.expr] = [
        *node.args[:1],
        *(k.value for k in node.keywords if k.arg == "name"),
    ]
    return next((str(v.value) for v in given if isinstance(v, ast.Constant)), "")
