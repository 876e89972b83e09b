"""The authorities of the bench of authentication: an OIDC issuer, introspection, forward auth.

Answers every question alike; the gateway asks each of them once. `authority.py PORT JWKS-FILE`.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from contenders import USER_ID

PERMISSION = "order:read"


class Handler(BaseHTTPRequestHandler):
    """One request to any of them."""

    protocol_version = "HTTP/1.1"
    keys: Any = None
    issuer = ""

    def do_GET(self) -> None:
        """Discovery, keys, or the verdict of forward auth."""
        if self.path.endswith("/openid-configuration"):
            self._answer({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"})
        elif self.path == "/jwks":
            self._answer(self.keys)
        else:
            self._answer({}, {"X-User-ID": USER_ID, "X-User-Permissions": PERMISSION})

    def do_POST(self) -> None:
        """Introspection: every token is good."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expires = int(time.time()) + 3600
        self._answer({"active": True, "sub": USER_ID, "scope": PERMISSION, "exp": expires})

    def _answer(self, document: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: it would be in the way."""


def main() -> None:
    """Serve until ended."""
    port = int(sys.argv[1])
    Handler.keys = json.loads(Path(sys.argv[2]).read_text())
    Handler.issuer = f"http://127.0.0.1:{port}"
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
