"""Mobile: small answers for the app; `?fields=` makes them smaller, ETags save what is known."""

from typing import Any

from flask import Response, request

from blueprints.orders import orders
from blueprints.products import products
from gateway import Frontend, Gathered, Timeouts, chosen_fields, gather, limiter, public, require

mobile = Frontend(
    "mobile",
    __name__,
    url_prefix="/mobile/v1",
    uses=[products, orders],
    timeouts=Timeouts(total=5),
)

limiter.limit("300/minute")(mobile)


@mobile.get("/products/<int:product_id>")
@public
def product(product_id: int) -> Response:
    """One product as a phone shows it."""
    found = gather(product=products.fetch(f"/{product_id}", required=True))
    return _small(found, _product(found["product"]))


@mobile.get("/products")
@public
def catalogue() -> Response:
    """The first twenty products, or fewer."""
    limit = max(1, min(request.args.get("limit", 20, type=int), 20))
    found = gather(products=products.fetch(query={"limit": limit}, required=True))
    items = [_product(one) for one in found["products"]["items"]]
    return _small(found, {"items": items})


@mobile.get("/orders/<int:order_id>")
@require()
def order(order_id: int) -> Response:
    """An order with the picture of each product in it: these are asked for when it is there."""
    found = gather(
        order=orders.fetch(f"/{order_id}", required=True),
        pictured=lambda order: [
            products.fetch("/{id}", id=line["product_id"], default={})
            for line in order["lines"][:8]
        ],
    )
    lines = [
        {"name": line["name"], "quantity": line["quantity"], "thumbnail": _thumbnail(product)}
        for line, product in zip(found["order"]["lines"], found["pictured"], strict=False)
    ]
    made = {name: found["order"][name] for name in ("id", "status", "total", "currency")}
    return _small(found, {**made, "lines": lines})


def _small(found: Gathered, made: dict[str, Any]) -> Response:
    """The fields that were asked for, or 304 for an app that has them already."""
    response = found.respond(chosen_fields(made, request.args.get("fields")))
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response


def _product(product: dict[str, Any]) -> dict[str, Any]:
    made = {name: product[name] for name in ("id", "name", "price")}
    return {**made, "thumbnail": _thumbnail(product)}


def _thumbnail(product: dict[str, Any]) -> str | None:
    images = product.get("images")
    return images[0]["thumbnail_url"] if images else None
