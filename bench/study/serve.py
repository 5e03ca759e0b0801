"""`bench study serve`: hands out the page on loopback and keeps the answers, one file a participant."""

import re
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.core import loopback
from bench.core.errors import UserError
from bench.core.typed import decode, write_typed
from bench.study.answers import LARGEST, Rejected, check
from bench.study.files import Key, Sent, read_key

LENGTH = re.compile(r"[0-9]{1,9}")


def server(study: Path, port: int) -> ThreadingHTTPServer:
    """A server on loopback; port 0 takes a free one. Answers land in study/answers/, inattentive ones too."""
    key = read_key(study)

    class Handler(loopback.Files):
        def do_POST(self) -> None:
            self.send_response(_keep(self, study, key))
            self.send_header("Content-Length", "0")
            self.end_headers()

    return loopback.server(study / "page", port, Handler)


def _keep(request: SimpleHTTPRequestHandler, study: Path, key: Key) -> HTTPStatus:
    length = request.headers.get("Content-Length", "")
    if request.path != "/answers":
        return HTTPStatus.NOT_FOUND
    if not LENGTH.fullmatch(length) or not 0 < int(length) <= LARGEST:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    try:
        sent = decode(request.rfile.read(int(length)), Sent, "the answers", "they are left out")
        check(sent, key)
    except UserError:
        return HTTPStatus.BAD_REQUEST
    except Rejected as reason:
        if not str(reason).startswith("inattentive"):
            return HTTPStatus.BAD_REQUEST
    path = study / "answers" / f"{sent.participant}.json"
    if path.exists():
        return HTTPStatus.CONFLICT
    write_typed(path, sent)
    return HTTPStatus.NO_CONTENT
