"""State that the workers share.

`embedded` is a memory-mapped LMDB folder: exact across all workers of a machine without a server.
"""

from gateway.state.embedded import EmbeddedStore, StoreError, StoreFull, store_folder

__all__ = ["EmbeddedStore", "StoreError", "StoreFull", "store_folder"]
