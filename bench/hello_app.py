"""The yardstick: Flask's hello-world."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """The answer of the first page of Flask's manual."""
    return "Hello, World!"
