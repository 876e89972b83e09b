"""RFC 9111 section 4 and 4.1, RFC 9110 section 4.2: which kept answer is one to a request."""

from tests.caching.script import Case, Step, asked, hit, miss, says

FRESH = "max-age=60"
EN, DE = {"Accept-Language": "en"}, {"Accept-Language": "de"}


def varying(vary: str) -> Step:
    """A first request in English."""
    return miss(says(FRESH, vary=vary), fields=EN, made=1)


CASES = [
    # -- method ---------------------------------------------------------------------------------
    Case(
        "9111-4-head-from-get",
        miss(says(FRESH, body=b"hello", etag='"a"')),
        hit(method="HEAD", body=b"", has={"Content-Length": "5", "ETag": '"a"'}, age=0),
        hit(body=b"hello"),
    ),
    Case("9111-4-get-not-from-head", asked(says(FRESH, body=b"hello"), method="HEAD", body=b""),
         miss(body=b"hello"), hit(body=b"hello")),
    Case("9111-4-write-through", miss(says(FRESH)), asked(method="POST", made=2)),
    # -- target ---------------------------------------------------------------------------------
    Case("9111-4-query", miss(says(FRESH), path="?a=1", made=1), miss(path="?a=2", made=2),
         miss(made=3), hit(path="?a=1", made=1)),
    Case("9111-4-query-order", miss(says(FRESH), path="?a=1&b=2", made=1),
         miss(path="?b=2&a=1", made=2)),
    Case("9111-4-query-repeated", miss(says(FRESH), path="?a=1&a=2"),
         miss(path="?a=2&a=1", made=2)),
    Case("9111-4-path-case", miss(says(FRESH), path="/x", made=1), miss(path="/X", made=2)),
    Case("9111-4-path-slash", miss(says(FRESH), path="/x", made=1), miss(path="/x/", made=2)),
    Case("9110-4.2.3-percent-case", miss(says(FRESH), path="/%c3%A4"), hit(path="/%C3%a4")),
    Case("9110-4.2.3-unreserved", miss(says(FRESH), path="/%7Ea%2db"), hit(path="/~a-b")),
    Case("9110-4.2.3-reserved", miss(says(FRESH), path="/a%3Bb"), miss(path="/a;b", made=2)),
    Case("9110-4.2.3-percent", miss(says(FRESH), path="/%2541"), miss(path="/%41", made=2),
         hit(path="/A", made=2)),
    Case("9110-4.2.3-host-case", miss(says(FRESH), fields={"Host": "GATEWAY.example"}),
         hit(fields={"Host": "gateway.EXAMPLE"})),
    Case("9110-4.2.3-usual-port", miss(says(FRESH), fields={"Host": "gateway.example:80"}),
         hit(fields={"Host": "gateway.example"})),
    Case("9110-4.2.3-other-port", miss(says(FRESH), fields={"Host": "gateway.example:81"}),
         miss(fields={"Host": "gateway.example"}, made=2)),
    Case("9110-4.3.1-other-host", miss(says(FRESH), fields={"Host": "a.example"}),
         miss(fields={"Host": "b.example"}, made=2), hit(fields={"Host": "a.example"}, made=1)),
    Case("9110-4.3.1-other-scheme", miss(says(FRESH)),
         miss(environ={"wsgi.url_scheme": "https"}, made=2), hit(made=1)),
    # -- Vary -----------------------------------------------------------------------------------
    Case("9111-4.1-same", varying("Accept-Language"), hit(fields=EN, made=1)),
    Case("9111-4.1-other", varying("Accept-Language"), miss(fields=DE, made=2),
         hit(fields=EN, made=1), hit(fields=DE, made=2)),
    Case("9111-4.1-absent", varying("Accept-Language"), miss(made=2), hit(made=2)),
    Case("9111-4.1-absent-first", miss(says(FRESH, vary="Accept-Language"), made=1),
         miss(fields=EN, made=2), hit(made=1)),
    Case("9111-4.1-capitals", varying("ACCEPT-language"), miss(fields=DE, made=2),
         hit(fields=EN, made=1)),
    Case("9111-4.1-several", varying("Accept, Accept-Language"),
         miss(fields=EN | {"Accept": "text/html"}, made=2), hit(fields=EN, made=1)),
    Case("9111-4.1-several-lines",
         miss(says(FRESH, vary=("Accept", "Accept-Language")), fields=EN, made=1),
         miss(fields=DE, made=2), hit(fields=EN, made=1)),
    Case("9111-4.1-empty-members", varying(", ,Accept-Language,,"), miss(fields=DE, made=2),
         hit(fields=EN, made=1)),
    Case("9111-4.1-star", varying("*"), asked(fields=EN, made=2)),
    Case("9111-4.1-star-among", varying("Accept-Language, *"), asked(fields=EN, made=2)),
    Case("9111-4.1-unrelated-field", varying("Accept"), hit(fields=DE, made=1)),
    Case("9111-4.1-cookie", miss(says(FRESH, vary="Cookie"), fields={"Cookie": "a=1"}, made=1),
         miss(fields={"Cookie": "a=2"}, made=2), hit(fields={"Cookie": "a=1"}, made=1)),
    Case("9111-4.1-cookie-ignored",
         miss(says(FRESH, vary="Cookie"), fields={"Cookie": "a=1"}, made=1),
         miss(fields={"Cookie": "a=2"}, made=2), cookies=()),
    Case("9111-4.1-authorization", miss(says(FRESH, vary="Authorization"), user="ada", made=1),
         miss(user="bob", made=2), hit(user="ada", made=1)),
    Case("9111-4.1-user-told", miss(says(FRESH, vary="X-User-ID"), user="ada", made=1),
         miss(user="bob", made=2), hit(user="ada", made=1), shared=True),
    Case("9111-4.1-each-another", varying("X-Request-ID"), asked(fields=EN, made=2)),
    Case("9111-4.1-vary-changes", varying("Accept-Language"),
         miss(says(FRESH, vary="Accept"), fields=DE | {"Accept": "a/a"}, made=2),
         miss(fields=DE | {"Accept": "b/b"}, made=3)),
    Case("9111-4.1-vary-grows", miss(says("max-age=1"), fields=EN, made=1),
         miss(says(FRESH, vary="Accept-Language"), fields=EN, after=2, made=2),
         miss(fields=DE, made=3), hit(fields=EN, made=2)),
    Case("9110-12.5.3-codings",
         miss(says(FRESH, vary="Accept-Encoding"), fields={"Accept-Encoding": "gzip, br"}, made=1),
         hit(fields={"Accept-Encoding": "br,gzip"}, made=1),
         miss(fields={"Accept-Encoding": "gzip"}, made=2),
         miss(fields={"Accept-Encoding": "gzip, br;q=0, identity;q=0"}, made=3)),
    Case("9110-8.4-without-vary",
         miss(says(FRESH, content_encoding="gzip"), fields={"Accept-Encoding": "gzip"}, made=1),
         miss(made=2), hit(fields={"Accept-Encoding": "gzip"}, made=1)),
]  # fmt: skip
