"""Values that mean nothing any more, such as those of workers that were killed."""

from __future__ import annotations

from gateway.state.shared import SharedState, Value


def sweep(state: SharedState, now: float) -> None:
    """Remove every value whose `expires` is past; one without it stays. Any worker may do it at
    any time. now: by the clock that the values were made by."""

    def swept(old: Value | None) -> Value | None:
        return None if old is not None and now >= old.get("expires", now + 1) else old

    for key, value in state.scan("").items():
        if swept(value) is None:
            state.change(key, swept)
