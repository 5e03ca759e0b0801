"""The small web server prints nothing, whatever is sent to it."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core import loopback
from bench.core.errors import UserError
from bench.core.loopback import server


def asking(path: str, address: tuple[str, int], host: str = "127.0.0.1", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.0\r\nHost: {host}:{address[1]}\r\n{more}\r\n".encode()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    (tmp_path / "index.html").write_text("the page")
    with server(tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield "127.0.0.1", running.server_address[1]
        running.shutdown()
        thread.join()


def answer(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, 5) as client:
        client.sendall(request)
        try:
            return client.recv(12)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    ("host", "more", "code"),
    [
        ("127.0.0.1", "", b"200"),
        ("localhost", "", b"200"),
        ("a.name.that.leads.here", "", b"403"),
        ("127.0.0.1", "Origin: http://elsewhere\r\n", b"403"),
        ("127.0.0.1", "Origin: null\r\n", b"403"),
        ("127.0.0.1", "Origin: http://127.0.0.1:{port}\r\n", b"200"),
    ],
)
def test_only_this_address_and_pages_from_it_are_answered(
    address: tuple[str, int], host: str, more: str, code: bytes
) -> None:
    request = asking("/index.html", address, host, more.format(port=address[1]))
    assert answer(address, request).endswith(code)


def test_a_request_without_a_host_or_for_another_port_is_refused(address: tuple[str, int]) -> None:
    assert answer(address, b"GET /index.html HTTP/1.0\r\n\r\n").endswith(b"403")
    assert answer(address, asking("/index.html", ("", 1))).endswith(b"403")


def test_connections_are_bounded_in_number(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address, 5) for _ in range(loopback.CONNECTIONS)]
    assert answer(address, asking("/index.html", address)) == b""
    for client in silent:
        client.close()
    until = time.monotonic() + 10
    while not answer(address, asking("/index.html", address)):
        assert time.monotonic() < until


def test_connections_are_bounded_in_time(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "LONGEST", 0.2)
    with socket.create_connection(address, 10) as client:
        assert client.recv(1) == b""


def test_an_error_of_ours_is_one_line(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(self: loopback.Files) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(loopback.Files, "send_head", broken)
    assert answer(address, asking("/index.html", address)) == b""
    assert capfd.readouterr().err == "a request failed: RuntimeError: a fault\n"


def test_no_request_prints_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_bytes(b"x" * 5_000_000)
    with server(tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        address = ("127.0.0.1", running.server_address[1])
        with socket.create_connection(address, 5) as client:
            client.sendall(asking("/%00", address))
            assert b" 400 " in client.recv(99)
        client = socket.create_connection(address, 5)
        client.sendall(asking("/index.html", address))
        client.recv(99)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # in the middle of the file, with a reset
        running.shutdown()
        thread.join()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("port", [-1, 65536, 7 * 10**10])
def test_a_port_that_is_none_is_one_line(port: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"port {port} cannot be used"):
        loopback.server(tmp_path, port)
