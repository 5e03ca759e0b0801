"""A small web server that only this machine can reach."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.core.errors import UserError

HOST = "127.0.0.1"


class Files(SimpleHTTPRequestHandler):
    """Hands out the files of a folder, lists none, and prints nothing."""

    timeout = 30  # seconds that a connection may stay silent

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
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int, handler: type[Files] = Files) -> ThreadingHTTPServer:
    """Hands out the files of `folder`; port 0 takes a free one."""
    try:
        return _Server((HOST, port), partial(handler, directory=str(folder)))
    except OSError as error:
        raise UserError(f"port {port} cannot be used ({error.strerror}); choose another --port") from None


def forever(running: ThreadingHTTPServer, farewell: str) -> None:
    """Serves until Ctrl-C, then says the last line."""
    with running:
        host, port = running.server_address[:2]
        print(f"http://{host!s}:{port}/ (Ctrl-C ends)", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print(farewell)
