"""What the commands make of everything that `require` takes, and of internal tokens."""

from __future__ import annotations

import jwt
import pytest

from tests.authentication.support import key_pair
from tests.cli.support import IN_ORDER, SECRET, Folder

LINES = (
    "from gateway import PolicyDecisionPoint, all_of, scope",
    'point = PolicyDecisionPoint("http://u:secret@opa.test:8181/v1/data/more/allow")',
    "def owns(identity, request):",
    "    return True",
    'either = any_of("d:read", all_of(scope("more.read"), any_of(scope("more.edit"), owns)))',
    'require(owns, "a:b", either, point)(more)',
)


def test_services_shows_every_part_by_its_name(own: Folder) -> None:
    own.add("more", *LINES)
    done = own.run("services", **IN_ORDER)
    needs = (
        "requires a:b and owns and"
        " (d:read or (scope:more.read and (scope:more.edit or owns)))"
        " and decision point http://opa.test:8181/v1/data/more/allow; limits"
    )
    assert needs in done.out
    assert "secret" not in done.out


def test_services_shows_how_a_backend_is_told(own: Folder) -> None:
    own.add("more", 'more.identity = "both"', "require()(more)")
    environ = {**IN_ORDER, "INTERNAL_TOKEN_KEY": "ES256:env:MINE", "MINE": key_pair("ES256")[0]}
    (line,) = [
        one for one in own.run("services", **environ).out.splitlines() if "identity by" in one
    ]
    assert line.endswith("; policies none; identity by both")
    (fault,) = own.run("check", **IN_ORDER).faults
    assert fault.startswith("service 'more': identity 'both' needs INTERNAL_TOKEN_KEY")


@pytest.mark.parametrize(
    ("role", "permissions", "scopes"),
    [
        ("reader", {"d:read"}, "more.read"),
        ("writer", {"a:b", "d:read"}, "more.edit more.read"),
        ("admin", {"a:*", "d:*"}, "more.edit more.read"),
    ],
)
def test_a_token_has_what_is_asked_for_at_any_depth(
    own: Folder, role: str, permissions: set[str], scopes: str
) -> None:
    own.add("more", *LINES)
    token = own.run("token", "--role", role, JWT_SECRET=SECRET).out.strip()
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert set(claims["permissions"]) >= permissions
    assert claims["scope"] == scopes


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("require(7)(more)", "7 cannot be required"),
        ("require(any_of())(more)", "any_of needs at least one part"),
        ("require(lambda identity: True)(more)", "<lambda> must take two arguments"),
        (
            'import gateway; require(gateway.PolicyDecisionPoint("opa.test"))(more)',
            "PolicyDecisionPoint: url must be http(s)://",
        ),
    ],
)
def test_nonsense_is_a_fault_with_its_place(own: Folder, line: str, fault: str) -> None:
    own.add("more", line)
    (found,) = own.run("check", **IN_ORDER).faults
    assert found.startswith(fault)
    assert found.endswith(f"({own.path}/blueprints/more.py:3)")


def test_a_wrong_key_is_a_fault_and_stays_unseen(shared: Folder) -> None:
    environ = {"INTERNAL_TOKEN_KEY": "RS256:env:MINE", "MINE": "-----BEGIN secret"}
    (fault,) = shared.run("check", **IN_ORDER, **environ).faults
    assert fault == "INTERNAL_TOKEN_KEY entry 1 is no PEM private key for RS256"
