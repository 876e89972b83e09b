"""What clients are told beside an answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from werkzeug.datastructures import Headers

from gateway import Version
from gateway.versions.telling import Notice, moment


@pytest.mark.parametrize(
    "value",
    [
        datetime(2023, 6, 30, 23, 59, 59, 999, tzinfo=UTC),
        datetime(2023, 7, 1, 1, 59, 59, tzinfo=timezone(timedelta(hours=2))),
        datetime.fromisoformat("2023-06-30T23:59:59"),
        "2023-06-30T23:59:59Z",
        "2023-06-30T23:59:59+00:00",
        " 2023-06-30 23:59:59 ",
    ],
)
def test_a_time_is_of_utc_unless_it_says_otherwise(value: datetime | str) -> None:
    assert moment(value).timestamp() == 1688169599  # RFC 9745's example


@pytest.mark.parametrize("value", [date(2023, 7, 1), "2023-07-01"])
def test_a_date_is_its_first_second(value: date | str) -> None:
    assert moment(value).timestamp() == 1688169600


def test_a_version_is_named_and_nothing_else_is_said() -> None:
    headers = Headers({"Link": "<https://other.example>", "Deprecation": "@1"})
    Notice.of(Version("v2"), ()).tell(headers)
    assert list(headers) == [
        ("Link", "<https://other.example>"),
        ("Deprecation", "@1"),
        ("API-Version", "v2"),
    ]


def test_the_end_of_a_version_is_told_as_the_rfcs_say() -> None:
    headers = Headers(
        [
            ("Link", '</next>; rel="next"'),
            ("Vary", "Accept-Encoding"),
            ("deprecation", "@1"),
            ("sunset", "Fri, 01 Jan 2100 00:00:00 GMT"),
            ("api-version", "7.1.3"),
        ]
    )
    version = Version(
        "v1",
        deprecated="2023-06-30T23:59:59Z",
        sunset=date(2024, 6, 30),
        link="https://docs.example/migration",
    )
    Notice.of(version, ("API-Version", "Accept")).tell(headers)
    assert headers.getlist("API-Version") == ["v1"]
    assert headers.getlist("Deprecation") == ["@1688169599"]
    assert headers.getlist("Sunset") == ["Sun, 30 Jun 2024 00:00:00 GMT"]
    assert headers.getlist("Link") == [
        '</next>; rel="next"',
        '<https://docs.example/migration>; rel="deprecation"',
        '<https://docs.example/migration>; rel="sunset"',
    ]
    assert headers.getlist("Vary") == ["Accept-Encoding", "API-Version, Accept"]
