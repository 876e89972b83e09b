"""A `requests.Session` that carries nothing from one client to the next."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy

import requests

from gateway.transport.adapter import PooledAdapter


def make_session(size: int, idle_seconds: float = 30, ca_file: str = "") -> requests.Session:
    """A hardened Session with the gateway's adapter mounted for http and https.

    No cookie is ever stored, no proxy variable or `.netrc` read, no header added, no redirect
    followed by the adapter. size: most connections to one instance of the upstream.
    """
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = PooledAdapter(size, idle_seconds, ca_file)
    for scheme in list(session.adapters):
        session.mount(scheme, adapter)
    return session
