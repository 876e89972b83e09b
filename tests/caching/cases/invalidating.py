"""RFC 9111 section 4.4: what a request that may change something drops."""

from typing import Any

from tests.caching.script import Case, Step, asked, bypass, fails, hit, miss, refused, says

FRESH = "max-age=60"
BACKEND = "http://things.internal"
CLIENT = "http://gateway.example"


def changes(name: str, method: str, status: int, dropped: bool) -> Case:
    """An unsafe request for what is kept."""
    return Case(
        name,
        miss(says(FRESH), made=1),
        bypass(says(None, status), method=method, status=status),
        miss(says(FRESH), made=3) if dropped else hit(made=1),
    )


def elsewhere(name: str, dropped: bool, status: int = 201, **fields: Any) -> Case:
    """A request for one path whose answer names another; `PATH` stands for the case's own."""
    last: Step = miss(says(FRESH), path="/x", made=3) if dropped else hit(path="/x", made=1)
    return Case(
        name,
        miss(says(FRESH), path="/x", made=1),
        bypass(says(None, status, **fields), method="POST", status=status),
        last,
    )


CASES = [
    *(changes(f"9111-4.4-{m.lower()}", m, 200, True) for m in ("POST", "PUT", "PATCH", "DELETE")),
    *(changes(f"9111-4.4-status-{s}", "POST", s, True) for s in (201, 202, 301, 303, 307, 308)),
    *(changes(f"9111-4.4-error-{s}", "POST", s, False) for s in (400, 404, 409, 500, 503)),
    Case("9111-4.4-status-204", miss(says(FRESH), made=1),
         bypass(says(None, 204, body=b""), method="DELETE", status=204, body=b""),
         miss(says(FRESH), made=3)),
    changes("9111-4.4-safe-options", "OPTIONS", 200, False),
    Case("9111-4.4-safe-head", miss(says(FRESH), made=1), hit(method="HEAD"), hit(made=1)),
    Case("9111-4.4-no-answer", miss(says(FRESH), made=1), refused(502, fails(), method="PUT"),
         hit(made=1)),
    Case("9111-4.4-all-variants",
         miss(says(FRESH, vary="Accept"), fields={"Accept": "a/a"}, made=1),
         miss(fields={"Accept": "b/b"}, made=2), bypass(method="PUT"),
         miss(fields={"Accept": "a/a"}, made=4), miss(fields={"Accept": "b/b"}, made=5)),
    Case("9111-4.4-all-callers", miss(says(FRESH), user="ada", made=1), miss(made=2),
         bypass(method="PUT", user="bob"), miss(user="ada", made=4), miss(made=5)),
    Case("9111-4.4-spelled-otherwise", miss(says(FRESH), path="/~x", made=1),
         bypass(method="PUT", path="/%7ex"), miss(path="/~x", made=3)),
    Case("9111-4.4-with-query", miss(says(FRESH), path="?a=1", made=1), bypass(method="PUT"),
         miss(path="?a=1", made=3)),
    Case("9111-4.4-another-path", miss(says(FRESH), path="/x", made=1),
         bypass(method="PUT", path="/xy"), bypass(method="PUT"), hit(path="/x", made=1)),
    elsewhere("9111-4.4-location", True, location="PATH/x"),
    elsewhere("9111-4.4-location-relative", True, location="./SLUG/x"),
    elsewhere("9111-4.4-location-of-backend", True, location=BACKEND + "PATH/x"),
    elsewhere("9111-4.4-location-of-gateway", True, location=CLIENT + "PATH/x"),
    elsewhere("9111-4.4-location-spelled", True, location="PATH/%78"),
    elsewhere("9111-4.4-content-location", True, 200, content_location="PATH/x"),
    elsewhere("9111-4.4-location-other-origin", False, location="http://other.example" + "PATH/x"),
    elsewhere("9111-4.4-location-other-scheme", False, location="ftp://gateway.example" + "PATH/x"),
    elsewhere("9111-4.4-location-other-port", False, location=CLIENT + ":81PATH/x"),
    elsewhere("9111-4.4-location-no-scheme", False, location="//other.examplePATH/x"),
    elsewhere("9111-4.4-location-userinfo", False, location="http://gateway.example@evil.examplePATH/x"),
    elsewhere("9111-4.4-content-location-other-origin", False, 200,
              content_location="http://other.examplePATH/x"),
    elsewhere("9111-4.4-location-of-error", False, 400, location="PATH/x"),
    Case("9111-4.4-location-of-get", miss(says(FRESH), path="/x", made=1),
         asked(says(None, 303, location="PATH/x"), status=303), hit(path="/x", made=1)),
]  # fmt: skip
