"""One delivery to one partner: an HTTP exchange, and what becomes of the delivery by it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gateway.headers import seconds_to_wait
from gateway.transport.calls import Caller, CallFailed
from gateway.webhooks.queue import Claim, Verdict
from gateway.webhooks.schedule import LONGEST_WISH, Schedule
from gateway.webhooks.signing import signed_fields
from gateway.webhooks.subscriptions import Subscription

#: Deliveries to one partner at the same time; while it fails, one.
EACH = 4
#: Seconds to connect.
CONNECT = 5.0
# Bytes of an answer that are read, so that its connection can be used again; more end it.
_LARGEST = 16 * 1024
_GONE = 410
_BUSY = (429, 503)
# Characters of a reason that are kept.
_LONGEST_REASON = 200

log = logging.getLogger("gateway.webhooks")


class Courier:
    """Delivers to one partner, and knows how it gets on. For one process; it connects when used.

    seconds: for one exchange. ca_file: authorities trusted for https, empty for certifi's. wall:
    seconds since the epoch. failing: whether the last exchange failed; hold: the time until which
    the partner asked to be left alone.
    """

    def __init__(
        self,
        subscription: Subscription,
        schedule: Schedule,
        *,
        seconds: float = 15.0,
        ca_file: str = "",
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._subscription = subscription
        self._schedule = schedule
        self._seconds = seconds
        self._wall = wall
        self._caller = Caller(
            subscription.server,
            [("User-Agent", "gatehouse-webhooks"), ("Accept", "*/*")],
            ca_file=ca_file,
            connections=EACH,
            largest=_LARGEST,
            connect=CONNECT,
            bodies=False,
        )
        self.failing = False
        self.hold = 0.0

    def deliver(self, claim: Claim) -> Verdict:
        """Send it once. Raises nothing: what goes wrong is in the verdict, and in the log when it
        begins, ends or is final."""
        try:
            return self._exchange(claim)
        except CallFailed as error:
            return self._failed(claim, None, str(error))
        except Exception as error:
            log.exception("webhooks: delivery %s", claim.id)
            return self._failed(claim, None, type(error).__name__)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._caller.close()

    def _exchange(self, claim: Claim) -> Verdict:
        keys = self._subscription.keys
        fields = signed_fields(claim.event, int(self._wall()), claim.body, keys)
        answer = self._caller.call(
            "POST",
            self._subscription.target,
            seconds=self._seconds,
            headers=fields,
            body=claim.body,
        )
        if 200 <= answer.status < 300:
            self._noted(failing=False)
            return Verdict(claim, "delivered", status=answer.status)
        wish = seconds_to_wait(answer.headers.get("retry-after", ""), self._wall())
        if wish > 0 and answer.status in _BUSY:
            self.hold = self._wall() + min(wish, LONGEST_WISH)
        return self._failed(claim, answer.status, f"it answers {answer.status}", wish)

    def _failed(self, claim: Claim, status: int | None, reason: str, wish: float = 0.0) -> Verdict:
        reason = reason[:_LONGEST_REASON]
        self._noted(failing=True, reason=reason)
        delay = None if status == _GONE else self._schedule.after(claim.tries, wish)
        if delay is not None:
            due = int(self._wall()) + delay
            return Verdict(claim, "pending", due, status, reason)
        log.error(
            "webhooks: %s is not told of %s %s: given up after %d tries, delivery %s: %s",
            *(claim.partner, claim.type, claim.event, claim.tries, claim.id, reason),
        )
        return Verdict(claim, "failed", 0, status, reason)

    def _noted(self, *, failing: bool, reason: str = "") -> None:
        if failing and not self.failing:
            log.warning("webhooks: %s takes no delivery: %s", self._subscription.partner, reason)
        elif self.failing and not failing:
            log.info("webhooks: %s takes deliveries again", self._subscription.partner)
        self.failing = failing
