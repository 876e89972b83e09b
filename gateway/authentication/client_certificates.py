"""Client certificates: TLS ends at a proxy, which hands on what the client proved there.

The scheme `certificate`. Only a trusted proxy is believed; it is the proxy that makes sure that
the client has the private key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import cachetools
from cryptography import x509

from gateway.authentication.certificate import WrongCertificate, identity_of, issued_by, read
from gateway.authentication.identity import Identity
from gateway.authentication.scheme import Carried
from gateway.errors import Unauthenticated
from gateway.headers import environ_name
from settings import Settings

#: What a refusal asks for. No scheme is registered for TLS, yet a 401 needs one (RFC 9110, 15.5.2).
CHALLENGE = 'Certificate realm="gateway"'
#: Certificates each worker remembers, and for how many seconds at most.
_KEPT = 5000
_LONGEST = 300.0


class ClientCertificates:
    """Certificates in the request fields of `names`, written by a trusted proxy.

    authorities: who may have issued them; empty: whoever the proxy takes. roles: by subject.
    leeway: seconds forgiven in their dates. clock gives seconds since the epoch.

    A certificate that was read is remembered by this worker for five minutes at most, and never
    past its end; one that is refused is not.
    """

    name = "certificate"
    carried: ClassVar[Carried] = "connection"
    needs: ClassVar[str] = "a client certificate"
    challenge = CHALLENGE
    writes: frozenset[str] = frozenset()

    def __init__(
        self,
        names: Iterable[str],
        *,
        authorities: Iterable[x509.Certificate] = (),
        roles: Mapping[str, tuple[str, ...]] | None = None,
        leeway: float = 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        names = tuple(names)
        self.hides = frozenset(name.lower() for name in names)
        self._keys = tuple(map(environ_name, names))
        self._authorities = tuple(authorities)
        self._roles = dict(roles or {})
        self._leeway = leeway
        self._clock = clock
        self._lock = threading.Lock()
        self._known: cachetools.TLRUCache[bytes, Identity] = cachetools.TLRUCache(
            _KEPT, ttu=_until, timer=clock
        )

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find. What anybody but a trusted proxy writes is no certificate."""
        if environ["gateway.edge"].trusted:
            for key in self._keys:
                found: str | None = environ.get(key)
                if found:
                    return found
        return None

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        key = blake2b(credential.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        identity = self._judged(credential)
        with self._lock:
            self._known[key] = identity  # cachetools keeps nothing that is over
        return identity

    peek = verify  # it asks nobody

    def _judged(self, credential: str) -> Identity:
        try:
            certificate = read(credential)
            now = self._clock()
            if now > certificate.not_valid_after_utc.timestamp() + self._leeway:
                raise _refused("The client certificate has expired.", "certificate_expired")
            if now < certificate.not_valid_before_utc.timestamp() - self._leeway:
                raise _refused("The client certificate is not valid yet.")
            if self._authorities and not issued_by(certificate, self._authorities, now):
                raise _refused("The issuer of the client certificate is not accepted.")
            identity = identity_of(certificate)
        except WrongCertificate:
            raise _refused("The client certificate is not valid.") from None
        roles = self._roles.get(identity.subject)
        return replace(identity, roles=roles) if roles else identity


def _refused(detail: str, slug: str = "certificate_invalid") -> Unauthenticated:
    return Unauthenticated(detail, slug=slug, challenges=(CHALLENGE,))


def _until(_key: bytes, identity: Identity, now: float) -> float:
    """When to forget a certificate: cachetools asks once, as it is stored."""
    return min(float(identity.claims["not_after"]), now + _LONGEST)


def make_certificates(settings: Settings) -> ClientCertificates:
    """The scheme of settings that have no fault."""
    authorities = _authorities(settings.CLIENT_CERTIFICATE_CA_FILE)
    roles, _ = _roles(settings.CLIENT_CERTIFICATE_ROLES)
    return ClientCertificates(
        settings.CLIENT_CERTIFICATES,
        authorities=authorities,
        roles=roles,
        leeway=settings.JWT_LEEWAY,
    )


def certificate_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of client certificates."""
    faults = _roles(settings.CLIENT_CERTIFICATE_ROLES)[1]
    if not settings.TRUSTED_PROXIES:
        faults.append("CLIENT_CERTIFICATES needs TRUSTED_PROXIES: nobody else is believed")
    try:
        _authorities(settings.CLIENT_CERTIFICATE_CA_FILE)
    except OSError as error:
        faults.append(f"CLIENT_CERTIFICATE_CA_FILE: {error.strerror}")
    except ValueError:
        faults.append("CLIENT_CERTIFICATE_CA_FILE holds no PEM certificates")
    return faults


def _authorities(path: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Path(path).read_bytes()) if path else []


def _roles(text: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Roles by subject, out of `subject=role role;...`, and what is wrong with it."""
    roles: dict[str, tuple[str, ...]] = {}
    faults = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        subject, _, words = entry.rpartition("=")
        subject = subject.strip()
        if not subject or not words.split() or subject in roles:
            faults.append(f"CLIENT_CERTIFICATE_ROLES: {entry!r} must be subject=role, each once")
        else:
            roles[subject] = tuple(words.split())
    return roles, faults
