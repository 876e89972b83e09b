"""The table of settings, made from their declarations."""

from __future__ import annotations

from settings import Settings


def settings_table() -> str:
    """Markdown: name, default and meaning of every setting."""
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{name}` | {_default(field.default)} | {field.description} |")
    lines.append(
        "| `<NAME>_URL` | | Instances of the service NAME, comma-separated, or who knows them:"
        " `dns://`, `srv://`, `file://`, `consul://`, `eureka://`. Empty: none. |"
    )
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ("", (), {}):
        return ""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{value}`"
