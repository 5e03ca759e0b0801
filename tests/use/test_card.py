"""`bench card`: what the Hub's own reader finds in a model card, and what an upload sends to a stand-in for the Hub."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from trained_runs import tiny_run

from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.metrics.data import Value
from bench.runs.record import Record
from bench.runs.settings import RunSettings
from bench.use.card import card
from bench.use.hub import write_repository
from bench.use.load import load_run

METRICS = {
    "kd_effnet": Value(0.0125, 0.01, 0.015, 310, 310),
    "fd_effnet": Value(1e-7),
    "class_kept": Value(None, reason="the data have no labels | really"),
}


def record(**changes: Any) -> Record:
    return msgspec.structs.replace(tiny_run("cyclegan").record, metrics=METRICS, **changes)


def test_the_hubs_reader_finds_licence_data_and_metrics() -> None:
    read = ModelCard(card(record()))
    assert read.data.license == "mit"
    assert read.data.pipeline_tag == "image-to-image"
    assert "cyclegan" in read.data.tags
    results = read.data.eval_results
    assert {(r.metric_type, r.metric_value, r.dataset_type) for r in results} == {
        ("kd_effnet", 0.0125, "ink"), ("fd_effnet", 1e-7, "ink"),
    }  # fmt: skip
    assert model_index_to_eval_results(read.data.to_dict()["model-index"])


def test_own_data_are_named_without_the_folders_above_theirs(tmp_path: Path) -> None:
    name = f"folder:{tmp_path / 'private' / 'pets'}:source=cat:target=dog"
    identity = msgspec.structs.replace(record().identity, dataset=name)
    text = card(record(identity=identity))
    assert "`folder:pets:source=cat:target=dog`: Own images" in text
    assert "private" not in text and str(tmp_path) not in text


def test_people_read_intervals_reasons_and_where_it_comes_from() -> None:
    text = card(record())
    assert "| kd_effnet x1000 ↓ | 12.5 | 10 to 15 | 310 / 310 |" in text
    assert "| fd_effnet ↓ | 0.0000001 | none | 0 / 0 |" in text
    assert r"- `class_kept`: not measured, the data have no labels \| really" in text
    assert "on: MIT (<https://github.com/microsoft/fluentui-emoji>)" in text
    assert f"commit `{record().provenance.commit}`" in text
    assert "20 target training images" in text
    assert "\n\n\n\n" not in text


def test_without_metrics_it_says_so() -> None:
    text = card(msgspec.structs.replace(record(), metrics={}))
    assert "None was measured." in text
    assert ModelCard(text).data.license == "mit"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload of small files needs; keeps what was sent."""

    sent: list[tuple[str, bytes]] = []
    refuses = False

    def do_GET(self) -> None:
        self._answer({"error": "there is no such repository"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.sent.append((self.path, body))
        address = f"http://127.0.0.1:{self.server.server_address[1]}/me/ink"
        if self.path == "/api/repos/create":
            self._answer({"url": address, "name": "me/ink"}, 403 if self.refuses else 200)
        elif "/preupload/" in self.path:
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for f in json.loads(body)["files"]]  # fmt: skip
            self._answer({"files": files})
        elif "/commit/" in self.path:
            self._answer({"commitUrl": f"{address}/commit/{'0' * 40}", "commitOid": "0" * 40})
        else:
            self._answer({})

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.sent, Hub.refuses = [], False
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def push(folder: Path, hub: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_TOKEN": "hf_of_nobody", "HF_HOME": str(folder)}
    command = [sys.executable, "-m", "bench", "card", str(tiny_run("cyclegan").folder), "--push", "me/ink"]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)


def test_an_upload_sends_the_card_the_network_and_the_record(hub: str, tmp_path: Path) -> None:
    done = push(tmp_path, hub)
    assert done.returncode == 0, done.stderr
    assert f"{hub}/me/ink/commit/" in done.stdout
    (created,) = (json.loads(body) for path, body in Hub.sent if path == "/api/repos/create")
    assert created.get("visibility") == "private" or created["private"] is True  # as the version of the library spells
    (body,) = (body for path, body in Hub.sent if "/commit/" in path)
    lines = [json.loads(line) for line in body.splitlines()]
    files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
    assert {*files} == {"README.md", "translator.json", "translator.safetensors", "record.json", "samples.png"}
    assert base64.b64decode(files["README.md"]).startswith(b"---\nlicense: mit\n")


def test_a_hub_that_refuses_is_one_line(hub: str, tmp_path: Path) -> None:
    Hub.refuses = True
    done = push(tmp_path, hub)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --push me/ink: the Hub refuses: ") and done.stderr.count("\n") == 1


def test_a_readme_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    trained = load_run(tiny_run("cyclegan").folder, RunSettings(device="cpu"), Quiet())
    with pytest.raises(UserError, match=r"README\.md is there already; choose another --out"):
        write_repository(trained, tiny_run("cyclegan").folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
