"""How much may you use: Flask-Limiter's declarations, decided by moving windows in shared state.

`limiter` is the one Flask-Limiter of the gateway; services and views declare their limits on it.
"""

from gateway.rate_limiting.extension import Limiter, limiter

__all__ = ["Limiter", "limiter"]
