"""What services and views say of how many requests they take at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from flask import Blueprint

from gateway.rate_limiting.windows import OnFailure

MARK = "__gateway_concurrency__"

#: Whose requests share a limit: everybody's, or those of one user, else address.
Per = Literal["all", "identity"]

T = TypeVar("T", bound=Callable[..., Any] | Blueprint)


@dataclass(frozen=True, slots=True)
class DeclaredConcurrency:
    """A concurrency limit that notes itself on a view or a service; see Limiter.concurrency.

    Raises TypeError or ValueError for an option that cannot be.
    """

    limit: int
    per: Per = "all"
    dry_run: bool = False
    on_failure: OnFailure = "local"

    def __post_init__(self) -> None:
        if not isinstance(self.limit, int) or isinstance(self.limit, bool):
            raise TypeError(f"concurrency {self.limit!r} is not a number of requests")
        if self.limit < 1:
            raise ValueError(f"concurrency {self.limit} must be 1 or more")
        for name, known in (("per", Per), ("on_failure", OnFailure)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise ValueError(f"concurrency {name}={value!r} must be one of {get_args(known)}")

    def __call__(self, obj: T) -> T:
        """Declare the limit on `obj` and return `obj`."""
        # A list of its own: `functools.wraps` hands a view's attributes on to its wrapper.
        setattr(obj, MARK, [*getattr(obj, MARK, []), self])
        return obj
