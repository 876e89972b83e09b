"""Who are you: from what a request presents to an Identity, or to the reason why not."""

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.identity import Identity, current_identity

__all__ = ["Authenticator", "Identity", "current_identity"]
