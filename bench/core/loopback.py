"""A small web server that only this machine can reach."""

import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.text import plain

HOST = "127.0.0.1"
CONNECTIONS = 64  # at one time; those beyond are closed at once
LONGEST = 120.0  # seconds that one connection may last
LENGTH = re.compile(r"[0-9]{1,9}")


class Files(SimpleHTTPRequestHandler):
    """Hands out the files of a folder, lists none, and prints nothing."""

    timeout = 30  # seconds that a connection may stay silent

    def parse_request(self) -> bool:
        """Answers only a browser that was sent to this very address, and only pages that came from here.

        Else any page of the web could read from here, by a name of its own that leads to this machine (DNS rebinding),
        or send to here (a form on another site).
        """
        if not super().parse_request():
            return False
        hosts = [f"{name}:{self.connection.getsockname()[1]}" for name in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and origin in (None, *(f"http://{host}" for host in hosts)):
            return True
        self.send_error(403)
        return False

    def body(self, largest: int) -> bytes | None:
        """What was sent; None where that is nothing, or says no length, or is more than so many bytes."""
        length = self.headers.get("Content-Length", "")
        if not LENGTH.fullmatch(length) or not 0 < int(length) <= largest:
            return None
        return self.rfile.read(int(length))

    def reply(self, status: int, body: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        """Answers with these bytes, which are not kept by the browser."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def send_head(self) -> Any:
        try:
            return super().send_head()
        except ValueError:  # a path that no file can have, such as one with a zero byte
            self.send_error(400)
            return None

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def list_directory(self, path: Any) -> None:
        self.send_error(404)


class _Server(ThreadingHTTPServer):
    """A thread a connection, and neither more connections nor longer ones than are of use."""

    request_queue_size = CONNECTIONS  # a page asks for many pictures at once

    def __init__(self, address: tuple[str, int], handler: Callable[..., Files]) -> None:
        super().__init__(address, handler)
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(LONGEST, _cut, [request])
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line; nothing for a client that goes away in the middle, which is no error of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"a request failed: {type(error).__name__}: {plain(str(error))}", file=sys.stderr)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def server(folder: Path, port: int, handler: type[Files] = Files) -> ThreadingHTTPServer:
    """Hands out the files of `folder`; port 0 takes a free one."""
    try:
        return _Server((HOST, port), partial(handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is none of 0 to 65535"
        raise UserError(f"port {port} cannot be used ({reason}); choose another --port") from None


def forever(running: ThreadingHTTPServer, farewell: str) -> None:
    """Serves until Ctrl-C, then says the last line."""
    with running:
        host, port = running.server_address[:2]
        print(f"http://{host!s}:{port}/ (Ctrl-C ends)", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print(farewell)
