"""Keys, tokens made by hand, and a gateway whose backend only listens."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask.testing import FlaskClient

from gateway import Service, create_app, public, require
from gateway.authentication.keys import KeySet, load_keys
from gateway.authentication.tokens import TokenVerifier
from gateway.testing_stub import StubRequest, StubTransport
from settings import Settings

SECRET = "a secret of tests, longer than sixty-four bytes, so that HS512 is content too"
CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token with some of them changed; None takes one away."""
    whole = {"sub": "u1", "exp": int(time.time()) + 3600, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def sign(body: dict[str, Any], key: str = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    """A token as an honest issuer makes it."""
    return jwt.encode(body, key, algorithm=algorithm, headers=header or None)


def base64url(data: bytes) -> str:
    """Base64 as tokens use it, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: dict[str, Any] | bytes, body: dict[str, Any] | bytes, key: str = SECRET) -> str:
    """A token of any header and body, signed with HMAC-SHA256 whatever the header says."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, body)
    ]
    signed = ".".join(map(base64url, parts))
    return f"{signed}.{base64url(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"


def forge_body(body: bytes) -> str:
    """A token that is rightly signed, with any bytes as its claims."""
    return forge({"alg": "HS256", "typ": "JWT"}, body)


def to_json(body: dict[str, Any]) -> bytes:
    """Claims as bytes, also those that an honest issuer's library refuses to sign."""
    return json.dumps(body).encode()


@functools.cache
def key_pair(algorithm: str, number: int = 0) -> tuple[str, str]:
    """A private and a public key as PEM; another pair for another `number`."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    elif algorithm in CURVES:
        private = ec.generate_private_key(CURVES[algorithm])
    elif algorithm[:2] in ("RS", "PS"):
        private = rsa.generate_private_key(65537, 2048)
    else:
        raise ValueError(algorithm)
    return pem(private)


def pem(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> tuple[str, str]:
    """A private key and its public one, as PEM."""
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def keys_of(entries: str = "", secret: str = "", **environ: str) -> KeySet:
    """A set of keys that has no fault."""
    keys, faults = load_keys(secret, entries, environ)
    assert faults == []
    return keys


def verifier(**options: Any) -> TokenVerifier:
    """A verifier of tokens that are signed with SECRET."""
    return TokenVerifier(keys_of(secret=SECRET), **options)


@dataclass(frozen=True, slots=True)
class House:
    """A whole gateway with a guarded and a public service, and the backend behind both."""

    client: FlaskClient
    backend: StubTransport

    @property
    def reached(self) -> StubRequest:
        """The only request that the backend was sent."""
        (only,) = self.backend.requests
        return only

    def send(self, path: str, *, method: str = "GET", **environ: str) -> Any:
        """Ask with these WSGI variables, which may hold what no HTTP client would let pass."""
        return self.client.open(path, method=method, environ_overrides=environ)


def build(**settings: Any) -> House:
    """A gateway with these settings; `/guarded` needs order:read, `/open` nothing."""
    backend = StubTransport(lambda *_: (200, {"Content-Type": "text/plain"}, b"hello"))
    guarded, opened = (
        Service(
            name,
            __name__,
            url_prefix=f"/{name}",
            upstream="http://backend.test",
            session=backend.session(),
        )
        for name in ("guarded", "open")
    )
    require("order:read")(guarded)
    public(opened)
    usual = {
        "JWT_SECRET": SECRET,
        "STATE_URL": "memory://",
        "ALLOW_MEMORY_STATE": True,
        "RATE_LIMIT_DEFAULT": "",
        "RATE_LIMIT_FAILED_LOGINS": "",
        "ACCESS_LOG": False,
        "SECURITY_LOG": False,
    }
    app = create_app(Settings(**{**usual, **settings}), services=[guarded, opened])
    return House(app.test_client(use_cookies=False), backend)
