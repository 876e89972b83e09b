"""The gateway of the retry tests: services of two instances, each with another way to try again.

Run under gunicorn as `tests.wire.retry_app:app`; each service reads its instances from
`<NAME>_URL`. Instances are never left out, so that each test finds them all.
"""

from __future__ import annotations

from gateway import Deadline, Retry, RoundRobin, Service, create_app, public
from gateway.exchange import Policy


def service(name: str, *policies: Policy) -> Service:
    """A service of everybody that takes its instances in turn."""
    return public(
        Service(
            name,
            __name__,
            url_prefix=f"/{name}",
            policies=policies,
            load_balancing=RoundRobin(),
            ejection=None,
        )
    )


WIDE = {"budget_minimum": 100}  # no test is to use up another's budget

app = create_app(
    services=[
        service("twice", Deadline(), Retry(**WIDE)),  # type: ignore[arg-type]
        service("keyed", Retry(idempotency_key=True, **WIDE)),  # type: ignore[arg-type]
        service("bounded", Retry(try_seconds=0.5, **WIDE)),  # type: ignore[arg-type]
        service("halfdown", Retry(**WIDE)),  # type: ignore[arg-type]
        service("down", Retry()),
        service("hasty", Deadline(seconds=0.3)),
    ]
)
