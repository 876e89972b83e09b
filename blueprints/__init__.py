"""The services of this gateway, in the order in which their routes are looked at."""

from blueprints.dashboard import dashboard
from blueprints.mobile import mobile
from blueprints.notifications import notifications
from blueprints.orders import orders
from blueprints.partner import events, partner
from blueprints.payments import payments
from blueprints.products import products
from blueprints.users import users
from blueprints.web import web

SERVICES = [
    users,
    orders,
    products,
    payments,
    notifications,
    dashboard,
    mobile,
    web,
    partner,
    events,
]

#: Parts of them that a gateway can be for, alone (docs/domains.md): the setting DOMAINS says which.
DOMAINS = {
    "commerce": [orders, products, payments],
    "admin": [users, notifications],
    "frontends": [dashboard, mobile, web],
    "partners": [partner, events],
}
