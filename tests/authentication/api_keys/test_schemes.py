"""Keys in requests: where they stand, what backends are told, and what they are not sent."""

from __future__ import annotations

import orjson
import pytest

from gateway import ConfigurationError, current_identity, require
from tests.authentication.api_keys.conftest import Build, House
from tests.authentication.api_keys.support import basic, keeping, made, secret_changed, unused_key
from tests.support.wsgi import SECRET, bearer, make_app, open_service, stubbed

KEY_CHALLENGE = 'ApiKey realm="gateway"'
BASIC_CHALLENGE = 'Basic realm="gateway", charset="UTF-8"'


def guarded(build: Build, **settings: object) -> House:
    """A gateway whose only service needs order:read."""
    service, backend = stubbed()
    require("order:read")(service)
    return build(backend, service, **settings)


def opened(build: Build, **settings: object) -> House:
    """A gateway whose only service is open to everybody."""
    service, backend = open_service()
    return build(backend, service, **settings)


def test_a_key_in_the_header(build: Build) -> None:
    house = guarded(build)
    key = made(house.url, owner="ada & co", scopes=["order:*"], roles=["partner"])
    assert house.get("/things/7", ("X-API-Key", key)).status == 200
    sent = house.reached.headers
    assert (sent["X-User-ID"], sent["X-User-Roles"]) == (key[3:15], "partner")
    assert (sent["X-User-Permissions"], sent["X-Key-Owner"]) == ("order:*", "ada & co")
    assert key not in str(sent)
    assert "x-api-key" not in {name.lower() for name in sent}


def test_refusals(build: Build) -> None:
    house = guarded(build)
    key = made(house.url, scopes=["order:read"])
    poor = made(house.url)
    none = house.get("/things/7")
    assert (none.status, none.code) == (401, "missing_credential")
    assert none.header("WWW-Authenticate") == [KEY_CHALLENGE]
    for wrong in (secret_changed(key), unused_key(), "secret", f"{key},{key}"):
        answer = house.get("/things/7", ("X-API-Key", wrong))
        assert (answer.status, answer.code) == (401, "api_key_invalid")
        assert answer.header("WWW-Authenticate") == [KEY_CHALLENGE]
        assert answer.header("Content-Type") == ["application/problem+json"]
        assert wrong not in answer.body.decode()
    answer = house.get("/things/7", ("X-API-Key", poor))
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert house.backend.requests == []


def test_a_revoked_key_has_no_second_request(build: Build) -> None:
    house = guarded(build)
    key = made(house.url, scopes=["order:read"])
    with keeping(house.url) as keeper:
        keeper.revoke(key[3:15])
    answer = house.get("/things/7", ("X-API-Key", key))
    assert (answer.status, answer.code) == (401, "api_key_revoked")


def test_the_security_log_names_the_key_that_is_still_tried(build: Build) -> None:
    house = guarded(build, SECURITY_LOG=True)
    written: list[bytes] = []
    house.app.extensions["gateway"].security._write = written.append
    key, suspended = made(house.url), made(house.url)
    with keeping(house.url) as keeper:
        keeper.set_active(suspended[3:15], active=False)
    tried = (suspended, secret_changed(key), unused_key(), "secret")
    for one in tried:
        assert house.get("/things/7", ("X-API-Key", one)).status == 401
    lines = [orjson.loads(line) for line in written]
    assert [(line["reason"], line.get("key"), line["user"]) for line in lines] == [
        ("api_key_suspended", suspended[3:15], ""),
        ("api_key_invalid", key[3:15], ""),
        ("api_key_invalid", None, ""),
        ("api_key_invalid", None, ""),
    ]
    assert not any(one[16:].encode() in b"".join(written) for one in tried[:3])


def test_another_header(build: Build) -> None:
    house = guarded(build, API_KEY_HEADER="apikey")
    key = made(house.url, scopes=["order:read"])
    assert house.get("/things/7", ("apikey", key), ("X-API-Key", "mine")).status == 200
    assert house.reached.headers["X-API-Key"] == "mine"
    assert "apikey" not in {name.lower() for name in house.reached.headers}


def test_no_backend_is_sent_the_header_whatever_is_in_it(build: Build) -> None:
    house = opened(build)
    for value in (made(house.url), unused_key(), "whatever"):
        assert house.get("/things/7", ("X-API-Key", value)).status == 200
        assert "x-api-key" not in {name.lower() for name in house.reached.headers}


@pytest.mark.parametrize("on", [True, False])
def test_nobody_else_says_whose_key_it_is(build: Build, on: bool) -> None:
    house = opened(build, API_KEYS=on, JWT_SECRET=SECRET)
    assert house.get("/things/7", ("X-Key-Owner", "root"), bearer()).status == 200
    assert "x-key-owner" not in {name.lower() for name in house.reached.headers}


def test_with_a_token_too_it_is_one_too_many(build: Build) -> None:
    house = guarded(build, JWT_SECRET=SECRET, API_KEY_BASIC=True)
    key = made(house.url, scopes=["order:read"])
    for other in (bearer("order:read"), basic(key)):
        answer = house.get("/things/7", ("X-API-Key", key), other)
        assert (answer.status, answer.code) == (400, "two_credentials")
    assert house.get("/things/7", bearer("order:read")).status == 200


def test_basic(build: Build) -> None:
    house = guarded(build, API_KEYS=False, API_KEY_BASIC=True)
    key = made(house.url, scopes=["order:read"])
    for user in (key[3:15], "", "ünï"):
        assert house.get("/things/7", basic(key, user)).status == 200
        assert "authorization" not in {name.lower() for name in house.reached.headers}
        assert house.reached.headers["X-User-ID"] == key[3:15]
    lower = ("Authorization", basic(key)[1].replace("Basic", "bAsIc "))
    assert house.get("/things/7", lower).status == 200
    assert house.get("/things/7").header("WWW-Authenticate") == [BASIC_CHALLENGE]
    wrong = [basic(secret_changed(key)), basic("", key), basic(f"{key}:"), basic("x")]
    malformed = [("Authorization", f"Basic{rest}") for rest in ("", " ", " !", " w6Q=", " YWJj")]
    for field in (*wrong, *malformed):
        answer = house.get("/things/7", field)
        assert (answer.status, answer.code) == (401, "api_key_invalid")
        assert answer.header("WWW-Authenticate") == [BASIC_CHALLENGE]


def test_basic_is_the_backends_where_the_scheme_is_off(build: Build) -> None:
    house = opened(build)
    field = basic("a password of the backend")
    assert house.get("/things/7", field).status == 200
    assert house.reached.headers["Authorization"] == field[1]


def test_basic_is_the_backends_where_a_service_does_not_accept_it(build: Build) -> None:
    own, backend = stubbed("own", "/own", authentication=["api_key"])
    require()(own)
    other, _ = open_service(name="other", prefix="/other")
    house = build(backend, own, other, API_KEY_BASIC=True)
    field, key = basic("a password of the backend"), made(house.url)
    assert house.get("/own/7", field, ("X-API-Key", key)).status == 200
    assert house.reached.headers["Authorization"] == field[1]
    assert house.get("/own/7", basic(key)).status == 401


def test_basic_where_it_is_accepted_reaches_no_backend(build: Build) -> None:
    house = opened(build, API_KEY_BASIC=True, JWT_SECRET=SECRET)
    assert house.get("/things/7", basic("a key that was misspelt")).status == 200
    assert "authorization" not in {name.lower() for name in house.reached.headers}
    field = bearer()
    assert house.get("/things/7", field).status == 200
    assert house.reached.headers["Authorization"] == field[1]


def test_a_view_sees_the_whole_identity(build: Build) -> None:
    service, backend = open_service()

    @service.get("/me")
    def me() -> str:
        identity = current_identity()
        assert identity is not None
        return f"{identity.kind} {identity.plan} {dict(identity.overrides)} {identity.claims}"

    house = build(backend, service)
    key = made(house.url, plan="gold", overrides={"rate": "5/second"})
    answer = house.get("/things/me", ("X-API-Key", key))
    assert answer.body.decode() == ("key gold {'rate': '5/second'} {'name': 'n', 'owner': 'ada'}")


def test_what_is_counted(build: Build) -> None:
    house = guarded(build)
    key, poor = made(house.url, scopes=["order:read"]), made(house.url)
    for _ in range(3):
        house.get("/things/7", ("X-API-Key", key))
    house.get("/things/7", ("X-API-Key", poor))  # 403, and a request of this key's
    house.get("/things/7", ("X-API-Key", secret_changed(key)))
    house.flush()
    with keeping(house.url) as keeper:
        rows = {row["id"]: (row["today"], row["total"]) for row in keeper.all()}
    assert rows == {key[3:15]: (3, 3), poor[3:15]: (1, 1)}


def test_without_the_database(build: Build, empty_url: str) -> None:
    house = guarded(build, DATABASE_URL=empty_url + "x", JWT_SECRET=SECRET)
    answer = house.get("/things/7", ("X-API-Key", unused_key()))
    assert (answer.status, answer.code) == (503, "authority_unavailable")
    assert answer.header("Retry-After") == ["1"]
    # What needs no database is served.
    assert house.get("/things/7", bearer("order:read")).status == 200
    assert house.get("/things/7", ("X-API-Key", "no key at all")).status == 401
    ready = house.get("/readyz")
    assert ready.status == 200
    assert ready.json["database"] in ("tables missing", "unavailable")  # and no address


def test_readiness_says_ready(build: Build) -> None:
    house = opened(build)
    house.get("/things/7", ("X-API-Key", unused_key()))
    assert house.get("/readyz").json["database"] == "ready"
    assert "database" not in opened(build, API_KEYS=False, JWT_SECRET=SECRET).get("/readyz").json


@pytest.mark.parametrize("setting", ["API_KEYS", "API_KEY_BASIC"])
def test_no_other_key_is_needed(build: Build, setting: str) -> None:
    opened(build, **{"API_KEYS": False, setting: True})
    with pytest.raises(ConfigurationError, match="JWT_SECRET"):
        opened(build, API_KEYS=False)


def test_faults() -> None:
    service, _ = open_service(authentication=["api_key", "basic"])
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert [fault.partition(" (")[0] for fault in caught.value.faults] == [
        "service 'things': authentication 'api_key' is not set up: API_KEYS does that",
        "service 'things': authentication 'basic' is not set up: API_KEY_BASIC does that",
    ]
    with pytest.raises(ConfigurationError) as caught:
        make_app(
            service,
            API_KEYS=True,
            API_KEY_BASIC=True,
            API_KEY_HEADER="X-Access-Tokens",
            DATABASE_URL="mysql://u:secret@h",
        )
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "DATABASE_URL",
        "API_KEY_HEADER",
    ]
    assert "secret" not in str(caught.value)
    # Nobody looks at what nothing needs.
    make_app(open_service()[0], DATABASE_URL="mysql://u:secret@h")
