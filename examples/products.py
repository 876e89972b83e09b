"""Products: the catalogue, with reviews and related products."""

import hashlib
from dataclasses import replace

from examples.backend import Backend, Record, Reply, Request
from examples.collection import Collection, listing, now
from examples.serving import main


def _product(
    number: int, name: str, category: str, price: str, stock: int, **details: str
) -> Record:
    slug = name.lower().replace(" ", "-")
    return {
        "id": number,
        "sku": f"GH-{number:04}",
        "name": name,
        "category": category,
        "price": price,
        "currency": "EUR",
        "stock": stock,
        "images": {
            "thumbnail": f"https://images.example.com/{slug}-160.jpg",
            "large": f"https://images.example.com/{slug}-1600.jpg",
        },
        "specifications": details,
    }


def _review(number: int, product_id: int, stars: int, author: str, text: str, day: str) -> Record:
    return {
        "id": number,
        "product_id": product_id,
        "stars": stars,
        "author": author,
        "text": text,
        "created_at": f"{day}T10:00:00Z",
    }


products = Collection(
    "/api/v1/products",
    "product",
    [
        _product(1, "Oak desk lamp", "home", "129.00", 14, material="Oak", height="42 cm"),
        _product(2, "Mechanical keyboard", "office", "249.00", 6, layout="ISO", keys="84"),
        _product(
            3, "Pour-over coffee set", "kitchen", "48.90", 32, material="Glass", volume="0.6 l"
        ),
        _product(4, "Cast iron pan", "kitchen", "64.50", 21, diameter="26 cm", weight="2.3 kg"),
        _product(5, "Linen tea towels", "kitchen", "24.90", 80, material="Linen", pieces="3"),
        _product(6, "Monitor stand", "office", "79.00", 0, material="Steel", load="15 kg"),
        _product(7, "Wool throw", "home", "99.00", 11, material="Merino", size="130 x 180 cm"),
    ],
    required=("name", "price"),
    fresh=lambda: {"currency": "EUR", "stock": 0, "images": {}, "specifications": {}},
)
reviews = Collection(
    "",
    "review",
    [
        _review(1, 1, 5, "Mei T.", "Warm light, and it does not wobble.", "2025-01-12"),
        _review(2, 1, 4, "Daniel W.", "Lovely lamp; the cable could be longer.", "2025-02-03"),
        _review(3, 3, 5, "Amara O.", "My mornings are better now.", "2025-03-28"),
        _review(4, 4, 3, "Lukas B.", "Good pan, heavy.", "2025-04-16"),
    ],
    fresh=lambda: {"created_at": now()},
)

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


if __name__ == "__main__":
    main(backend)
