"""What a first user reads: where the gateway listens, and commands to paste."""

from collections.abc import Mapping

ROLES = ("reader", "writer", "admin")

_PUBLIC = r"""
printf '\n--- The product catalogue is public\n'
curl "$BASE/api/v1/products?limit=2"

printf '\n--- It is kept: asked again, the answer says X-Cache: HIT, and its Age\n'
curl -i "$BASE/api/v1/products?limit=2"

printf '\n--- A product page, made of what three requests to the backend say\n'
curl "$BASE/web/v1/products/2"

printf '\n--- The same product for a phone\n'
curl "$BASE/mobile/v1/products/2?fields=name,price,thumbnail"

printf '\n--- A user is not public: 401\n'
curl -i "$BASE/api/v1/users/1"
"""

# Headings are printed and not comments: zsh takes no comments on its command line.
_PERSONAL = r"""
printf '\n--- With a token it is\n'
curl -H "Authorization: Bearer $READER" "$BASE/api/v1/users/1"

printf '\n--- An order; requested_by is the identity that the gateway passed on\n'
curl -H "Authorization: Bearer $READER" "$BASE/api/v1/orders/1001"

printf '\n--- A dashboard: four services, one answer\n'
curl -H "Authorization: Bearer $READER" "$BASE/api/v1/dashboard/1"

printf '\n--- A reader may not create a payment: 403\n'
curl -i -H "Authorization: Bearer $READER" -H 'Content-Type: application/json' \
  -d '{"order_id": 1004, "amount": "219.00", "currency": "GBP"}' "$BASE/api/v1/payments"

printf '\n--- A writer may: 201\n'
curl -i -H "Authorization: Bearer $WRITER" -H 'Content-Type: application/json' \
  -d '{"order_id": 1004, "amount": "219.00", "currency": "GBP"}' "$BASE/api/v1/payments"

printf '\n--- An admin may delete a notification: 204 at first, then 404\n'
curl -i -X DELETE -H "Authorization: Bearer $ADMIN" "$BASE/api/v1/notifications/5"

printf '\n--- Events arrive one by one\n'
curl -N -H "Authorization: Bearer $READER" "$BASE/api/v1/users/1/events"
"""


def welcome(base: str, upstreams: Mapping[str, str], tokens: Mapping[str, str]) -> str:
    """The whole text. `upstreams` says where each service is; without tokens, less to try."""
    width = max(map(len, upstreams))
    services = "\n".join(f"  {name:{width}}  {place}" for name, place in upstreams.items())
    variables = [f"BASE={base}", *(f"{role.upper()}={token}" for role, token in tokens.items())]
    commands = "\n".join(variables) + "\n" + _PUBLIC + (_PERSONAL if tokens else "")
    return (
        f"\nThe gateway listens on {base}, in front of\n{services}\n"
        f"\nPaste this into another terminal:\n\n{commands}"
        "\nPress Ctrl-C to stop.\n"
    )
