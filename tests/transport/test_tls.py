"""https backends: always verified, and a stream that was cut never looks complete."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.bodies import RequestBody
from gateway.errors import BodyFailed, ConnectFailed, ConnectTimeout
from gateway.testing import Hang, ScriptedUpstream
from gateway.transport.adapter import PooledAdapter
from tests.support.messages import response
from tests.support.tls import Authority, read_request, serve_tls
from tests.transport.conftest import Sender


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority the gateway is told to trust."""
    return Authority(tmp_path_factory.mktemp("ours"))


def _sender(ca_file: Path | str) -> Sender:
    return Sender(PooledAdapter(size=1, ca_file=str(ca_file)))


def _answer(sock: ssl.SSLSocket) -> None:
    while True:
        _head, body = read_request(sock)
        sock.sendall(response(b"200 OK", body=b"%d" % len(body)))


def test_certificate_of_the_trusted_authority_is_accepted(authority: Authority) -> None:
    send = _sender(authority.file)
    with serve_tls(authority.server_context("127.0.0.1"), _answer) as url:
        assert send(url) == send(url) == b"0"
        assert send.adapter._pools[url, ""]._idle[-1].reused
        send.adapter.close()


def test_other_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    with serve_tls(authority.server_context("127.0.0.1"), _answer) as url:
        for ca_file in (other.file, ""):
            with pytest.raises(ConnectFailed, match="certificate verify failed") as failed:
                _sender(ca_file)(url)
            assert failed.value.retry_safe


def test_certificate_of_another_host_is_refused(authority: Authority) -> None:
    with serve_tls(authority.server_context("127.0.0.2"), _answer) as url:
        with pytest.raises(ConnectFailed, match="IP address mismatch"):
            _sender(authority.file)(url)


def test_old_protocol_versions_are_refused(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serve_tls(context, _answer) as url, pytest.raises(ConnectFailed):
        _sender(authority.file)(url)


def test_missing_file_of_authorities_is_no_connection(authority: Authority) -> None:
    with serve_tls(authority.server_context("127.0.0.1"), _answer) as url:
        with pytest.raises(ConnectFailed):
            _sender("/nowhere/authorities.pem")(url)


def test_silent_handshake_is_bounded(upstream: ScriptedUpstream) -> None:
    upstream.script([Hang()], early=True)
    began = time.monotonic()
    with pytest.raises(ConnectTimeout):
        _sender("")(upstream.url.replace("http:", "https:"), read=0.2)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_large_body_passes_whole(
    authority: Authority, version: ssl.TLSVersion, wait: float
) -> None:
    """The session tickets of TLS 1.3 come first: they are no early answer."""
    context = authority.server_context("127.0.0.1")
    context.maximum_version = version
    send = _sender(authority.file)
    with serve_tls(context, _answer) as url:
        body = RequestBody(_Slow(wait), 300_000)
        assert send(url, "POST", body=body) == b"300000"
        send.adapter.close()


class _Slow(io.RawIOBase):
    """A stream that takes its time."""

    def __init__(self, wait: float) -> None:
        self._wait = wait

    def read(self, size: int = -1) -> bytes:
        time.sleep(self._wait)
        return bytes(size)


def test_early_answer_is_heard_inside_tls(authority: Authority) -> None:
    def refuse(sock: ssl.SSLSocket) -> None:
        sock.recv(1)
        sock.sendall(response(b"413 Too Large", body=b"no"))
        time.sleep(0.5)

    send = _sender(authority.file)
    with serve_tls(authority.server_context("127.0.0.1"), refuse) as url:
        answer = send.open(url, "POST", body=RequestBody(_Slow(0.05), 10_000_000))
        assert (answer.status_code, answer.content) == (413, b"no")


def _until_close(end: Callable[[ssl.SSLSocket], object]) -> Callable[[ssl.SSLSocket], None]:
    def play(sock: ssl.SSLSocket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it?")
        end(sock)

    return play


def test_body_until_close_ends_with_tlss_own_end(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    with serve_tls(context, _until_close(lambda sock: sock.unwrap())) as url:
        assert _sender(authority.file)(url) == b"all of it?"


def test_stream_that_was_cut_is_no_whole_body(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    with serve_tls(context, _until_close(lambda sock: sock.shutdown(1))) as url:
        with pytest.raises(BodyFailed):
            _sender(authority.file)(url)
