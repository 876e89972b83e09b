"""Every option of the gateway, read from the environment: one typed field each, by room.

A field's description says what it means, its unit, and what 0 or empty do. The table in
`docs/settings.md` is made from here by `flask gateway settings`; a test keeps them in step.
The address of a service is not a field: it is `<NAME>_URL`, read by the service itself.
"""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from gateway.settings.api_keys import APIKeySettings
from gateway.settings.cache import CacheSettings
from gateway.settings.client_certificates import ClientCertificateSettings
from gateway.settings.discovery import DiscoverySettings
from gateway.settings.edge import EdgeSettings
from gateway.settings.internal_tokens import InternalTokenSettings
from gateway.settings.limits import LimitSettings
from gateway.settings.operations import OperationsSettings
from gateway.settings.process import ProcessSettings
from gateway.settings.services import ServiceSettings
from gateway.settings.stores import StoreSettings
from gateway.settings.tokens import TokenSettings
from gateway.settings.upstreams import UpstreamSettings
from gateway.settings.webhooks import WebhookSettings


# The rooms from the last to the first, as Python goes through bases: so the table begins with the
# process, and what a fork adds below ends it.
class Settings(
    OperationsSettings,
    ServiceSettings,
    WebhookSettings,
    CacheSettings,
    LimitSettings,
    StoreSettings,
    InternalTokenSettings,
    APIKeySettings,
    ClientCertificateSettings,
    TokenSettings,
    DiscoverySettings,
    UpstreamSettings,
    EdgeSettings,
    ProcessSettings,
):
    """The gateway's options. Unknown variables are ignored; a wrong value is a fault at start."""

    model_config = SettingsConfigDict(defer_build=False)

    @property
    def pool_size(self) -> int:
        """Most connections of one worker to one backend instance."""
        return self.POOL_SIZE or self.worker_concurrency
