"""The small web server prints nothing, whatever is sent to it."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from bench.core.loopback import server


def test_no_request_prints_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_bytes(b"x" * 5_000_000)
    with server(tmp_path, 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = ("127.0.0.1", running.server_address[1])
        with socket.create_connection(address, 5) as client:
            client.sendall(b"GET /%00 HTTP/1.0\r\n\r\n")
            assert b" 400 " in client.recv(99)
        client = socket.create_connection(address, 5)
        client.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        client.recv(99)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # in the middle of the file, with a reset
        running.shutdown()
        thread.join()
    assert capfd.readouterr() == ("", "")
