"""Authorities and client certificates of every kind, and the fields that hand them on."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_PEM = serialization.Encoding.PEM


def name(**parts: str) -> x509.Name:
    """A distinguished name of these attributes, such as COMMON_NAME."""
    return x509.Name([x509.NameAttribute(getattr(NameOID, key), v) for key, v in parts.items()])


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(_PEM)

    @property
    def escaped(self) -> str:
        """As nginx hands it on in `$ssl_client_escaped_cert`."""
        return quote(self.pem.decode(), safe="")

    @property
    def field(self) -> str:
        """As RFC 9440 writes it."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return f":{base64.b64encode(der).decode()}:"

    def save(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """The files of the certificate and of its key."""
        files = folder / f"{stem}.pem", folder / f"{stem}.key"
        files[0].write_bytes(self.pem)
        files[1].write_bytes(
            self.key.private_bytes(
                _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def issue(
    subject: x509.Name,
    by: Issued | None = None,
    *,
    names: list[x509.GeneralName] | None = None,
    starts: float = -3600,
    ends: float = 3600,
    ca: bool = False,
    purposes: list[x509.ObjectIdentifier] | None = None,
    key: Key | None = None,
    extra: list[x509.ExtensionType] | None = None,
) -> Issued:
    """A certificate, signed by `by` or by itself. starts, ends: seconds from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer: Any = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(0xC0FFEE)
        .not_valid_before(NOW + datetime.timedelta(seconds=starts))
        .not_valid_after(NOW + datetime.timedelta(seconds=ends))
    )
    if names is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(names), critical=not list(subject)
        )
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    for extension in extra or ():
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key)


AUTHORITY = issue(name(COMMON_NAME="Authority", ORGANIZATION_NAME="Example"), ca=True)
ALICE = name(COMMON_NAME="alice", ORGANIZATION_NAME="Example")
