"""May you: what a service or a view requires of an identity.

    require("order:read")(orders)                   a whole service
    @require("order:refund")                        a view, on top of what its service requires
    require(any_of("a:b", role("admin")))           one of several
    require(scope("orders.read"))                   exactly an OAuth 2 scope
    require("order:read", owns_order)               and a function that says so, of the request
    require(role("admin"), methods=["DELETE"])(notifications)
    require()(orders)                               any authenticated identity
    public(products, methods=READ)                  nobody needs to say who they are

A service without either does not start: forwarding is denied by default.
"""

from gateway.authorization.declaring import (
    ALL_METHODS,
    MARK,
    READ,
    WRITE,
    Access,
    authorize,
    public,
    require,
)
from gateway.authorization.parts import AccessPolicy, Part, all_of, any_of, role, scope

__all__ = [
    "ALL_METHODS",
    "MARK",
    "READ",
    "WRITE",
    "Access",
    "AccessPolicy",
    "Part",
    "all_of",
    "any_of",
    "authorize",
    "public",
    "require",
    "role",
    "scope",
]
