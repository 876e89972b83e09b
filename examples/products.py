"""Products: the catalogue, with reviews, related products and recommendations for a user."""

import hashlib
from dataclasses import replace

from examples.backend import Backend, Refusal, Reply, Request
from examples.catalogue import PRODUCTS, REVIEWS, TASTES
from examples.collection import Collection, listing, now
from examples.serving import main

products = Collection(
    "/api/v1/products",
    "product",
    PRODUCTS,
    required=("name", "price"),
    fresh=lambda: {"currency": "EUR", "stock": 0, "images": [], "specifications": {}},
)
reviews = Collection("", "review", REVIEWS, fresh=lambda: {"created_at": now()})

backend = Backend("products")
backend.post("/api/v1/products")(products.create)


def kept(request: Request, reply: Reply, *keys: str) -> Reply:
    """The reply as caches may keep it: for a minute, with what to ask again by, and the keys that
    it is dropped by. 304 without a body for who has it already."""
    etag = f'"{hashlib.sha256(reply.payload()).hexdigest()[:16]}"'
    fields = {
        "Cache-Control": "public, max-age=60, stale-while-revalidate=30",
        "ETag": etag,
        "Surrogate-Key": " ".join(("products", *keys)),
    }
    if request.headers.get("If-None-Match") == etag:
        return Reply(304, headers=fields)
    return replace(reply, headers=fields)


@backend.get("/api/v1/products")
def catalogue(request: Request) -> Reply:
    """All products."""
    return kept(request, products.many(request))


@backend.get("/api/v1/products/{id}")
def one(request: Request, number: int) -> Reply:
    """One product."""
    return kept(request, products.one(request, number), f"product-{number}")


@backend.get("/api/v1/products/{id}/reviews")
def reviews_of(request: Request, number: int) -> Reply:
    """What customers wrote about one product."""
    products.find(number)
    found = [each for each in reviews.records.values() if each["product_id"] == number]
    return kept(request, listing(found, request), f"product-{number}", "reviews")


@backend.get("/api/v1/products/{id}/related")
def related(request: Request, number: int) -> Reply:
    """The other products of the same category."""
    category = products.find(number).get("category")
    others = [
        each
        for each in products.records.values()
        if each["id"] != number and each.get("category") == category
    ]
    return kept(request, listing(others, request), f"product-{number}")


@backend.get("/api/v1/products/recommendations")
def recommendations(request: Request) -> Reply:
    """What the user of `?user_id=` may like: in stock, the category of their taste first.

    Of one user, so no shared cache may keep it.
    """
    user = request.query.get("user_id", "")
    if not (user.isascii() and user.isdecimal() and len(user) < 19):
        raise Refusal(400, "user_id must be a whole number.")
    taste = TASTES.get(int(user))
    offered = [each for each in products.records.values() if each["stock"]]
    offered.sort(key=lambda each: each.get("category") != taste)
    return replace(listing(offered, request), headers={"Cache-Control": "private, max-age=30"})


if __name__ == "__main__":
    main(backend)
