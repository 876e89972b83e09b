"""The scheme behind ForwardAuth: the question, the answer, and what a request is worth then."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

from gateway import forwarded, headers
from gateway.authentication.decisions import Decisions, NoDecision
from gateway.authentication.forward_auth import CREDENTIALS, ForwardAuth
from gateway.authentication.identity import Identity
from gateway.authentication.outage import Outage
from gateway.authentication.scheme import Carried, Scheme
from gateway.authentication.schemes import SchemeContext
from gateway.edge.origin import Edge
from gateway.errors import AuthorityUnavailable, Refusal, Unauthenticated
from gateway.observability.security_log import SecurityLog
from gateway.transport.calls import Answer, Caller, Server
from gateway.urls import raw_target

#: Seconds for which a refusal is kept at most.
REFUSED = 10.0
#: Decisions a worker remembers for one service.
_KEPT = 5000
#: The largest answer that is read, in bytes; its body decides nothing.
_LARGEST = 256 * 1024
_MOST_CHALLENGES = 8
_CHALLENGE = re.compile(r"[\t\x20-\x7e]{1,4096}")
#: Who is let in while the service fails, or without being named.
NOBODY = Identity("", kind="anonymous", scheme="forward_auth")

Fields = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal: 401 or 403, and the challenges that came with it."""

    status: int
    challenges: tuple[str, ...]

    def raised(self, presented: bool) -> Refusal:
        """What to raise. presented: whether the request had a credential at all."""
        if self.status == 401:
            slug = "unauthenticated" if presented else "missing_credential"
            detail = "The authorisation service does not know who this is."
            return Unauthenticated(detail, slug=slug, challenges=self.challenges)
        challenges = [("WWW-Authenticate", challenge) for challenge in self.challenges]
        detail = "The authorisation service does not permit this."
        return Refusal(detail, status=403, slug="forbidden", headers=challenges)


class AuthorizationService:
    """Has requests decided by the service of `options`.

    caller: calls it. waiting: how many requests may wait for it at once. unsent: fields of the
    client that are not sent, beside those of the options. Decisions are this worker's own, under a
    hash of what they depend on.
    """

    name = "forward_auth"
    carried: ClassVar[Carried] = "request"
    needs: ClassVar[str] = "what the authorisation service asks for"
    challenge = ""
    hides: frozenset[str] = frozenset()

    def __init__(
        self,
        options: ForwardAuth,
        caller: Caller,
        waiting: int,
        security: SecurityLog | None = None,
        unsent: frozenset[str] = frozenset(),
    ) -> None:
        self.writes = options.writes
        depends = options.cache_key if options.cache_key is not None else options.sends
        #: Fields that its decisions are said to depend on, in lower case.
        self.reads = frozenset(name.lower() for name in depends or ())
        self._options = options
        self._caller = caller
        self._path = options.place()[1]
        self._security = security
        self._unsent = options.unsent | unsent
        self._sends = None if options.sends is None else _keys(options.sends)
        self._own = None if options.cache_key is None else _keys(options.cache_key)
        self._credentials = [key for key, _ in _keys((*CREDENTIALS, *(options.cache_key or ())))]
        self._outage = Outage(f"forward auth: {caller.server.name}")
        self._decisions: Decisions[Identity | Denial] = Decisions(
            self._seconds, _KEPT, options.timeout + 1.0, waiting=waiting
        )

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find: the request itself is what is judged."""
        return ""

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        try:
            decision = self._decide(environ)
        except NoDecision as error:
            return self._undecided(environ, error)
        if isinstance(decision, Denial):
            raise decision.raised(any(environ.get(key) for key in self._credentials))
        return decision

    def _undecided(self, environ: dict[str, Any], error: NoDecision) -> Identity:
        if not (self._options.fail_open and error.down):
            raise AuthorityUnavailable from error
        if self._security is not None:
            self._security.note(
                "authority_unavailable",
                environ,
                scheme=self.name,
                reason=str(error),
                let_in=True,
            )
        return NOBODY

    def _decide(self, environ: dict[str, Any]) -> Identity | Denial:
        fields = self._fields(environ)
        said = _said(environ)
        key = None
        if self._options.cache:
            key = self._key(fields, said)
            known = self._decisions.known(key)
            if known is not None:
                return known
        asked = ("X-Request-ID", environ["gateway.exchange"].request_id)
        return self._decisions.settle(key, lambda: self._ask([*fields.values(), *said, asked]))

    def _fields(self, environ: dict[str, Any]) -> Fields:
        """The client's fields that are sent, by their names in lower case."""
        if self._sends is not None:
            unsent = self._unsent
            if listed := environ.get("HTTP_CONNECTION"):  # the backend does not get those either
                unsent |= headers.named_in_connection([listed])
            return {
                name.lower(): (name, environ[key])
                for key, name in self._sends
                if key in environ and name.lower() not in unsent
            }
        found: Fields = {}
        for name, value in headers.forwardable(headers.request_fields(environ), self._unsent):
            lower = name.lower()
            if lower in found:
                mark = "; " if lower == "cookie" else ", "
                value = f"{found[lower][1]}{mark}{value}"
            found[lower] = (name, value)
        return found

    def _key(self, fields: Fields, said: tuple[tuple[str, str], ...]) -> bytes:
        """What a decision depends on. No value has a line break."""
        if self._own is None:
            parts = [f"{lower}:{pair[1]}" for lower, pair in fields.items()]
            parts += [value for _, value in said]
        else:
            parts = [
                f"{lower}:{fields[lower][1]}"
                for lower in ("authorization", "cookie", *(name.lower() for _, name in self._own))
                if lower in fields
            ]
            parts += [value for name, value in said if name != "X-Forwarded-For"]
        return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=32).digest()

    def _ask(self, fields: Iterable[tuple[str, str]]) -> Identity | Denial:
        def call() -> Answer:
            return self._caller.call(
                "GET", self._path, seconds=self._options.timeout, headers=fields
            )

        return self._outage.decision(call, self._read)

    def _read(self, answer: Answer) -> Identity | Denial:
        if 200 <= answer.status < 300:
            return self._identity(answer)
        if answer.status in (401, 403):
            given = [value for name, value in answer.fields if name.lower() == "www-authenticate"]
            challenges = [value for value in given if _CHALLENGE.fullmatch(value)]
            return Denial(answer.status, tuple(challenges[:_MOST_CHALLENGES]))
        raise NoDecision(f"it answers {answer.status}", down=answer.status >= 500)

    def _identity(self, answer: Answer) -> Identity:
        options = self._options
        given: dict[str, list[str]] = {}
        for name, value in answer.fields:
            given.setdefault(name.lower(), []).append(value)
        subjects = given.get(options.subject.lower(), [""])
        if len(subjects) > 1:
            raise NoDecision(f"it returns {options.subject} more than once", down=False)
        subject = subjects[0].strip()
        return Identity(
            subject,
            kind="user" if subject else "anonymous",
            roles=_words(given.get(options.roles.lower())),
            permissions=_words(given.get(options.permissions.lower())),
            scheme=self.name,
            told=tuple(
                (name, ",".join(given[name.lower()]))
                for name in options.returns
                if name.lower() in given
            ),
        )

    def _seconds(self, decision: Identity | Denial) -> float:
        kept = self._options.cache
        return min(kept, REFUSED) if isinstance(decision, Denial) else kept


def _keys(names: Iterable[str]) -> list[tuple[str, str]]:
    """Field names, each after the key it has in the environ."""
    return [(headers.environ_name(name), headers.spelled(name.upper())) for name in names]


def _said(environ: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the question says of the request: in both of the field's customs."""
    edge: Edge = environ["gateway.edge"]
    path, query = raw_target(environ)
    uri = path if query is None else f"{path}?{query}"
    method = environ["REQUEST_METHOD"]
    return (
        ("X-Original-URI", uri),
        ("X-Original-Method", method),
        ("X-Forwarded-Method", method),
        ("X-Forwarded-Uri", uri),
        ("X-Forwarded-Proto", edge.scheme),
        ("X-Forwarded-Host", edge.host),
        ("X-Forwarded-For", forwarded.chain(environ, edge)),
    )


def _words(values: list[str] | None) -> tuple[str, ...]:
    """A list with commas; repeated fields are one list."""
    words = (word.strip() for value in values or () for word in value.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def make_service(options: ForwardAuth, context: SchemeContext) -> Scheme:
    """The scheme of options that have no fault."""
    settings = context.settings
    caller = Caller(
        Server.parse(options.place()[0]),
        ca_file=settings.UPSTREAM_CA_FILE,
        connections=options.connections,
        largest=_LARGEST,
    )
    # What only proxies may tell, and what comes from the gateway.
    unsent = {name.lower() for name in settings.CLIENT_CERTIFICATES}
    if settings.INTERNAL_TOKEN_KEY:
        unsent.add(settings.INTERNAL_TOKEN_HEADER.lower())
    return AuthorizationService(
        options,
        caller,
        settings.worker_concurrency,
        context.security,
        frozenset(unsent - CREDENTIALS),
    )
