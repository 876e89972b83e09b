"""Tokens of OpenID Connect issuers, verified with the keys that the issuers publish.

`issuer` reads OIDC_ISSUERS; `discovery` asks an issuer for its keys and `key_document` reads them;
`entry` is what all workers share of them and `keys` keeps it fresh; `claims` says what a token must
claim and who it proves; `authority` is the whole.
"""
