"""Who are you: from what a request presents to an Identity, or to the reason why not.

`schemes` puts together what the settings ask for; each scheme is a module or package of its own.
"""

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.bearer import TokenAuthority
from gateway.authentication.identity import Identity, current_identity
from gateway.authentication.scheme import Scheme

__all__ = ["Authenticator", "Identity", "Scheme", "TokenAuthority", "current_identity"]
