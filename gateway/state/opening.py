"""Choosing the store that workers tell each other things through, by the settings."""

from __future__ import annotations

from gateway.state.embedded import EmbeddedStore
from gateway.state.fallback import FallbackState
from gateway.state.shared import EmbeddedState, MemoryState, SharedState


def open_state(store: EmbeddedStore | None) -> SharedState:
    """The state of one application; nothing is opened before it is used. store: None keeps it in
    this worker's memory."""
    memory = MemoryState()
    if store is None:
        return memory
    return FallbackState(EmbeddedState(store), memory, name="lmdb")
