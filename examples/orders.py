"""Orders: order history and refunds. A single order also shows who asked for it."""

from decimal import Decimal, InvalidOperation

from examples.backend import Backend, Record, Refusal, Reply, Request
from examples.collection import Collection, created, listing, now
from examples.serving import main


def _line(product_id: int, name: str, quantity: int, unit_price: str) -> Record:
    return {"product_id": product_id, "name": name, "quantity": quantity, "unit_price": unit_price}


orders = Collection(
    "/api/v1/orders",
    "order",
    [
        {
            "id": 1001,
            "user_id": 1,
            "status": "delivered",
            "currency": "EUR",
            "total": "129.00",
            "placed_at": "2025-03-02T18:24:00Z",
            "lines": [_line(1, "Oak desk lamp", 1, "129.00")],
        },
        {
            "id": 1002,
            "user_id": 2,
            "status": "shipped",
            "currency": "EUR",
            "total": "73.80",
            "placed_at": "2025-04-11T07:03:00Z",
            "lines": [
                _line(3, "Pour-over coffee set", 1, "48.90"),
                _line(5, "Linen tea towels", 1, "24.90"),
            ],
        },
        {
            "id": 1003,
            "user_id": 1,
            "status": "paid",
            "currency": "EUR",
            "total": "97.80",
            "placed_at": "2025-05-19T12:47:00Z",
            "lines": [_line(3, "Pour-over coffee set", 2, "48.90")],
        },
        {
            "id": 1004,
            "user_id": 5,
            "status": "pending",
            "currency": "GBP",
            "total": "219.00",
            "placed_at": "2025-05-27T20:10:00Z",
            "lines": [_line(2, "Mechanical keyboard", 1, "219.00")],
        },
    ],
    required=("user_id", "lines"),
    fresh=lambda: {"status": "pending", "currency": "EUR", "placed_at": now()},
)
refunds = Collection("", "refund", [], fresh=lambda: {"status": "accepted", "created_at": now()})

backend = Backend("orders")
backend.get("/api/v1/orders")(orders.many)
backend.post("/api/v1/orders")(orders.create)


@backend.get("/api/v1/orders/{id}")
def order(request: Request, number: int) -> Reply:
    """One order, and the identity that the gateway passed on."""
    return Reply(body={**orders.find(number), "requested_by": request.headers["X-User-ID"]})


@backend.get("/api/v1/orders/{id}/refunds")
def refunds_of(request: Request, number: int) -> Reply:
    """The refunds of one order."""
    orders.find(number)
    return listing(
        [each for each in refunds.records.values() if each["order_id"] == number], request
    )


@backend.post("/api/v1/orders/{id}/refunds")
def refund(request: Request, number: int) -> Reply:
    """Give back the whole total, or the `amount` in the body, as far as the order was paid."""
    order = orders.find(number)
    if order["status"] == "pending":
        raise Refusal(409, f"Order {number} has not been paid.")
    given = request.json() if request.body else {}
    left = _left(order)
    amount = _amount(given["amount"]) if "amount" in given else left
    if amount > left or left <= 0:
        raise Refusal(409, f"Only {left} {order['currency']} of order {number} can be refunded.")
    record = refunds.add(
        {
            "order_id": number,
            "amount": f"{amount:.2f}",
            "currency": order["currency"],
            "reason": given.get("reason"),
        }
    )
    return created(request, f"/api/v1/orders/{number}/refunds/{record['id']}", record)


@backend.get("/api/v1/orders/{id}/refunds/{id}")
def one_refund(request: Request, number: int, refund_number: int) -> Reply:
    """One refund of one order."""
    record = refunds.find(refund_number)
    if record["order_id"] != number:
        raise Refusal(404, f"Order {number} has no refund {refund_number}.")
    return Reply(body=record)


def _left(order: Record) -> Decimal:
    """What has been paid for the order and not been refunded."""
    given = [each["amount"] for each in refunds.records.values() if each["order_id"] == order["id"]]
    return Decimal(str(order.get("total", "0"))) - sum(map(Decimal, given))


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise Refusal(400, "amount is not a number.") from None
    if not amount.is_finite() or amount <= 0:
        raise Refusal(400, "amount must be more than 0.")
    return amount


if __name__ == "__main__":
    main(backend)
