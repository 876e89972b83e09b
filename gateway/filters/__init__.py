"""Filters: what is to be done with all requests, for a gateway or a service, by phase and in order.

    from gateway.filters import pre

    @pre(order=10)
    def not_at_night(request):
        if is_night():
            return "Come back tomorrow.", 503

    FILTERS = [not_at_night]            # in blueprints/__init__.py; or Service(filters=[...])

`declaring` has the decorators, `steps` runs one filter, `phases` puts them where they belong in
Flask and in a service's chain, `switches` has those that are off, `opening` makes it all at start.
Not imported by a gateway that has none.
"""

from gateway.filters.declaring import error, post, pre, route

__all__ = ["error", "post", "pre", "route"]
