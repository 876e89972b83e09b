"""A real DNS server for tests: dnsmasq on a free port of 127.0.0.1, always ended."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.support.gunicorn import free_port, suspend, wait_for

BINARY = shutil.which("dnsmasq", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
needs_dnsmasq = pytest.mark.skipif(BINARY is None, reason="there is no dnsmasq here")


class DnsServer:
    """Knows `.test` and refuses the rest. It can be stopped, started with other records on the
    same port, and made to hang. Every record has a time to live of `ttl` seconds."""

    def __init__(self, folder: Path, ttl: int = 1) -> None:
        self._hosts = folder / "hosts"
        self._settings = folder / "settings"
        self._settings.touch()  # none: what the machine has set up is not ours
        self._ttl = ttl
        self._process: subprocess.Popen[bytes] | None = None
        self._options: list[str] = []
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    def start(self, hosts: str = "", *, options: Sequence[str] = ()) -> None:
        """Start with these lines of a hosts file; options: dnsmasq's own, for other records."""
        assert BINARY is not None
        self._hosts.write_text(hosts)
        self._process = subprocess.Popen(
            [
                BINARY,
                *["--keep-in-foreground", "--no-resolv", "--no-hosts"],
                *["--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}"],
                *["--local=/test/", f"--local-ttl={self._ttl}", f"--user={getpass.getuser()}"],
                *["--pid-file=", f"--conf-file={self._settings}"],
                *[f"--addn-hosts={self._hosts}", *options],
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert wait_for(self._answers), "dnsmasq does not answer"

    def _answers(self) -> bool:
        question = dns.message.make_query("nothing.test", "A")
        with contextlib.suppress(dns.exception.DNSException, OSError):
            reply = dns.query.udp(question, "127.0.0.1", 0.2, self.port)
            return reply.rcode() == dns.rcode.NXDOMAIN
        return False

    def change(self, hosts: str) -> None:
        """Have these addresses from now on."""
        assert self._process is not None
        self._hosts.write_text(hosts)
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it: nothing listens any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def hang(self) -> None:
        """Keep the port and answer nothing."""
        assert self._process is not None
        suspend(self._process)

    def go_on(self) -> None:
        """End the hanging."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def dns_server(ttl: int = 1) -> Iterator[DnsServer]:
    """A server that is not started yet, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="gw-dns-") as folder:
        server = DnsServer(Path(folder), ttl)
        try:
            yield server
        finally:
            server.stop()
