"""Payments: what was paid for which order, and how."""

from examples.backend import Backend, Record
from examples.collection import Collection, now
from examples.serving import main


def _payment(
    number: int, order_id: int, user_id: int, amount: str, currency: str, method: str, at: str
) -> Record:
    return {
        "id": number,
        "order_id": order_id,
        "user_id": user_id,
        "amount": amount,
        "currency": currency,
        "method": method,
        "status": "captured",
        "created_at": at,
    }


payments = Collection(
    "/api/v1/payments",
    "payment",
    [
        _payment(501, 1001, 1, "129.00", "EUR", "card", "2025-03-02T18:25:11Z"),
        _payment(502, 1002, 2, "73.80", "EUR", "sepa_debit", "2025-04-11T07:04:30Z"),
        _payment(503, 1003, 1, "97.80", "EUR", "card", "2025-05-19T12:47:52Z"),
    ],
    required=("order_id", "amount", "currency"),
    fresh=lambda: {"method": "card", "status": "captured", "created_at": now()},
)

backend = Backend("payments")
backend.get("/api/v1/payments")(payments.many)
backend.post("/api/v1/payments")(payments.create)
backend.get("/api/v1/payments/{id}")(payments.one)


if __name__ == "__main__":
    main(backend)
