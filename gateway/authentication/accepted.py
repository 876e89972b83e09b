"""Which schemes count where: all that the settings set up, or those that a service accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.scheme import Scheme, SituatedScheme
from gateway.authentication.schemes import NAMES, SchemeContext, make_authenticator
from gateway.option_kinds import judged

if TYPE_CHECKING:
    from gateway.observability.security_log import SecurityLog
    from gateway.service import Service

_CREDENTIALS = frozenset({"authorization", "cookie"})


class AcceptedSchemes:
    """The authenticators of an application. usual: for every service that does not say which
    schemes it accepts. narrowed: for those that do, by name. faults: what is wrong with what they
    say."""

    def __init__(self, services: Iterable[Service], context: SchemeContext) -> None:
        self.usual = make_authenticator(context)
        self.narrowed: dict[str, Authenticator] = {}
        self.faults: list[str] = []
        settings = context.settings
        # That of keys also where the gateway has none: the backend may.
        named = {settings.TOKEN_HEADER.lower(), settings.API_KEY_HEADER.lower()}
        self._named = frozenset(named - {""})
        begun: dict[SituatedScheme, Scheme] = {}  # equal options share one
        for service in services:
            accepted = service.authentication
            if accepted is None:
                continue
            wrong = _faults(accepted, self.usual)
            where = f"({service.declared_at})"
            self.faults += [f"service {service.name!r}: {one} {where}" for one in wrong]
            if not wrong:
                self.narrowed[service.name] = self._narrowed(accepted, begun, context)

    def _narrowed(
        self,
        accepted: Sequence[str | Scheme | SituatedScheme],
        begun: dict[SituatedScheme, Scheme],
        context: SchemeContext,
    ) -> Authenticator:
        for one in accepted:
            if isinstance(one, SituatedScheme) and one not in begun:
                begun[one] = one.begin(context)
        return self.usual.narrowed(
            begun[one] if isinstance(one, SituatedScheme) else one for one in accepted
        )

    def all(self) -> Iterator[Scheme]:
        """Every scheme of the application."""
        for authenticator in (self.usual, *self.narrowed.values()):
            yield from authenticator.schemes

    @property
    def credential_fields(self) -> frozenset[str]:
        """Names of the request fields that may hold a credential, in lower case."""
        hidden = frozenset[str]().union(*(scheme.hides for scheme in self.all()))
        return hidden | _CREDENTIALS | self._named | {"proxy-authorization"}

    @property
    def caller_fields(self) -> frozenset[str]:
        """Names of the request fields that may say who asks, in lower case: also those that an
        authorisation service decides by, which backends are sent."""
        none = frozenset[str]()
        return self.credential_fields.union(*(getattr(one, "reads", none) for one in self.all()))

    @property
    def written(self) -> frozenset[str]:
        """Names of the request fields that schemes alone may write, in lower case, but for those
        that credentials come in."""
        return _written(self.all()) - _CREDENTIALS

    def kept_from(self, service: str) -> frozenset[str]:
        """Fields of clients that do not reach the backend of a service: credentials and what
        schemes write, also those of schemes that other services accept; of `Authorization` and
        `Cookie` those that its own schemes write."""
        hidden = frozenset[str]().union(*(scheme.hides for scheme in self.all()))
        own = self.narrowed.get(service)
        replaced = _written(own.schemes) & _CREDENTIALS if own is not None else frozenset[str]()
        return hidden | replaced | self.written

    def watch(self, security: SecurityLog, signed: frozenset[str]) -> None:
        """Have the log notice fields that clients cannot send: what schemes write, those that
        tokens for backends come in (`signed`), and what proxies tell of a connection."""
        told = [scheme.hides for scheme in self.all() if scheme.carried == "connection"]
        written = self.written | (signed - _CREDENTIALS)
        security.watch(written, frozenset[str]().union(*told))


def _written(schemes: Iterable[Scheme]) -> frozenset[str]:
    """Fields that these schemes alone may write, in lower case."""
    return frozenset[str]().union(*(scheme.writes for scheme in schemes))


def _faults(accepted: Sequence[object], usual: Authenticator) -> list[str]:
    if isinstance(accepted, str):
        return [f"authentication={accepted!r} must be a list, such as [{accepted!r}]"]
    if not accepted:
        return ["authentication names no scheme; leave it out to accept all of them"]
    faults = []
    for one in accepted:
        if isinstance(one, str):
            if one not in NAMES:
                known = ", ".join(sorted(NAMES))
                faults.append(f"authentication {one!r} is not a scheme; there are {known}")
            elif one not in usual.names:
                faults.append(f"authentication {one!r} is not set up: {NAMES[one]} does that")
        elif isinstance(one, SituatedScheme) and not isinstance(one, type):
            faults += judged(one.faults)
        elif isinstance(one, type) or not isinstance(one, Scheme):
            faults.append(f"authentication {one!r} is neither a name nor a scheme")
    if sum(isinstance(one, SituatedScheme) for one in accepted) > 1:
        faults.append("authentication has two services to ask: the second never would be")
    return faults
