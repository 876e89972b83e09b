"""A real authorisation server for tests: the npm package `oidc-provider`, always ended."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import pytest

from tests.support.gunicorn import suspend
from tests.support.node import NODE, NPM, install

FOLDER = Path(__file__).resolve().parents[1] / "peers" / "oidc_provider"


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody the server knows. auth: how it proves who it is, `basic` or `post`."""

    client_id: str
    client_secret: str = "a secret of tests"
    auth: Literal["basic", "post"] = "basic"
    scope: str = ""

    def metadata(self) -> dict[str, str]:
        """The client in the server's words."""
        found = asdict(self)
        found["token_endpoint_auth_method"] = f"client_secret_{found.pop('auth')}"
        return {name: value for name, value in found.items() if value}

    def prove(self, form: dict[str, str]) -> dict[str, str]:
        """Put it into a form, or return it as header fields (RFC 6749 section 2.3.1)."""
        if self.auth == "post":
            form.update(client_id=self.client_id, client_secret=self.client_secret)
            return {}
        pair = ":".join(map(urllib.parse.quote_plus, (self.client_id, self.client_secret)))
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@dataclass(frozen=True, slots=True)
class Resource:
    """An API that tokens are for (RFC 8707). format: `jwt`, or `opaque` for tokens that only the
    server can tell about. alg: what signs the former; it needs such a key. seconds: of life."""

    format: Literal["jwt", "opaque"] = "jwt"
    alg: str = "RS256"
    seconds: int = 600


@dataclass(frozen=True, slots=True)
class Config:
    """What the server is to be.

    algorithms: of its signing keys, one each. claims: further ones of tokens, by the account or
    the client that a token is about. seconds: how long tokens without a resource live. port: 0
    for a free one. kid: how the names of its keys begin.
    """

    clients: Sequence[Client] = (Client("caller"), Client("gateway"), Client("poster", auth="post"))
    resources: Mapping[str, Resource] = field(
        default_factory=lambda: {"https://api.example": Resource()}
    )
    scopes: Sequence[str] = ("read", "write", "openid")
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    algorithms: Sequence[str] = ("RS256",)
    seconds: int = 600
    port: int = 0
    kid: str = "key"

    def told(self) -> dict[str, Any]:
        """What the program reads first."""
        clients = [client.metadata() for client in self.clients]
        return {**asdict(self), "clients": clients}


class OidcProvider:
    """One server. It can be asked as a client does, given other keys, stopped, started again on
    the same port with other keys and without its old tokens, and made to hang."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.port = config.port
        #: The names of its keys; the first one of an algorithm signs.
        self.kids: list[str] = []
        self._clients = {client.client_id: client for client in config.clients}
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def issuer(self) -> str:
        """What it calls itself, also the address that its endpoints' paths follow."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def introspection_url(self) -> str:
        """Where tokens are asked about (RFC 7662)."""
        return f"{self.issuer}/token/introspection"

    def start(self) -> None:
        """Start it; returns when it serves."""
        install(FOLDER)
        assert NODE is not None
        self._log = tempfile.TemporaryFile(prefix="gw-oidc-")  # noqa: SIM115 - until stop
        self._process = subprocess.Popen(
            [NODE, "server.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        answer = self._tell({**self.config.told(), "port": self.port})
        self.port, self.kids = answer["port"], answer["kids"]

    def stop(self) -> None:
        """End it at once: whoever connects is refused."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout, self._log):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def hang(self) -> None:
        """Keep its port and its connections, and answer nothing."""
        assert self._process is not None
        suspend(self._process)

    def go_on(self) -> None:
        """End the hanging."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def rotate(self, *algorithms: str, keep: bool = False) -> list[str]:
        """Sign with new keys from now on: their names, the new ones first. keep: the old ones
        stay in the key set. No algorithms: the same as at its start."""
        wanted = algorithms or tuple(self.config.algorithms)
        self.kids = self._tell({"command": "rotate", "algorithms": wanted, "keep": keep})["kids"]
        return self.kids

    def issue(
        self,
        client: str = "caller",
        *,
        account: str | None = None,
        scope: str = "",
        resource: str = "",
        seconds: int = 0,
    ) -> str:
        """A token of a user, made without a login. seconds: 0 for the usual."""
        told = {"client": client, "account": account, "scope": scope, "resource": resource}
        return str(self._tell({"command": "issue", **told, "seconds": seconds})["token"])

    def calls(self, path: str = "/token/introspection") -> int:
        """How often this path was asked for, since its start."""
        return int(self._tell({"command": "calls"})["calls"].get(path, 0))

    def token(self, client: str = "caller", *, scope: str = "", resource: str = "") -> str:
        """A token of the client's own, asked for with the client_credentials grant."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
        answer = self.post("/token", client, {name: text for name, text in form.items() if text})
        return str(answer["access_token"])

    def introspect(self, token: str, client: str = "gateway") -> dict[str, Any]:
        """What the server says of a token."""
        return self.post("/token/introspection", client, {"token": token})

    def revoke(self, token: str, client: str = "caller") -> None:
        """End a token before its time; only the client that it was issued to can."""
        self.post("/token/revocation", client, {"token": token})

    def discovery(self) -> dict[str, Any]:
        """Its `/.well-known/openid-configuration`."""
        return self._open(urllib.request.Request(f"{self.issuer}/.well-known/openid-configuration"))

    def post(self, path: str, client: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Send a form as one of its clients; what it answers."""
        fields = dict(form)
        headers = self._clients[client].prove(fields)
        body = urllib.parse.urlencode(fields).encode()
        return self._open(urllib.request.Request(f"{self.issuer}{path}", body, headers))

    def _open(self, request: urllib.request.Request) -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=10) as response:
            read = response.read()
        found: dict[str, Any] = json.loads(read) if read else {}
        return found

    def _tell(self, told: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._said()}
        assert "error" not in answer, answer["error"]
        return answer

    def _said(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


@contextlib.contextmanager
def start_oidc_provider(config: Config | None = None) -> Iterator[OidcProvider]:
    """A running server, ended with the block. Skips the test where node or npm is missing."""
    if NODE is None or NPM is None:
        pytest.skip("there is no node or no npm here")
    provider = OidcProvider(config or Config())
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()
