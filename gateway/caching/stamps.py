"""When answers were written and purged, as the embedded store's table `counters` has it.

base  made by chance with the files, so that no stamp or ticket of files that are gone means
      anything; stamps are counted from it
all   when something was purged by other names than its path
      others, of two bytes: when a path of this group was purged
"""

from __future__ import annotations

import os
import struct
from typing import Any

from lmdb import CorruptedError

from gateway.caching.names import as_bytes, group_of
from gateway.caching.store import Purge

#: The length of a stamp in bytes.
STAMP = 8
_NUMBER = struct.Struct(">Q")
_GROUP = struct.Struct(">H")
_NEVER = _NUMBER.pack(0)


def begin(transaction: Any) -> None:
    """Have a base, from now on."""
    transaction.put(b"base", b"\0" + os.urandom(7), overwrite=False)


def stamped(transaction: Any) -> bytes:
    """The stamp of a transaction, greater than those of all before; there has to be a base."""
    (base,) = _NUMBER.unpack(transaction.get(b"base"))
    return _NUMBER.pack(base + transaction.id())


def seen(transaction: Any, url: bytes) -> bytes | None:
    """When the files were made, and when something was purged by other names or by this path;
    None without a base. Raises CorruptedError."""
    base = transaction.get(b"base")
    if base is None:
        return None
    if len(base) != _NUMBER.size:
        raise CorruptedError("a counter is damaged")
    purged = (transaction.get(b"all"), transaction.get(_GROUP.pack(group_of(url))))
    return b"".join((base, *(stamp or _NEVER for stamp in purged)))


def announce(transaction: Any, purge: Purge) -> bytes | None:
    """Let nothing be kept that was asked for until now, and that a purge may mean. Returns a stamp
    that is greater than those of what there is; None if there was never anything."""
    if transaction.get(b"base") is None:
        return None
    one_path = purge.kind in ("url", "path")
    stamp = stamped(transaction)
    transaction.put(_GROUP.pack(group_of(as_bytes(purge.what))) if one_path else b"all", stamp)
    return stamp
