"""On the machine that checks everything, a skipped test is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gunicorn import ROOT

PYTEST = [sys.executable, "-m", "pytest", "-p", "xdist.plugin", "-p", "tests.support.no_skips"]
PASSES = "def test_passes():\n    pass\n"
CASES = {
    "nothing skipped": (PASSES, 0),
    "a test": (PASSES + "import pytest\n@pytest.mark.skip\ndef test_skipped():\n    pass\n", 1),
    "in a test": (PASSES + "import pytest\ndef test_skipped():\n    pytest.skip('why')\n", 1),
    "a module": ("import pytest\npytest.skip('why', allow_module_level=True)\n", 1),
    "expected to fail": (
        PASSES + "import pytest\n@pytest.mark.xfail\ndef test_wrong():\n    assert False\n",
        0,
    ),
}


# By workers of their own as when everything is checked, where that may make a difference.
@pytest.mark.parametrize(
    ("code", "status", "workers"),
    [(*case, "2" if name in ("in a test", "a module") else "0") for name, case in CASES.items()],
    ids=CASES.keys(),
)
def test_skipped_fails(tmp_path: Path, code: str, status: int, workers: str) -> None:
    (tmp_path / "test_one.py").write_text(code)
    (tmp_path / "test_two.py").write_text(PASSES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [*PYTEST, "-n", workers, "-c", str(tmp_path / "pytest.ini"), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the others take long to load
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert ("though nothing may be" in done.stdout) == bool(status)
