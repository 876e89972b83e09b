"""One way to say who one is: finding its credential in a request, and judging it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from gateway.authentication.identity import Identity

if TYPE_CHECKING:
    from gateway.authentication.schemes import SchemeContext

#: Where a credential is. message: the client put it into this request, so two of them contradict
#: each other. connection: the client's TLS certificate, which counts where the message has none.
#: request: the request as a whole is judged, where neither of the others says anything.
Carried = Literal["message", "connection", "request"]


class NotAsked(Exception):
    """Who could tell would have to be asked, and is not; the message names it. Only `peek` of a
    scheme raises it, so no request meets it."""


@runtime_checkable
class Scheme(Protocol):
    """A way to authenticate, such as bearer tokens or API keys.

    name: what services and identities call it. needs: what a client is told to send, such as
    "a token". challenge: for `WWW-Authenticate`, without an error; empty for none. hides: fields
    that are its credential and never reach a backend; kept answers are told apart by them. writes:
    fields that it alone may write, so what a client sends under these names is dropped. Both in
    lower case.

    It may have a method `peek(credential, environ)`: as `verify`, but nothing is counted and nobody
    is asked who is not part of the gateway. It raises also NotAsked.
    """

    name: str
    carried: ClassVar[Carried]
    needs: ClassVar[str]
    challenge: str
    hides: frozenset[str]
    writes: frozenset[str]

    def find(self, environ: dict[str, Any]) -> str | None:
        """The credential, as it is; None if the request has none of this kind."""
        ...

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """Who it proves. Raises Unauthenticated, Refusal, or AuthorityUnavailable."""
        ...


@runtime_checkable
class SituatedScheme(Protocol):
    """The options of a scheme that needs to know more than these. Equal ones share one scheme."""

    def faults(self) -> list[str]:
        """What is wrong with the options."""
        ...

    def begin(self, context: SchemeContext, /) -> Scheme:
        """The scheme. It connects to nothing before it is used."""
        ...
