"""Signatures: as the specification's example has them, and secrets that are none."""

from __future__ import annotations

import base64

import pytest

from gateway.webhooks.signing import key_of, new_secret, signed_fields
from tests.webhooks.receiver import OTHER, SECRET, Received


def test_the_example_of_the_specification() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    fields = dict(signed_fields("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [key]))
    assert fields == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_signature_of_each_secret() -> None:
    fields = dict(signed_fields("e", 1, b"{}", [key_of(OTHER), key_of(SECRET)]))
    received = Received("/", fields, b"{}")
    assert received.signed_by(SECRET)
    assert received.signed_by(OTHER)
    assert not received.signed_by(new_secret())
    assert not Received("/", fields, b"{ }").signed_by(SECRET)
    assert not Received("/", {**fields, "webhook-timestamp": "2"}, b"{}").signed_by(SECRET)


def test_new_secrets() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(key_of(one)) == 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        SECRET.removeprefix("whsec_"),
        "whsec_hunter2!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_é",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_ and 24 to 64 bytes in base64") as caught:
        key_of(text)
    assert "hunter2" not in str(caught.value)
