"""State that the workers share.

`embedded` is a memory-mapped LMDB folder: exact across all workers of a machine without a server.
`files` is what it keeps there, and the lock around every change. `shared` is what workers tell
each other, over whichever store; `election` picks one of them.
"""

from gateway.state.embedded import EmbeddedStore, StoreError, StoreFull, store_folder
from gateway.state.fallback import FallbackState
from gateway.state.shared import EmbeddedState, MemoryState, SharedState, Value

__all__ = [
    "EmbeddedState",
    "EmbeddedStore",
    "FallbackState",
    "MemoryState",
    "SharedState",
    "StoreError",
    "StoreFull",
    "Value",
    "store_folder",
]
