"""The introspection endpoint of an authorisation server, asked about tokens (RFC 7662)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote_plus, urlencode

import orjson

from gateway.authentication.decisions import NoDecision
from gateway.authentication.identity import Identity
from gateway.authentication.introspection_answer import AnswerRules, Denied
from gateway.authentication.outage import Outage
from gateway.transport.calls import Answer, Caller, CallFailed, Server
from gateway.urls import Origin

#: The largest answer that is read, in bytes.
_LARGEST = 64 * 1024
_FORM = "application/x-www-form-urlencoded"


class IntrospectionEndpoint:
    """Asks one server, in each worker by itself. It connects when asked.

    url: where it is. rules: what an answer has to fulfil. auth: how the gateway proves who it is
    there, RFC 6749 section 2.3.1. seconds: for one question, repeated or not. connections: how
    many questions are asked at once; more wait. ca_file: authorities trusted for https, empty for
    certifi's. clock gives seconds since the epoch, timer monotonic ones.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        rules: AnswerRules,
        auth: Literal["basic", "post"] = "basic",
        *,
        seconds: float = 2.0,
        connections: int = 16,
        ca_file: str = "",
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        origin = Origin.parse(url)
        # An origin drops the last slash, which some servers insist on.
        self._target = "/" if url.endswith("/") or not origin.base_path else ""
        self._form: dict[str, str] = {}
        authorization = ""
        if auth == "post":
            self._form = {"client_id": client_id, "client_secret": client_secret}
        else:
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._caller = Caller(
            Server(origin, authorization),
            ca_file=ca_file,
            connections=connections,
            largest=_LARGEST,
        )
        self._seconds = seconds
        self._clock, self._timer = clock, timer
        self._rules = rules
        self._outage = Outage(f"introspection: {self._caller.server.name}", timer)

    def ask(self, token: str) -> Identity | Denied:
        """The verdict on a token. Raises NoDecision; asking again is safe.

        A server that does not answer, that is busy, or that does not know this gateway is left
        alone for a while, see Outage.
        """
        if not self._outage.may_ask():
            raise NoDecision("the server was not asked: it did not answer before", down=True)
        form = {"token": token, "token_type_hint": "access_token", **self._form}
        try:
            verdict = self._rules.read(self._answer(urlencode(form).encode()), self._clock())
        except CallFailed as error:
            self._outage.silent(str(error))
            raise NoDecision(str(error), down=True) from None
        except NoDecision as error:
            if error.down:
                self._outage.silent(str(error))
            else:
                # Perhaps this token alone upsets it: whoever sends it must not stop all others.
                self._outage.answered(well=False)
                self._outage.useless(str(error))
            raise
        self._outage.answered()
        return verdict

    def _answer(self, body: bytes) -> bytes:
        answer = self._call(body)
        if answer.status == 200:
            return answer.body
        if _is_about_us(answer):
            text = "INTROSPECTION_CLIENT_ID and its secret are not accepted"
            raise NoDecision(text, down=True)
        raise NoDecision(f"it answers {answer.status}", down=answer.status in (429, 503))

    def _call(self, body: bytes) -> Answer:
        end = self._timer() + self._seconds
        try:
            return self._send(body, self._seconds)
        except CallFailed:
            # Mostly a kept connection that the server has just closed. A question changes nothing
            # there, so it may be asked twice, within the same time.
            left = end - self._timer()
            if left < self._seconds / 2:
                raise
            return self._send(body, left)

    def _send(self, body: bytes, seconds: float) -> Answer:
        return self._caller.call("POST", self._target, seconds=seconds, body=body, media_type=_FORM)


def _is_about_us(answer: Answer) -> bool:
    """Whether the server refuses the gateway itself (RFC 6749 section 5.2)."""
    if answer.status != 400:
        return answer.status == 401
    try:
        said = orjson.loads(answer.body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("error") in ("invalid_client", "unauthorized_client")
