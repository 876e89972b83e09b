"""The services of this gateway, in the order in which their routes are looked at."""

from blueprints.notifications import notifications
from blueprints.orders import orders
from blueprints.payments import payments
from blueprints.products import products
from blueprints.users import users

SERVICES = [
    users,
    orders,
    products,
    payments,
    notifications,
]
