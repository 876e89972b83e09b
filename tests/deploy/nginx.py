"""nginx with `deploy/nginx.conf`, as it is but for its placeholders, and a client for it."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.client import Connection
from tests.support.gunicorn import ROOT, free_port, wait_for

NAME = "gateway.test"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_PLACEHOLDER = re.compile(r"__[A-Z_]+?__")


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx and its folder: certificate, logs, temporary files."""

    folder: Path
    http: int
    https: int

    @property
    def log(self) -> str:
        """Its access log."""
        return (self.folder / "access.log").read_text()

    @property
    def errors(self) -> str:
        """Its error log, from warnings on."""
        return (self.folder / "error.log").read_text()

    @property
    def used_the_disk(self) -> bool:
        """Whether a body ever was put into a file: nginx notes that as a warning."""
        return "to a temporary file" in self.errors

    def connect(
        self, name: str = NAME, certificate: tuple[Path, Path] | None = None
    ) -> TlsConnection:
        """A connection of HTTP/1.1. certificate: of the client, and its key."""
        return TlsConnection(self, name, certificate)


class TlsConnection(Connection):
    """The step-by-step client over TLS, which believes nginx's certificate and no other."""

    def __init__(
        self, nginx: Nginx, name: str, certificate: tuple[Path, Path] | None = None
    ) -> None:
        super().__init__(nginx.https)
        trust = ssl.create_default_context(cafile=nginx.folder / "certificate.pem")
        if certificate is not None:
            trust.load_cert_chain(*certificate)
        self._sock = trust.wrap_socket(self._sock, server_hostname=name)


@contextlib.contextmanager
def start_nginx(
    folder: Path, gateway_socket: str, edit: Callable[[str], str] = str
) -> Iterator[Nginx]:
    """nginx on free ports; ended with the block. edit: what a reader changes in the file."""
    assert NGINX is not None
    nginx = Nginx(folder, free_port(), free_port())
    _make_certificate(folder)
    (folder / "temp").mkdir()
    (folder / "nginx.conf").write_text(edit(render(nginx, gateway_socket)))
    command = [NGINX, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    try:
        assert wait_for(lambda: process.poll() is not None or _listens(nginx.https), 20)
        assert process.poll() is None, (folder / "stderr").read_text()
        yield nginx
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def render(nginx: Nginx, gateway_socket: str) -> str:
    """The configuration with a test's values instead of those in `nginx.sed`."""
    usual = usual_values()
    values = {
        **usual,
        "__SERVER_NAME__": NAME,
        "__CERTIFICATE__": str(nginx.folder / "certificate.pem"),
        "__CERTIFICATE_KEY__": str(nginx.folder / "key.pem"),
        "__SOCKET__": gateway_socket,
        "__USER__": getpass.getuser(),
        "__RUN__": str(nginx.folder),
        "__LOGS__": str(nginx.folder),
        "__TEMP__": str(nginx.folder / "temp"),
        "__HTTP_PORT__": str(nginx.http),
        "__HTTPS_PORT__": str(nginx.https),
    }
    assert set(values) == set(usual)
    text = (ROOT / "deploy/nginx.conf").read_text()
    return _PLACEHOLDER.sub(lambda found: values.get(found[0], found[0]), text)


def usual_values() -> dict[str, str]:
    """What `nginx.sed` puts in the place of each placeholder."""
    lines = (ROOT / "deploy/nginx.sed").read_text().splitlines()
    parts = (line.split("#") for line in lines if line.startswith("s#"))
    return {placeholder: value for _, placeholder, value, _ in parts}


def placeholders() -> set[str]:
    """The placeholders of the configuration, less the word that explains them."""
    found = _PLACEHOLDER.findall((ROOT / "deploy/nginx.conf").read_text())
    return set(found) - {"__DOUBLE_UNDERSCORES__"}


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
