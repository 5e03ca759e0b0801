"""The life of a run, in this process, with a method that trains in milliseconds on real images."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core import registry
from bench.core.errors import UserError
from bench.core.files import digest
from bench.core.progress import Reporter
from bench.core.registry import Entry
from bench.data.montage import LABELS
from bench.data.task import TaskData, load_task, subset_order
from bench.runs import budget, lifecycle, measure
from bench.runs.build import build_method
from bench.runs.context import RunContext
from bench.runs.record import Record
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.runs.translate import Translator
from bench.training import checkpoint
from bench.training.compute import Compute
from bench.training.config import as_json, build
from bench.training.prefetch import Prefetch

CPU = Compute.choose("cpu")
STEP_FLOP = 2 * 2 * (4 * 3 * 3 * 32 * 32)  # of the toy: forth and back, 4 images, a 1x1 conv, two a multiply-add


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = registry.entries

    def entries(kind: str) -> dict[str, Entry]:
        extra = {"toy": Entry("toy", "toy", "Toy", {"name": "toy"}, "test")} if kind == "methods" else {}
        return {**ours(kind), **extra}

    monkeypatch.setattr(registry, "entries", entries)


@pytest.fixture(scope="module")
def data(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji", 20, 32)


def spec(seed: int = 0, **fields: object) -> RunSpec:
    from toy import Toy

    config = build(Toy.Config, Toy.presets, "cpu", [f"{key}={value}" for key, value in fields.items()])
    return RunSpec("toy", "emoji", 20, 32, seed=seed, preset="cpu", config=as_json(config))


def run(results: Path, data: TaskData, spec: RunSpec, outside: Any = None, **settings: Any) -> tuple[Path, Record]:
    """The folder and the record of a run."""
    folder = spec.folder(results)
    chosen = RunSettings(device="cpu", metrics=("l1_truth",), **settings)
    return folder, lifecycle.run(RunContext(folder, spec, data, chosen, Reporter()), outside)


def test_a_run_leaves_what_the_readme_says(tmp_path: Path, data: TaskData) -> None:
    folder, record = run(tmp_path, data, spec())
    assert folder == tmp_path / "runs" / "emoji" / "20" / "toy" / f"0-{spec().config_hash}"
    names = {path.name for path in folder.iterdir() if not path.name.startswith((".", "checkpoint"))}
    assert names == {
        *("config.json", "record.json", "state.json", "train.jsonl", "cost.json", "outputs.json"),
        *("samples.png", "translated.npy", "parts.csv", "parts.png", "nearest.png"),
    }
    assert len(list(folder.glob("checkpoint-*.pt"))) == 1
    assert np.load(folder / "translated.npy").shape == (382, 3, 32, 32)
    assert record.task.subset_sha256 == data.subset_sha256
    assert record.task.manifest["counts"]["noto"] == {"train": 1524, "test": 382}
    assert record.task.manifest["content_sha256"] == data.source_train.bank.manifest["content_sha256"]
    assert record.cost.images_seen == 80
    assert record.cost.parameters == 3 * 3 + 3
    assert record.cost.multiply_adds == 3 * 3 * 32 * 32  # a 1x1 conv of 3 to 3 channels
    assert record.cost.train_flop == 20 * STEP_FLOP
    assert record.cost.prepare_flop == 0
    assert 0 < record.cost.train_cpu_seconds < 60
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 21))


def test_a_budget_of_compute_buys_whole_steps(tmp_path: Path, data: TaskData) -> None:
    asked = replace(spec(), budget_tflop=7.9 * STEP_FLOP / 1e12)
    del asked.config["budget_kimg"]
    folder, record = run(tmp_path, data, asked)
    assert record.cost.images_seen == 7 * 4
    assert record.cost.train_flop == 7 * STEP_FLOP
    assert record.identity.budget_tflop == asked.budget_tflop
    assert json.loads((folder / "budget.json").read_text())["rehearsed"] == 10


def test_a_budget_of_compute_too_small_for_a_step_is_one_line(tmp_path: Path, data: TaskData) -> None:
    asked = replace(spec(), budget_tflop=0.5 * STEP_FLOP / 1e12)
    with pytest.raises(UserError, match=r"reach: preparation takes 0 TFLOP and a step 1\.47e-07; name a larger"):
        run(tmp_path, data, asked)


def test_a_run_that_goes_on_keeps_the_steps_that_its_budget_bought(tmp_path: Path, data: TaskData) -> None:
    """budget.json decides once there is a checkpoint; without one it is found anew."""
    asked = replace(spec(), budget_tflop=6 * STEP_FLOP / 1e12)
    folder = asked.folder(tmp_path)
    artifacts = RunContext(folder, asked, data, RunSettings(device="cpu"), Reporter())
    folder.mkdir(parents=True)
    assert budget.kimg(artifacts, artifacts.artifacts()) == 6 * 4 / 1000
    known = json.loads((folder / "budget.json").read_text())
    (folder / "budget.json").write_text(json.dumps({**known, "rehearsal_flop": known["rehearsal_flop"] * 2}))
    assert budget.kimg(artifacts, artifacts.artifacts()) == 6 * 4 / 1000
    (folder / "budget.json").write_text(json.dumps({**known, "rehearsal_flop": known["rehearsal_flop"] * 2}))
    (folder / "checkpoint-000000001-x.pt").touch()
    assert budget.kimg(artifacts, artifacts.artifacts()) == 3 * 4 / 1000


def test_a_budget_of_compute_is_part_of_what_the_run_is() -> None:
    """And a run without one keeps the name that it had before there were such budgets."""
    assert len({replace(spec(), budget_tflop=tflop).config_hash for tflop in (None, 1.0, 2.0)}) == 3
    assert spec().config_hash == digest(
        {key: value for key, value in vars(spec()).items() if key not in ("preset", "budget_tflop")}
    )[:10]  # fmt: skip


def test_nearest_real_images_of_a_copier(tmp_path: Path, data: TaskData) -> None:
    """nearest.png: an output beside its nearest training image, which for the copier is the same image."""
    copies = data.target_train.images(np.arange(382) % 20)
    copier = RunSpec("copier", "emoji", 20, 32, kind="external", config={})
    folder, _ = run(tmp_path, data, copier, outside=copies)
    drawn = np.asarray(Image.open(folder / "nearest.png"))[:, LABELS:]
    rows = np.linspace(0, 381, 10).astype(int)
    first, second, third = (drawn[4 + 68 * i : 4 + 68 * i + 64] for i in range(3))
    for column, row in enumerate(rows):
        image = data.target_train.images([row % 20])[0].transpose(1, 2, 0).repeat(2, 0).repeat(2, 1)
        left = 4 + 68 * column
        assert (first[:, left : left + 64] == image).all()
        assert (second[:, left : left + 64] == image).all()
    assert not (first == third).all()


def test_the_measured_value_is_that_of_the_stored_images(tmp_path: Path, data: TaskData) -> None:
    folder, record = run(tmp_path, data, spec())
    outputs = np.load(folder / "translated.npy").astype(float)
    truth = np.stack([data.target_test.images([i])[0] for i in data.truth]).astype(float)
    assert record.metrics["l1_truth"].value == pytest.approx(np.abs(outputs - truth).mean() / 255, rel=1e-9)


def test_equal_seeds_equal_results_and_other_seeds_others(tmp_path: Path, data: TaskData) -> None:
    first = np.load(run(tmp_path / "a", data, spec())[0] / "translated.npy")
    again = np.load(run(tmp_path / "b", data, spec())[0] / "translated.npy")
    other = np.load(run(tmp_path / "a", data, spec(seed=1))[0] / "translated.npy")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_finished_run_is_not_repeated(tmp_path: Path, data: TaskData, capsys: pytest.CaptureFixture) -> None:
    folder, record = run(tmp_path, data, spec())
    before = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*.*")}
    assert run(tmp_path, data, spec())[1] == record
    assert {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*.*")} == before
    assert "already done" in capsys.readouterr().out


def test_divergence_is_recorded_and_keeps_the_last_good_checkpoint(tmp_path: Path, data: TaskData) -> None:
    folder, record = run(tmp_path, data, spec(nan_at=12), checkpoint_seconds=0.0)
    assert record.status == "diverged"
    assert "gap" in record.error
    assert "step 12" in record.error
    assert record.metrics == {}
    assert len((folder / "parts.csv").read_text().splitlines()) == 12, "the way to the divergence is drawn, too"
    saved = sorted(path.name for path in folder.glob("checkpoint-*.pt"))
    assert saved[-1].startswith("checkpoint-000000011-")
    assert not (folder / "translated.npy").exists()


def test_pictures_of_the_log_are_whole_after_a_kill(
    tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy import Toy

    alone, _ = run(tmp_path / "alone", data, spec())
    with monkeypatch.context() as patch:
        plain = Toy.train_step
        patch.setattr(Toy, "train_step", lambda self, batch: plain(self, batch) if self.steps < 12 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path / "killed", data, spec(), checkpoint_seconds=0.0)
    killed, _ = run(tmp_path / "killed", data, spec())
    assert (killed / "parts.csv").read_bytes() == (alone / "parts.csv").read_bytes()
    assert len((killed / "parts.csv").read_text().splitlines()) == 21
    assert (killed / "parts.png").read_bytes() == (alone / "parts.png").read_bytes()


def test_data_that_changed_under_a_begun_run_is_refused(tmp_path: Path, data: TaskData) -> None:
    folder, _ = run(tmp_path, data, spec())
    frozen = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**frozen, "manifest_sha256": "0"}))
    (folder / "record.json").unlink()
    with pytest.raises(UserError, match="other data"):
        run(tmp_path, data, spec())


@pytest.mark.parametrize("guide", ["noise", "reference"])
def test_guided_methods_have_diverse_outputs(guide: str, tmp_path: Path, data: TaskData) -> None:
    folder, _ = run(tmp_path, data, spec(guide=guide))
    diverse = np.load(folder / "diverse.npy")
    assert diverse.shape == (100, 10, 3, 32, 32)
    assert not np.array_equal(diverse[0, 0], diverse[0, 1])


def test_held_out_target_images_are_translated_back_where_a_method_can(
    tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy import Toy

    monkeypatch.setattr(Toy, "translate_back", lambda self, images, rng: -images)
    folder, _ = run(tmp_path, data, spec())
    assert np.array_equal(np.load(folder / "backward.npy"), 255 - data.target_test.images())


def test_references_come_from_the_training_subset_alone(data: TaskData) -> None:
    method = build_method(spec(guide="reference"), data, CPU)
    seen = []
    plain = method.translate

    def watch(source, reference=None, rng=None, label=None):
        seen.append(((reference + 1) * 127.5).round().byte().numpy())
        return plain(source, reference)

    method.translate = watch  # type: ignore[method-assign]
    Translator(method, data, 0, CPU, Reporter()).held_out()
    allowed = {image.tobytes() for image in data.target_train.images()}
    assert {image.tobytes() for batch in seen for image in batch} <= allowed


def test_samples_show_source_output_and_truth(tmp_path: Path, data: TaskData) -> None:
    folder, _ = run(tmp_path, data, spec())
    whole = np.asarray(Image.open(folder / "samples.png"))
    picture = whole[:, LABELS:]
    first = np.kron(data.source_test.images([0])[0].transpose(1, 2, 0), np.ones((2, 2, 1), np.uint8))
    truth = np.kron(data.target_test.images([data.truth[0]])[0].transpose(1, 2, 0), np.ones((2, 2, 1), np.uint8))
    assert np.array_equal(picture[4:68, 4:68], first)
    assert np.array_equal(picture[-68:-4, 4:68], truth)
    names = whole[:, :LABELS].min(axis=(1, 2)) < 128  # the lines of pixels that hold letters
    assert all(names[68 * row : 68 * row + 68].any() for row in range(3)) and not names[:20].any()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_the_earlier_state(tmp_path: Path, data: TaskData) -> None:
    """A real disk of 300 kB: checkpoints fit, the translations (382 x 3 x 32 x 32 = 1.2 MB) do not."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with pytest.raises(OSError, match=r"No space|written"):
            run(disk, data, spec())
        folder = spec().folder(disk)
        names = {path.name for path in folder.iterdir()}
        assert not any(name.endswith(".tmp") for name in names)
        assert not names & {"translated.npy", "cost.json", "record.json"}
        assert checkpoint.load_latest(folder, print)["tally"]["step"] == 20  # type: ignore[index]
        shutil.copytree(folder, spec().folder(tmp_path / "larger"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    _, record = run(tmp_path / "larger", data, spec())
    _, undisturbed = run(tmp_path / "undisturbed", data, spec())
    assert record.metrics == undisturbed.metrics


def test_classifiers_learn_from_at_most_so_many_images_of_a_domain(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure.reference_of(data)
    assert np.array_equal(whole.source_train.pixels[:], data.source_train.images())
    monkeypatch.setattr(measure, "POOL", 50)
    few = measure.reference_of(data)
    assert few.target_pool is not None
    assert len(few.source_train) == len(few.target_pool) == 50
    first = subset_order(data.source_train.bank, data.source_train.name, 0)[:50]
    assert {image.tobytes() for image in few.source_train.pixels} == {
        image.tobytes() for image in data.source_train.bank.images[first]
    }


def test_a_killed_run_with_prefetched_batches_goes_on_as_one_left_alone_without(
    tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toy import Toy

    alone, _ = run(tmp_path / "alone", data, spec())
    monkeypatch.setattr("bench.runs.training.batches", Prefetch)  # as on a GPU
    with monkeypatch.context() as patch:
        plain = Toy.train_step
        patch.setattr(Toy, "train_step", lambda self, batch: plain(self, batch) if self.steps < 12 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path / "killed", data, spec(), checkpoint_seconds=0.0)
    killed, _ = run(tmp_path / "killed", data, spec())
    assert (killed / "translated.npy").read_bytes() == (alone / "translated.npy").read_bytes()
    assert (killed / "train.jsonl").read_bytes() == (alone / "train.jsonl").read_bytes()
