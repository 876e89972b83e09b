"""A policy decision point: says who may do what, in the words of Open Policy Agent's data API.

    POST /v1/data/orders/allow   {"input": {...}}   ->   {"result": true}

A rule that there is not is undefined, which is an answer without a result.
"""

from collections.abc import Callable

from examples.backend import Backend, Record, Refusal, Reply, Request
from examples.serving import main

Rule = Callable[[Record], bool]
RULES: dict[str, Rule] = {}
_DATA = "/v1/data/"


def rule(path: str) -> Callable[[Rule], Rule]:
    """Register a rule under its path below /v1/data."""

    def register(decides: Rule) -> Rule:
        RULES[path] = decides
        return decides

    return register


@rule("orders/allow")
def may_use_orders(given: Record) -> bool:
    """Everybody reads; refunds are for support; an administrator may do anything."""
    roles = given["identity"]["roles"]
    if "admin" in roles or given["method"] in ("GET", "HEAD"):
        return True
    return given["path"][-1:] == ["refunds"] and "support" in roles


class DecisionPoint(Backend):
    """The data API; everything else is a Backend's."""

    def answer(self, request: Request) -> Reply:
        """A decision. Raises Refusal for an input that no rule can be asked about."""
        if request.method != "POST" or not request.path.startswith(_DATA):
            return super().answer(request)
        found = RULES.get(request.path.removeprefix(_DATA))
        if found is None:
            return Reply(body={})
        try:
            return Reply(body={"result": found(request.json()["input"])})
        except (KeyError, TypeError):
            raise Refusal(400, "The input lacks what the rule looks at.") from None


backend = DecisionPoint("decisions")

if __name__ == "__main__":
    main(backend)
