"""Live loggers, read back from their files: each step once, also after a kill, and the run itself unchanged."""

import json
import os
import signal
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_runner import spec, toy  # noqa: F401  (the fixture that registers the method `toy`)
from toy import Toy

from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.data.task import TaskData, load_task
from bench.runs import lifecycle
from bench.runs.context import RunContext
from bench.runs.loggers import LOGGERS, check_installed
from bench.runs.settings import RunSettings

STEPS = 20  # of each training, with a line of the log each
SAMPLED = [3, 5, 8, 10, 13, 15, 18, 20]  # an eighth of the steps is 2.5; samples are drawn when one is over
NAMES = {"loss/gap", "parts/noise", "parts/colour"}


@pytest.fixture(scope="module")
def data(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji", 20, 32)


def context(results: Path, data: TaskData, *loggers: str, **settings: Any) -> RunContext:
    chosen = RunSettings(device="cpu", metrics=("l1_truth",), log=loggers, **settings)
    return RunContext(spec().folder(results), spec(), data, chosen, Quiet())


def killed_at(step: int, context: RunContext) -> None:
    """The run in a process of its own, which kills itself in this step; it saves a checkpoint after every step."""
    pid = os.fork()
    if pid == 0:
        count, train = 0, Toy.train_step

        def train_step(self: Toy, batch: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return train(self, batch)

        Toy.train_step = train_step  # type: ignore[method-assign]
        try:
            settings = replace_settings(context.settings, checkpoint_seconds=0.0)
            lifecycle.run(replace(context, settings=settings))
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def replace_settings(settings: RunSettings, **values: Any) -> RunSettings:
    from msgspec.structs import replace as of_struct

    return of_struct(settings, **values)


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def expected(folder: Path, name: str) -> list[tuple[int, float]]:
    """Steps and values of a series as train.jsonl has them."""
    return [(int(line["step"]), line[name.removeprefix("loss/")]) for line in log_of(folder)]


def test_tensorboard_has_each_step_once_after_a_kill(tmp_path: Path, data: TaskData) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = context(tmp_path, data, "tensorboard")
    killed_at(13, run)
    assert 0 < len(log_of(run.folder)) < STEPS
    record = lifecycle.run(run)
    (file,) = (run.folder / "tensorboard").iterdir()
    events = EventAccumulator(str(file), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) == NAMES | {"metrics/l1_truth"}
    for name in NAMES:
        found = [(point.step, point.value) for point in events.Scalars(name)]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in expected(run.folder, name)]
    (measured,) = events.Scalars("metrics/l1_truth")
    assert (measured.step, measured.value) == (STEPS, pytest.approx(record.metrics["l1_truth"].value, rel=1e-6))
    assert [image.step for image in events.Images("samples")] == SAMPLED
    size = Image.open(run.folder / "samples.png").size
    assert {(image.width, image.height) for image in events.Images("samples")} == {size}


def test_tensorboard_has_the_settings_of_the_run(tmp_path: Path, data: TaskData) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    run = context(tmp_path, data, "tensorboard")
    lifecycle.run(run)
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    said = HParamsPluginData.FromString(content).session_start_info.hparams
    assert said["method"].string_value == "toy" and said["target_size"].number_value == 20
    assert said["config.batch_size"].number_value == 4 and said["config.guide"].string_value == "none"


def test_mlflow_goes_on_with_the_same_run(tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    run = context(tmp_path, data, "mlflow")
    killed_at(13, run)
    record = lifecycle.run(run)
    client = MlflowClient(tracking_uri=(tmp_path / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("emoji")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == f"emoji/20/toy/{run.folder.name}" and kept.info.status == "FINISHED"
    assert kept.data.params["method"] == "toy" and kept.data.params["config.batch_size"] == "4"
    for name in NAMES:
        history = client.get_metric_history(kept.info.run_id, name)
        assert [(point.step, point.value) for point in history] == expected(run.folder, name)
    assert kept.data.metrics["metrics/l1_truth"] == record.metrics["l1_truth"].value
    pictures = client.list_artifacts(kept.info.run_id, "samples")
    assert [Path(picture.path).name for picture in pictures] == [f"{step:09d}.png" for step in SAMPLED]


def test_wandb_has_each_step_once_after_a_kill(tmp_path: Path, data: TaskData) -> None:
    pytest.importorskip("wandb")
    run = context(tmp_path, data, "wandb")
    killed_at(13, run)
    record = lifecycle.run(run)
    (file,) = (run.folder / "wandb").glob("offline-run-*/*.wandb")
    history, config, summary = wandb_file(file)
    for name in NAMES:
        assert [(step, line[name]) for step, line in history if name in line] == expected(run.folder, name)
    assert [step for step, line in history if "samples/path" in line] == SAMPLED
    assert config["method"] == "toy" and config["config.batch_size"] == 4
    assert summary["metrics/l1_truth"] == record.metrics["l1_truth"].value


def wandb_file(path: Path) -> tuple[list[tuple[int, dict]], dict, dict]:
    """History by step, config and summary: records of protocol buffers in the framing of LevelDB's logs, which is 7
    bytes at the head of each block of 32 KiB's parts: checksum, length, kind (1 whole, 2 first, 3 middle, 4 last)."""
    from wandb.proto import wandb_internal_pb2 as protocol

    history: list[tuple[int, dict]] = []
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for payload in parts_joined(path.read_bytes()):
        record = protocol.Record.FromString(payload)
        lines = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
        if lines:
            history.append((record.history.step.num or lines["_step"], lines))
        for update in [*record.run.config.update, *record.config.update]:
            config["/".join(update.nested_key) or update.key] = json.loads(update.value_json)
        for update in record.summary.update:
            summary["/".join(update.nested_key) or update.key] = json.loads(update.value_json)
    return history, config, summary


def parts_joined(data: bytes) -> Iterator[bytes]:
    block, at, whole = 32768, 7, b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


def test_a_run_with_loggers_equals_one_without(tmp_path: Path, data: TaskData) -> None:
    for name in LOGGERS:
        pytest.importorskip(name)
    alone = lifecycle.run(context(tmp_path / "alone", data))
    run = context(tmp_path / "told", data, *LOGGERS)
    assert lifecycle.run(run).metrics == alone.metrics
    assert log_of(run.folder) == log_of(spec().folder(tmp_path / "alone"))
    assert isinstance(run.reporter, Quiet) and not [line for line in run.reporter.lines if "failed" in line]


def test_without_loggers_a_run_leaves_none_of_their_files(tmp_path: Path, data: TaskData) -> None:
    run = context(tmp_path, data)
    lifecycle.run(run)
    assert not {"tensorboard", "wandb", "mlflow.json", "samples"} & {path.name for path in run.folder.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_logger_that_fails_ends_no_run(tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from bench.runs.loggers.tensorboard import TensorBoard

    def fails(self: TensorBoard, line: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(TensorBoard, "line", fails)
    run = context(tmp_path, data, "tensorboard")
    assert lifecycle.run(run).status == "done"
    assert isinstance(run.reporter, Quiet)
    said = [line for line in run.reporter.lines if "tensorboard" in line]
    assert said == ["--log tensorboard failed (OSError: no space left); the run goes on without it"]


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runs.loggers.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"--log mlflow needs the package mlflow.*pip install 'i2i-bench\[log-mlflow\]'"
    ):
        check_installed(["mlflow"])
