"""`bench study serve`: hands out the page on loopback and keeps the answers, one file a participant."""

from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path

from bench.core import loopback
from bench.core.errors import UserError
from bench.core.typed import decode, write_typed
from bench.study.answers import LARGEST, Rejected, check
from bench.study.files import Key, Sent, read_key


def server(study: Path, port: int) -> ThreadingHTTPServer:
    """A server on loopback; port 0 takes a free one. Answers land in study/answers/, inattentive ones too."""
    key = read_key(study)

    class Handler(loopback.Files):
        def do_POST(self) -> None:
            self.send_response(_keep(self, study, key))
            self.send_header("Content-Length", "0")
            self.end_headers()

    return loopback.server(study / "page", port, Handler)


def _keep(request: loopback.Files, study: Path, key: Key) -> HTTPStatus:
    if request.path != "/answers":
        return HTTPStatus.NOT_FOUND
    body = request.body(LARGEST)
    if body is None:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    try:
        sent = decode(body, Sent, "the answers", "they are left out")
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
