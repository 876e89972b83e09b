"""Options of internal tokens."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.room import Room


class InternalTokenSettings(Room):
    """Tokens that tell backends who asks."""

    INTERNAL_TOKEN_KEY: str = Field(
        "",
        repr=False,
        description="Private keys of the tokens that tell backends who asks, comma-separated:"
        " `[kid=]ALG:file:/path.pem` or `[kid=]ALG:env:NAME`, where ALG is RS256, PS256, ES256,"
        " EdDSA and so on. The first signs, all are published. Empty: no such tokens.",
    )
    INTERNAL_TOKEN_SECONDS: int = Field(
        60, ge=5, le=3600, description="Seconds for which such a token is valid."
    )
    INTERNAL_TOKEN_HEADER: str = Field(
        "X-Internal-Token",
        pattern=r"^[A-Za-z0-9\-]+$",
        description="Header that carries it. `Authorization`: as a bearer token, instead of the"
        " client's.",
    )
    INTERNAL_TOKEN_ISSUER: str = Field(
        "gatehouse", min_length=1, description="`iss` of such a token."
    )
