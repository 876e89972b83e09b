"""Options of clients' tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.room import Room


class TokenSettings(Room):
    """Which tokens of clients are accepted, and who judges them."""

    JWT_SECRET: str = Field(
        "", repr=False, description="Shared secret of HS256 tokens, 32 bytes or more."
    )
    JWT_KEYS: str = Field(
        "",
        repr=False,
        description="Further keys, comma-separated: `[kid=]ALG:file:/path.pem` or"
        " `[kid=]ALG:env:NAME`, where ALG is HS256, RS256, ES256, EdDSA and so on.",
    )
    JWT_ISSUER: str = Field("", description="Required `iss` of a token. Empty: not checked.")
    JWT_AUDIENCE: str = Field(
        "", description="Required `aud` of a token. Empty: not checked, an `aud` is ignored."
    )
    JWT_LEEWAY: float = Field(
        30,
        ge=0,
        le=600,
        description="Seconds of clock difference forgiven in `exp`, `nbf` and `iat`.",
    )
    JWT_CACHE_SIZE: int = Field(
        10_000, ge=0, description="Verified tokens each worker remembers. 0: none."
    )
    OIDC_ISSUERS: str = Field(
        "",
        description="OpenID Connect issuers whose tokens are accepted, comma-separated:"
        " `https://issuer;audience=...;client_id=...` (docs/oidc.md). Empty: none.",
    )
    INTROSPECTION_URL: str = Field(
        "",
        description="Introspection endpoint of an authorisation server (RFC 7662), asked about"
        " tokens that nothing else here can judge. Empty: none is asked.",
    )
    INTROSPECTION_CLIENT_ID: str = Field(
        "", description="Who the gateway is to that server. Needed with INTROSPECTION_URL."
    )
    INTROSPECTION_CLIENT_SECRET: str = Field(
        "", repr=False, description="Its secret there. Needed with INTROSPECTION_URL."
    )
    INTROSPECTION_AUTH: Literal["basic", "post"] = Field(
        "basic",
        description="How it proves that: `basic`, in the Authorization header, or `post`, in the"
        " form.",
    )
    INTROSPECTION_PLAIN_HTTP: bool = Field(
        False,
        description="Let INTROSPECTION_URL be `http:` on another machine: who listens in between"
        " then has the tokens and the secret. False: `https:`, or this machine.",
    )
    INTROSPECTION_TIMEOUT: float = Field(
        2, gt=0, le=60, description="Seconds the server has to answer, or the request is 503."
    )
    INTROSPECTION_CACHE_SECONDS: float = Field(
        60,
        ge=0,
        le=3600,
        description="Seconds an answer is believed, so how long a revoked token still works; never"
        " past the token's `exp`. 0: each request asks.",
    )
    INTROSPECTION_ISSUER: str = Field(
        "", description="Required `iss` in the server's answer. Empty: not checked."
    )
    INTROSPECTION_AUDIENCE: str = Field(
        "", description="Required `aud` in the server's answer. Empty: not checked."
    )
    TOKEN_HEADER: str = Field(
        "x-access-tokens",
        pattern=r"^[A-Za-z0-9\-]*$",
        description="Header that may hold a bare token besides `Authorization`. Empty: none.",
    )
    TOKEN_COOKIE: str = Field(
        "access_token", description="Cookie that may hold a token. Empty: none."
    )
