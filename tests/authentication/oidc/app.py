"""The gateway of the issuer tests: views that tell who asked, and which worker answers."""

from __future__ import annotations

import os

from gateway import Service, create_app, current_identity, public, require

things = Service("things", __name__, url_prefix="/things", upstream="")
require()(things)


@things.get("/worker")
def worker() -> dict[str, object]:
    """Who asks, and whom."""
    identity = current_identity()
    assert identity is not None
    return {"pid": os.getpid(), "subject": identity.subject, "kind": identity.kind}


@things.get("/open")
@public
def anybody() -> dict[str, object]:
    """Who asks, if that is known, and whom."""
    identity = current_identity()
    return {"pid": os.getpid(), "subject": identity and identity.subject}


app = create_app(services=[things])
