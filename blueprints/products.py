"""Products: the catalogue, open to everybody who reads."""

from gateway import (
    READ,
    WRITE,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Retry,
    Service,
    limiter,
    public,
    require,
)

products = Service(
    "products",
    __name__,
    url_prefix="/api/v1/products",
    # The same for everybody, so one answer is kept for all, and used while there is no other.
    policies=[
        Fallback(),
        Cache(shared=True, stale_if_error=300),
        Bulkhead(),
        Retry(),
        CircuitBreaker(),
    ],
)

limiter.limit("20/second;600/minute")(products)
public(products, methods=READ)
require("product:write", methods=WRITE)(products)
