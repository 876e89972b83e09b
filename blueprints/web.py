"""Web: a product page in one answer, rich enough to be rendered on a server."""

from typing import Any

from flask import Response

from blueprints.products import products
from gateway import Frontend, Timeouts, gather, limiter, public

web = Frontend(
    "web",
    __name__,
    url_prefix="/web/v1",
    uses=[products],
    timeouts=Timeouts(total=5),
)

limiter.limit("300/minute")(web)

SHOWN = ("id", "name", "price", "currency", "specifications")


@web.get("/products/<int:product_id>")
@public
def product_page(product_id: int) -> Response:
    """The product, which must be there, with reviews and related products, which need not."""
    nothing: dict[str, Any] = {"items": []}
    found = gather(
        product=products.fetch(f"/{product_id}", required=True),
        reviews=products.fetch(f"/{product_id}/reviews", timeout=2, default=nothing),
        related=products.fetch(f"/{product_id}/related", timeout=2, default=nothing),
    )
    product, reviews = found["product"], found["reviews"]["items"]
    page = {
        **{name: product.get(name) for name in SHOWN},
        "description": product.get("full_description"),
        "images": [image["full_url"] for image in product.get("images", ())],
        "reviews": reviews[:10],
        "review_summary": _summary(reviews),
        "related_products": found["related"]["items"][:8],
    }
    return found.respond(page)


def _summary(reviews: list[dict[str, Any]]) -> dict[str, Any]:
    stars = [review["stars"] for review in reviews]
    average = round(sum(stars) / len(stars), 1) if stars else None
    return {"count": len(stars), "average": average}
