"""The fuzzed gateway as gunicorn serves it: `tests.support.fuzz_server:app`."""

from __future__ import annotations

from tests.support.fuzz_app import make_fuzzed

app, _ = make_fuzzed()
