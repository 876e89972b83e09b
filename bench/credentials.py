"""What the load of the bench of authentication presents, and the settings that accept it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from contenders import HERE, USER_ID
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from processes import BenchError

PERMISSION = "order:read"
ROLE = "reader"


def claims(**more: object) -> dict[str, object]:
    """What every token says."""
    return {"sub": USER_ID, "exp": int(time.time()) + 3600, "permissions": [PERMISSION], **more}


def settings(secret: str, authority: str, database: Path) -> dict[str, str]:
    """Every scheme at once."""
    return {
        "JWT_SECRET": secret,
        "JWT_ISSUER": "bench",
        "OIDC_ISSUERS": f"{authority};audience=bench",
        "INTROSPECTION_URL": f"{authority}/introspect",
        "INTROSPECTION_CLIENT_ID": "gateway",
        "INTROSPECTION_CLIENT_SECRET": "secret",
        "INTROSPECTION_CACHE_SECONDS": "3600",
        "API_KEYS": "true",
        "API_KEY_BASIC": "true",
        "DATABASE_URL": f"sqlite:///{database}",
        "CLIENT_CERTIFICATES": "X-Client-Cert",
        "CLIENT_CERTIFICATE_ROLES": f"CN={USER_ID}={ROLE}",
        "TRUSTED_PROXIES": "127.0.0.1",
        "BENCH_AUTHORITY": authority,
    }


class Issuer:
    """The OIDC issuer's key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._key = ed25519.Ed25519PrivateKey.generate()

    def key_document(self) -> str:
        """Its public half, as the issuer publishes it."""
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "EdDSA"}]})

    def token(self) -> str:
        """A token of the load's user."""
        body = claims(iss=self.url, aud="bench")
        return jwt.encode(body, self._key, algorithm="EdDSA", headers={"kid": "1"})


def presented(
    environment: Mapping[str, str], secret: str, issuer: Issuer
) -> dict[str, tuple[str, str]]:
    """By scheme: the path, and the field that presents a credential."""
    key = _make_key(environment)
    basic = base64.b64encode(f"key:{key}".encode()).decode()
    own = jwt.encode(claims(iss="bench"), secret, "HS256")
    guarded = {
        "jwt": f"Authorization: Bearer {own}",
        "oidc": f"Authorization: Bearer {issuer.token()}",
        "introspection": "Authorization: Bearer an-opaque-token-of-usual-length-0123456789",
        "api_key": f"X-API-Key: {key}",
        "basic": f"Authorization: Basic {basic}",
    }
    return {
        # A field that means nothing, so that the requests are alike.
        "anonymous": ("/anonymous/7", f"X-Nothing: Bearer {own}"),
        **{name: ("/guarded/7", field) for name, field in guarded.items()},
        "certificate": ("/certified/7", f"X-Client-Cert: {_certificate()}"),
        "forward_auth": ("/forward/7", "Cookie: session=0123456789abcdef0123456789abcdef"),
    }


def _make_key(environment: Mapping[str, str]) -> str:
    """An API key of the load's user, in a database made for it."""
    _flask(environment, "db", "upgrade")
    made = _flask(
        environment, "keys", "create",
        "--name", "bench", "--owner", USER_ID, "--scope", PERMISSION, "--json",
    )  # fmt: skip
    key: str = json.loads(made)["key"]
    return key


def _flask(environment: Mapping[str, str], *arguments: str) -> bytes:
    command = [sys.executable, "-m", "flask", "--app", "schemes_app:app", "gateway", *arguments]
    done = subprocess.run(command, env=environment, cwd=HERE, capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(arguments)}: {done.stderr.decode()[-300:]}")
    return done.stdout


def _certificate() -> str:
    """A client's certificate, as RFC 9440 has a proxy hand it on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, USER_ID)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return f":{base64.b64encode(made.public_bytes(Encoding.DER)).decode()}:"
