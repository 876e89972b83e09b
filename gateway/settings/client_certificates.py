"""Options of client certificates."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.kinds import HeaderNames
from gateway.settings.room import Room


class ClientCertificateSettings(Room):
    """Certificates of clients, as a proxy in front hands them on."""

    CLIENT_CERTIFICATES: HeaderNames = Field(
        (),
        description="Headers in which a trusted proxy hands on the client's certificate,"
        " comma-separated, such as `X-Client-Cert` (docs/client_certificates.md). Empty: none.",
    )
    CLIENT_CERTIFICATE_CA_FILE: str = Field(
        "",
        description="PEM file of the authorities that may have issued them. Empty: those that the"
        " proxy accepts.",
    )
    CLIENT_CERTIFICATE_ROLES: str = Field(
        "",
        description="Roles of certificates by subject: `subject=role role;subject=role`."
        " Empty: none.",
    )
