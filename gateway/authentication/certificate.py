"""One client certificate: read from a request field, compared with issuers, and whom it names."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.authentication.identity import Identity

_ONE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*")
E = TypeVar("E", bound=x509.ExtensionType)

_PURPOSES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
#: In this order: what names a workload, a machine, a person. Each as it must look to be one, so
#: that it is neither one of another kind nor a distinguished name, which has a `=` in front.
_NAMES = (
    (x509.UniformResourceIdentifier, re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]+")),
    (x509.DNSName, re.compile(r"[A-Za-z0-9_*.\-]+")),
    (x509.RFC822Name, re.compile(r"[^\s@=:]+@[^\s@=:]+")),
)


class WrongCertificate(ValueError):
    """What was presented is no certificate, or one that names nobody."""


def read(text: str) -> x509.Certificate:
    """The certificate in a field: `:base64 of DER:` (RFC 9440 section 2), or PEM, percent-encoded
    as nginx's `$ssl_client_escaped_cert`. Raises WrongCertificate; several are none."""
    text = text.strip()
    try:
        if text.startswith(":"):
            if len(text) < 3 or not text.endswith(":"):
                raise WrongCertificate
            return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
        pem = unquote(text, errors="strict")
        if not _ONE.fullmatch(pem):
            raise WrongCertificate
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm, x509.InvalidVersion):
        raise WrongCertificate from None


def issued_by(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], now: float
) -> bool:
    """Whether one of `authorities`, valid at `now`, signed the certificate, and for clients.

    Directly: a file of authorities lists those that issue, intermediate ones too.
    """
    try:
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        if purposes is not None and not any(one in _PURPOSES for one in purposes):
            return False
        return any(_signed(certificate, one, now) for one in authorities)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongCertificate from None


def _signed(certificate: x509.Certificate, issuer: x509.Certificate, now: float) -> bool:
    if not (
        issuer.not_valid_before_utc.timestamp() <= now <= issuer.not_valid_after_utc.timestamp()
    ):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):  # other names, or another kind of key
        return False
    return True


def identity_of(certificate: x509.Certificate) -> Identity:
    """Whom it names: the first URI, DNS name or e-mail address of its subjectAltName, in this
    order of kinds; without any, its whole subject as RFC 4514 writes it. A name of one kind cannot
    be taken for one of another; what is malformed is none. Raises WrongCertificate if there is no
    name.
    """
    try:
        alternatives = _extension(certificate, x509.SubjectAlternativeName)
        names = list(_named(alternatives)) if alternatives is not None else []
        distinguished = certificate.subject.rfc4514_string()
        subject = names[0] if names else distinguished
        if not subject:
            raise WrongCertificate
        claims = {
            "subject": distinguished,
            "issuer": certificate.issuer.rfc4514_string(),
            "names": names,
            "serial": f"{certificate.serial_number:x}",
            "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
            "not_after": certificate.not_valid_after_utc.timestamp(),
        }
        return Identity(subject, kind="certificate", claims=claims, scheme="certificate")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongCertificate from None


def _named(alternatives: x509.SubjectAlternativeName) -> Iterator[str]:
    for kind, form in _NAMES:
        yield from filter(form.fullmatch, alternatives.get_values_for_type(kind))


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """An extension's value, or None. ValueError for extensions that cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except x509.DuplicateExtension:
        raise WrongCertificate from None
