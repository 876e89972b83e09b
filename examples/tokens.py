"""Development tokens, and the secret they are signed with: `python -m examples.tokens reader`."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET_FILE = ROOT / ".run" / "jwt-secret"
TIMEOUT = 15
"""Seconds that the making of one token may take."""


class TokenError(Exception):
    """No token could be made; the text says why."""


def has_own_keys(environment: Mapping[str, str]) -> bool:
    """Whether the environment already says which keys sign tokens."""
    return bool(environment.get("JWT_SECRET") or environment.get("JWT_KEYS"))


def kept_secret(file: Path = SECRET_FILE) -> str | None:
    """The development secret of an earlier run, or None."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def keep_secret(file: Path = SECRET_FILE) -> str:
    """The development secret, made at the first call: tokens outlive a restart of the gateway."""
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o700)
    secret = kept_secret(file)
    if secret is None:
        secret = secrets.token_urlsafe(48)
        _write_private(file, secret)
    file.chmod(0o600)
    return secret


def make_token(role: str, environment: Mapping[str, str]) -> str:
    """One token for that role, made by the gateway's own command line. Raises TokenError."""
    command = [sys.executable, "-m", "flask", "gateway", "token", "--role", role]
    try:
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TokenError(f"no token within {TIMEOUT} seconds") from None
    token = result.stdout.strip()
    if result.returncode != 0 or len(token.split()) != 1:
        raise TokenError(result.stderr.strip() or "the gateway's command line printed no token")
    return token


def main() -> int:
    """Print one token for the role on the command line, and nothing else, to stdout."""
    role = sys.argv[1] if len(sys.argv) > 1 else "reader"
    environment = dict(os.environ)
    if not has_own_keys(environment):
        secret = kept_secret()
        if secret is None:
            print("There is no development secret yet: start `make run` first.", file=sys.stderr)
            return 1
        environment["JWT_SECRET"] = secret
    try:
        print(make_token(role, environment))
    except TokenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner ever could read, whole or not at all."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text + "\n")
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
