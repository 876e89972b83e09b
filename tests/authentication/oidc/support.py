"""An issuer of tests: its keys as documents, its tokens, and a real server that publishes both."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.authentication.oidc.authority import OidcAuthority
from gateway.authentication.oidc.discovery import FetchFailed
from gateway.authentication.oidc.issuer import Issuer, parse_issuer
from gateway.authentication.oidc.key_document import Jwk, read_document
from gateway.authentication.oidc.keys import IssuerKeys
from gateway.state import MemoryState, SharedState
from tests.authentication import support
from tests.authentication.support import base64url, key_pair
from tests.upstreams.discovery.registry_server import Call, RegistryServer, Reply

ISSUER = "https://issuer.test"
AUDIENCE = "api"
ENTRY = f"{ISSUER};audience={AUDIENCE}"


def jwk(algorithm: str = "RS256", number: int = 0, **members: Any) -> dict[str, Any]:
    """A public key as an issuer publishes it; its kid is such as `RS256-0`. None takes a member
    away."""
    public: Any = load_pem_public_key(key_pair(algorithm, number)[1].encode())
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    made.pop("key_ops", None)
    whole = {**made, "use": "sig", "alg": algorithm, "kid": f"{algorithm}-{number}", **members}
    return {name: value for name, value in whole.items() if value is not None}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token of the issuer, with some changed; None takes one away."""
    return support.claims(**{"iss": ISSUER, "aud": AUDIENCE, **changes})


def token(algorithm: str = "RS256", number: int = 0, **changes: Any) -> str:
    """A good token, signed with a key of `jwk`."""
    return signed({"kid": f"{algorithm}-{number}"}, claims(**changes), algorithm, number)


def signed(
    header: dict[str, Any] | bytes,
    body: dict[str, Any] | bytes,
    algorithm: str = "RS256",
    number: int = 0,
) -> str:
    """A token of any header and claims, signed by the issuer; the header has an `alg` anyway,
    unless it is bytes."""
    if isinstance(header, dict):
        header = {"alg": algorithm, "typ": "JWT", **header}
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, body)
    ]
    text = ".".join(map(base64url, parts))
    method: Any = jwt.get_algorithm_by_name(algorithm)
    return f"{text}.{base64url(method.sign(text.encode(), _private(algorithm, number)))}"


@functools.cache
def _private(algorithm: str, number: int) -> Any:
    method: Any = jwt.get_algorithm_by_name(algorithm)
    return method.prepare_key(key_pair(algorithm, number)[0])


class Clock:
    """A clock that a test turns, as seconds since the epoch or of the shared state."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now or float(int(time.time()))

    def __call__(self) -> float:
        return self.now


class Document:
    """What fetching finds, counted. keys: None for an issuer that does not answer."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys: Sequence[dict[str, Any]] | None = keys
        self.fetches = 0

    def __call__(self) -> tuple[tuple[Jwk, ...], int]:
        self.fetches += 1
        if self.keys is None:
            raise FetchFailed("the issuer does not answer")
        return read_document(orjson.dumps({"keys": self.keys}))


def at_once(work: Callable[[], None]) -> None:
    """Does beside the request what a thread would do."""
    work()


def keys_of(
    document: Callable[[], tuple[tuple[Jwk, ...], int]],
    state: SharedState | None = None,
    gone: Callable[[], None] = lambda: None,
    **options: Any,
) -> IssuerKeys:
    """A worker's keys of the issuer; workers with one state belong together. Nothing is by lot."""
    usual = {"draw": lambda: 1.0, "sleep": lambda _: None, "run": at_once}
    return IssuerKeys(
        ISSUER, "oidc/test", document, state or MemoryState(), gone=gone, **{**usual, **options}
    )


def authority(
    *entries: str,
    document: Callable[[], tuple[tuple[Jwk, ...], int]] | None = None,
    state: SharedState | None = None,
    **options: Any,
) -> OidcAuthority:
    """The authority of issuers whose keys are all in one document; of one issuer, by default, with
    an RSA, an elliptic and an Edwards key."""
    found = document or Document(jwk(), jwk("ES256"), jwk("EdDSA"))
    issuers = [parse_issuer(entry) for entry in entries or (ENTRY,)]

    def trust(_issuer: Issuer, gone: Callable[[], None]) -> IssuerKeys:
        return keys_of(found, state, gone)

    return OidcAuthority(issuers, trust, **options)


class IssuerServer(RegistryServer):
    """An issuer that can be asked. keys: what it publishes. told: members of its discovery
    document besides or instead of the usual."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        super().__init__()
        self.keys: Sequence[Any] = keys
        self.told: dict[str, Any] = {}
        self.url = f"http://{self.authority}"

    def answer(self, call: Call) -> Reply:
        """See RegistryServer.answer."""
        if call.path == (".well-known", "openid-configuration"):
            usual = {"issuer": self.url, "jwks_uri": f"{self.url}/keys?of=all"}
            return Reply(200, {**usual, **self.told})
        if call.path == ("keys",):
            return Reply(200, {"keys": self.keys})
        return Reply(404)

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return len(self.of("GET", "keys"))

    def token(self, algorithm: str = "RS256", number: int = 0, **changes: Any) -> str:
        """A good token of this issuer."""
        return token(algorithm, number, **{"iss": self.url, **changes})
