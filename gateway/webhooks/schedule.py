"""When a webhook that failed is sent again."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

#: The longest `Retry-After` that is believed, in seconds.
LONGEST_WISH = 6 * 3600
# Added to a delay at the most, as a part of it: those that failed together come apart.
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Schedule:
    """delays: whole seconds until each further try. chance: a number from 0 to 1, at random."""

    delays: Sequence[int]
    chance: Callable[[], float] = random.random

    def after(self, tries: int, wish: float = 0.0) -> int | None:
        """Seconds until the next try after so many; None if that was the last one. wish: what the
        partner asked for, which can only make it later."""
        if tries > len(self.delays):
            return None
        delay = self.delays[tries - 1]
        return max(round(delay * (1 + _JITTER * self.chance())), ceil(min(wish, LONGEST_WISH)))
