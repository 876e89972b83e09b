"""State that the workers share.

`embedded` is a memory-mapped LMDB folder: exact across all workers of a machine without a server.
"""

from gateway.state.embedded import EmbeddedStore, store_folder

__all__ = ["EmbeddedStore", "store_folder"]
