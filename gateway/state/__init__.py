"""State that the workers share.

`embedded` is a memory-mapped LMDB folder: exact across all workers of a machine without a server.
`files` is what it keeps there, and the lock around every change.
"""

from gateway.state.embedded import EmbeddedStore, StoreError, StoreFull, store_folder

__all__ = ["EmbeddedStore", "StoreError", "StoreFull", "store_folder"]
