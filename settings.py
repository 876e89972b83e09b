"""Every option of the gateway: one typed field each, read from the environment.

A field's description says what it means, its unit, and what 0 or empty do. The table in
`docs/settings.md` is made from here by `flask gateway settings`; a test keeps them in step.
The address of a service is not a field: it is `<NAME>_URL`, read by the service itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.setting_kinds import (
    CommaList,
    Delays,
    HeaderNames,
    NameServers,
    Networks,
    PlansAsJson,
    WebhooksAsJson,
)


class Settings(BaseSettings):
    """The gateway's options. Unknown variables are ignored; a wrong value is a fault at start."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
    )

    # -- process ---------------------------------------------------------------------------
    PORT: int = Field(8000, ge=0, le=65535, description="Port to listen on, all interfaces.")
    BIND: str = Field(
        "", description="Listen here instead of PORT: `host:port` or `unix:/path`. Empty: use PORT."
    )
    WEB_CONCURRENCY: int = Field(2, ge=1, description="Number of gunicorn workers.")
    WORKER_CLASS: Literal["gevent", "gthread"] = Field(
        "gevent", description="How a worker does many things at once: `gevent` or `gthread`."
    )
    WORKER_CONNECTIONS: int = Field(
        512,
        ge=1,
        description="Requests one gevent worker forwards at the same time; a quarter as many, at"
        " least 32, wait for a moment, more are 503. It takes more connections than both.",
    )
    WORKER_THREADS: int = Field(
        16,
        ge=1,
        description="Requests one gthread worker forwards at the same time; four times as many wait"
        " for a moment, more are 503. It has threads for both, and two more.",
    )
    KEEPALIVE_SECONDS: int = Field(
        75, ge=0, description="Seconds an idle client connection stays open. 0: closed each time."
    )
    GRACEFUL_TIMEOUT: int = Field(
        25, ge=1, description="Seconds that running requests get to finish when a worker stops."
    )
    DRAIN_SECONDS: float = Field(
        3, ge=0, description="Seconds of `/readyz` 503 while still serving, before a stop. 0: none."
    )
    MAX_REQUESTS: int = Field(
        100_000, ge=0, description="Requests after which a worker is replaced. 0: never."
    )
    MAX_REQUESTS_JITTER: int = Field(
        10_000, ge=0, description="Random extra requests, so that workers are not replaced at once."
    )
    LIMIT_REQUEST_LINE: int = Field(
        8190, ge=256, le=65536, description="Longest request line in bytes; longer is 414."
    )
    LIMIT_REQUEST_FIELDS: int = Field(
        100, ge=1, le=32768, description="Most request header fields; more is 431."
    )
    LIMIT_REQUEST_FIELD_SIZE: int = Field(
        16380, ge=256, description="Longest request header field in bytes; longer is 431."
    )

    # -- edge ------------------------------------------------------------------------------
    TRUSTED_PROXIES: Networks = Field(
        (),
        description="Peers whose `X-Forwarded-*` is believed: comma-separated CIDRs, and `unix`"
        " for a peer on a unix socket. Empty: nobody.",
    )
    FORWARDED_HEADER: bool = Field(
        False, description="Also send `Forwarded` (RFC 7239) to the backends."
    )
    VIA_PSEUDONYM: str = Field(
        "",
        pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$",
        description="This gateway's name in `Via`. Empty: `gatehouse-` and a hash of host and"
        " folder. Two gateways in a row need two names, or the second sees a loop.",
    )
    MAX_BODY_BYTES: int = Field(
        10 * 1024 * 1024, ge=0, description="Largest request body in bytes; larger is 413. 0: none."
    )
    CLIENT_TIMEOUT: float = Field(
        15, gt=0, description="Seconds without a byte of a request body, then 408."
    )
    SEND_TIMEOUT: float = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds a client may take nothing of an answer that waits for it, then its"
        " connection ends. 0: any time. Does not count on a unix socket: nginx has one of its own.",
    )

    # -- upstreams -------------------------------------------------------------------------
    CONNECT_TIMEOUT: float = Field(1, gt=0, description="Seconds to connect to a backend, or 504.")
    READ_TIMEOUT: float = Field(
        10, gt=0, description="Seconds a backend may be silent, before or inside an answer."
    )
    TOTAL_TIMEOUT: float = Field(
        25, gt=0, description="Seconds from a request's arrival to the backend's response head."
    )
    POOL_SIZE: int = Field(
        0,
        ge=0,
        description="Most connections of one worker to one backend instance. 0: as many as the"
        " worker forwards requests.",
    )
    POOL_IDLE_SECONDS: float = Field(
        30, ge=0, description="Seconds an idle backend connection is kept. 0: never reused."
    )
    UPSTREAM_CA_FILE: str = Field(
        "", description="PEM file of the authorities trusted for https backends. Empty: certifi's."
    )

    DNS_SERVERS: NameServers = Field(
        (),
        description="Name servers asked for `dns://` and `srv://` addresses: comma-separated"
        " `ip[:port]`, port 53 by default. Empty: those of `/etc/resolv.conf`.",
    )

    CONSUL_TOKEN: str = Field(
        "",
        repr=False,
        pattern=r"^[!-~]*$",
        description="ACL token for `consul://` addresses. Empty: none is sent.",
    )
    EUREKA_URL: str = Field(
        "",
        repr=False,
        description="Eureka servers, comma-separated and tried in turn, such as"
        " `http://user:password@host:8761/eureka`. Empty: none.",
    )
    EUREKA_INTERVAL: int = Field(
        30,
        ge=1,
        le=600,
        description="Seconds between two looks at Eureka, and between two heartbeats to it.",
    )
    EUREKA_APP: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._\-]*$",
        description="Name under which this gateway registers in Eureka. Empty: it does not.",
    )
    EUREKA_INSTANCE_URL: str = Field(
        "",
        description="Where others reach this gateway, as it is registered in Eureka. Empty:"
        " `http://`, the machine's name, and the port it listens on.",
    )

    FAULT_INJECTION: bool = Field(
        False,
        description="Let `FaultInjection` policies delay and fail requests on purpose. False: they"
        " do nothing. Not for production.",
    )

    # -- who are you -----------------------------------------------------------------------
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

    API_KEYS: bool = Field(
        False,
        description="Accept the API keys of the database (docs/api_keys.md). False: none, and the"
        " header passes to backends as any other.",
    )
    API_KEY_HEADER: str = Field(
        "X-API-Key",
        pattern=r"^[A-Za-z0-9\-]+$",
        description="Header that holds an API key; with API_KEYS no backend is sent it.",
    )
    API_KEY_BASIC: bool = Field(
        False,
        description="Accept API keys as the password of HTTP basic authentication, too, with any"
        " user name. False: `Authorization: Basic` is the backends' own.",
    )
    API_KEY_CACHE_SIZE: int = Field(
        10_000, ge=1, description="API keys each worker remembers, and as many unknown key ids."
    )
    API_KEY_GRACE: float = Field(
        300,
        ge=0,
        description="Seconds for which a worker goes on with the API keys it knows while the"
        " database cannot be asked. 0: those are 503 at once, too.",
    )

    # -- what backends are told ------------------------------------------------------------
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

    # -- how much may you use --------------------------------------------------------------
    STATE_URL: str = Field(
        "lmdb://",
        description="Store shared by the workers of a machine: `lmdb:///folder`, `lmdb://` (a"
        " folder in the temporary directory, one for each checkout), or `memory://`.",
    )
    REDIS_URL: str = Field(
        "", repr=False, description="Store shared by several machines: `redis://` or `rediss://`."
    )
    REDIS_TIMEOUT: float = Field(
        0.25, gt=0, description="Seconds to wait for Redis before the local store steps in."
    )
    ALLOW_MEMORY_STATE: bool = Field(
        False,
        description="Permit `memory://` with several workers: each then counts, and keeps answers,"
        " alone.",
    )
    DATABASE_URL: str = Field(
        "",
        repr=False,
        description="What keeps API keys, usage and webhooks:"
        " `postgresql://user:password@host/name`, or `sqlite:////path/name.db`. Empty:"
        " `gatehouse.db` in the working directory. Not opened while nothing needs it.",
    )
    RATE_LIMIT_DEFAULT: str = Field(
        "1000/minute",
        description="Limits of every client over all services, such as `10/second;1000/hour`. A"
        " plan's rate stands in their place. Empty: none.",
    )
    RATE_LIMIT_USER: str = Field(
        "", description="Further limits of every authenticated user. Empty: none."
    )
    RATE_LIMIT_ADDRESS: str = Field(
        "",
        description="Limits of every address, counted before a credential is looked at, such as"
        " `300/minute`. Empty: none.",
    )
    RATE_LIMIT_FAILED_LOGINS: str = Field(
        "100/minute",
        description="Credentials of one address that may be refused; beyond, those not known to be"
        " good are answered with 429 and not looked at. Empty: any number.",
    )
    RATE_LIMIT_EXEMPT: CommaList = Field(
        (),
        description="Who no limit applies to: comma-separated addresses, CIDRs, and identities as"
        " `kind:subject`, such as `user:ada`. Empty: nobody.",
    )
    RATE_LIMIT_DRY_RUN: bool = Field(
        False,
        description="Put all limits on trial: they count, and the access log tells whom they would"
        " have refused (`dry_run`). False: they refuse.",
    )
    RATE_LIMIT_HEADERS: bool = Field(
        True,
        description="Tell clients their limits: `X-RateLimit-*`, `RateLimit`(`-Policy`), and"
        " `X-Quota-*`.",
    )
    PLANS: PlansAsJson = Field(
        {},
        description='Plans by name, as JSON: `{"free": {"rate": "5/second", "burst": 10, "quota":'
        ' "1000/day", "concurrency": 2}}`. Empty: none.',
    )
    DEFAULT_PLAN: str = Field(
        "",
        description="Plan of authenticated callers that name none, or one that there is not."
        " Empty: none, they have no plan's limits.",
    )

    # -- answers kept ----------------------------------------------------------------------
    CACHE_BYTES: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        description="Most bytes of all answers kept by `Cache` policies, in the store that the"
        " workers share (docs/caching.md); what was written first makes room.",
    )
    CACHE_ENTRY_BYTES: int = Field(
        1024 * 1024,
        ge=0,
        description="Longest body in bytes that is kept, an eighth of CACHE_BYTES at most. 0: only "
        "answers without one.",
    )
    CACHE_WORKER_BYTES: int = Field(
        16 * 1024 * 1024,
        ge=0,
        description="Bytes of kept answers that each worker has ready beside that store. 0: none,"
        " each is read from the store.",
    )

    SECRET_KEY: str = Field(
        "",
        repr=False,
        description="Secret that signs what clients bring back, such as cookies of sticky"
        " sessions; 32 bytes or more. Empty: none of that can be used.",
    )

    # -- what partners are told ------------------------------------------------------------
    WEBHOOKS: WebhooksAsJson = Field(
        {},
        repr=False,
        description='Where partners are told of events, as JSON: `{"acme": {"url": "https://...",'
        ' "secret": "env:ACME_WEBHOOK_SECRET", "events": ["order.*"]}}` (docs/webhooks.md). Empty:'
        " nobody is told, and no database is needed for it.",
    )
    WEBHOOK_TIMEOUT: float = Field(
        15, gt=0, le=300, description="Seconds a partner has to answer a webhook, connecting too."
    )
    WEBHOOK_RETRIES: Delays = Field(
        (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200),
        description="Seconds until a webhook that failed is sent again, one for each further try,"
        " comma-separated; up to a fifth is added at random. Empty: it is not sent again.",
    )
    WEBHOOK_DAYS: int = Field(
        14,
        ge=1,
        le=3650,
        description="Days for which events and their deliveries are kept once nothing is left to"
        " be sent, and for which the id of an event is known again.",
    )

    # -- which services, and what is done with all requests --------------------------------
    DOMAINS: CommaList = Field(
        (),
        description="Domains whose services this gateway is for, comma-separated, such as"
        " `commerce` (docs/domains.md). Empty: all services.",
    )
    FILTERS_OFF: CommaList = Field(
        (),
        description="Filters that are off, comma-separated names (docs/filters.md); they can be"
        " switched while the gateway runs. Empty: all are on.",
    )

    # -- what is seen ----------------------------------------------------------------------
    ACCESS_LOG: bool = Field(True, description="Write one JSON line per request to stdout.")
    SECURITY_LOG: bool = Field(
        True,
        description="Write a JSON line to stdout for refused credentials, missing permissions,"
        " forged identity fields and authorities that do not answer.",
    )
    SECURITY_LOG_RATE: int = Field(
        100,
        ge=0,
        description="Such lines of one kind that a worker writes per second; the next one then"
        " tells how many were left out. 0: any number.",
    )
    ADMIN_PREFIX: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)*$",
        description="Path under which operators look at the gateway and purge its cache, such as"
        " `/admin` (docs/caching.md); no service may own it. Empty: nowhere.",
    )

    @field_validator("DEFAULT_PLAN")
    @classmethod
    def _known_plan(cls, value: str, info: ValidationInfo) -> str:
        plans = info.data.get("PLANS")  # not there if it is wrong itself
        if value and plans is not None and value not in plans:
            raise ValueError(f"there is no plan {value!r} in PLANS")
        return value

    @property
    def bind(self) -> str:
        """The address gunicorn listens on."""
        return self.BIND or f"0.0.0.0:{self.PORT}"

    @property
    def worker_concurrency(self) -> int:
        """Requests that one worker forwards at the same time."""
        return self.WORKER_CONNECTIONS if self.WORKER_CLASS == "gevent" else self.WORKER_THREADS

    @property
    def worker_waiting(self) -> int:
        """Requests that wait until one worker may forward them."""
        if self.WORKER_CLASS == "gevent":
            return max(32, self.WORKER_CONNECTIONS // 4)
        return 4 * self.WORKER_THREADS

    @property
    def pool_size(self) -> int:
        """Most connections of one worker to one backend instance."""
        return self.POOL_SIZE or self.worker_concurrency
