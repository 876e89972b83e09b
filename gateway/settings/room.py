"""What the options of all rooms have in common."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class Room(BaseSettings):
    """The options of one room: they are read as a part of all, see `settings.Settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        defer_build=True,  # by itself it reads nothing, and so costs nothing
    )
