"""A run and the code that it was made with: what is done, resumed, refused and begun anew after an edit."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.core import registry
from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.core.registry import Entry
from bench.data.task import TaskData, load_task
from bench.runs import begin, frozen, lifecycle
from bench.runs.begin import set_aside
from bench.runs.context import RunContext
from bench.runs.outputs import OutputFiles, read_translations
from bench.runs.record import Record
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training.config import as_json, build


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = registry.entries
    entry = Entry("toy", "toy", "Toy", {"name": "toy"}, "test")
    monkeypatch.setattr(
        registry, "entries", lambda kind: {**ours(kind), **({"toy": entry} if kind == "methods" else {})}
    )


@pytest.fixture(scope="module")
def data(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji", 20, 32)


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on the code of this process has another hash."""
    return lambda name: monkeypatch.setattr(frozen, "source_sha256", lambda method, dataset: name * 8)


class Run:
    """The toy's run in a folder; each call is another start of it."""

    def __init__(self, folder: Path, data: TaskData) -> None:
        from toy import Toy

        self.folder, self._data = folder, data
        config = as_json(build(Toy.Config, Toy.presets, "cpu", []))
        self._spec = RunSpec("toy", "emoji", 20, 32, preset="cpu", config=config)
        self.said: list[str] = []

    def __call__(self, force: bool = False, **settings: Any) -> Record:
        reporter = Quiet()
        chosen = RunSettings(**{"device": "cpu", "metrics": ("l1_truth",), "checkpoint_seconds": 0.0, **settings})
        try:
            return lifecycle.run(RunContext(self.folder, self._spec, self._data, chosen, reporter), force=force)
        finally:
            self.said = reporter.lines

    def killed_at(self, step: int, **settings: Any) -> None:
        from toy import Toy

        plain = Toy.train_step
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(Toy, "train_step", lambda m, batch: plain(m, batch) if m.steps < step else 1 / 0)
            self(**settings)


@pytest.fixture
def run(tmp_path: Path, data: TaskData) -> Run:
    return Run(tmp_path / "run", data)


def test_a_finished_run_says_that_the_code_has_changed_since(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run()
    before = (run.folder / "record.json").read_bytes()
    run()
    assert run.said == [f"already done: {run.folder}"]
    edit("b")
    run()
    (line,) = run.said
    assert "the code has changed since (source aaaaaaaa" in line and "now source bbbbbbbb" in line and "--force" in line
    assert (run.folder / "record.json").read_bytes() == before


def test_force_runs_anew_and_keeps_every_earlier_number(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run()
    kept = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file() and path.name[0] != "."}
    edit("b")
    second = run(force=True)
    assert f"kept in {run.folder / 'earlier' / '1'}" in run.said[0]
    for name in kept.keys() - {"state.json"}:
        assert (run.folder / "earlier" / "1" / name).read_bytes() == kept[name], name
    assert second.provenance.source_sha256 == "b" * 8
    run(force=True)
    assert sorted(path.name for path in (run.folder / "earlier").iterdir()) == ["1", "2"]


def test_a_training_is_not_finished_by_other_code(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run.killed_at(12)
    edit("b")
    with pytest.raises(
        UserError, match=r"trained halfway by other code \(begun with source a+.* now source b+.*--force"
    ):
        run()
    assert not (run.folder / "record.json").exists()
    edit("a")
    assert run().status == "done", "the code that it was begun with may finish it"
    assert any("goes on from step 12" in line for line in run.said)


def test_force_begins_a_half_trained_run_anew(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run.killed_at(12)
    edit("b")
    record = run(force=True)
    assert record.provenance.source_sha256 == "b" * 8
    assert not any("goes on" in line for line in run.said)
    assert list((run.folder / "earlier" / "1").glob("checkpoint-*.pt"))


def test_a_run_that_has_trained_nothing_yet_is_begun_by_the_new_code(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run.killed_at(0)
    edit("b")
    record = run()
    assert json.loads((run.folder / "config.json").read_text())["source_sha256"] == "b" * 8
    assert not record.provenance.starts


def test_what_other_code_trained_is_measured_and_both_are_recorded(run: Run, edit: Callable[[str], None]) -> None:
    edit("a")
    run()
    (run.folder / "record.json").unlink()
    edit("b")
    record = run()
    assert any("trained and translated by other code" in line for line in run.said)
    assert record.provenance.source_sha256 == "b" * 8
    assert [start.source_sha256 for start in record.provenance.starts] == ["a" * 8, "b" * 8]


@pytest.mark.parametrize(("name", "first", "second"), [("threads", 1, 2), ("channels_last", False, True)])
def test_other_conditions_of_rounding_are_said_and_recorded(run: Run, name: str, first: Any, second: Any) -> None:
    run.killed_at(12, **{name: first})
    record = run(**{name: second})
    assert f"goes on with {name} {second} (was {first})" in run.said[0]
    assert [getattr(start, name) for start in record.provenance.starts] == [first, second]


def test_a_run_under_one_condition_lists_no_starts(run: Run) -> None:
    run.killed_at(12)
    assert not run().provenance.starts
    assert "starts" not in json.loads((run.folder / "record.json").read_text())["provenance"]


def test_a_run_from_before_conditions_were_recorded_is_refused_in_one_line(run: Run) -> None:
    run.killed_at(12)
    path = run.folder / "config.json"
    old = json.loads(path.read_text())
    del old["starts"]
    path.write_text(json.dumps({**old, "source_sha256": "0" * 64}))
    with pytest.raises(UserError, match="trained halfway by other code") as caught:
        run()
    assert "\n" not in str(caught.value)


def test_setting_aside_that_is_killed_anywhere_loses_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run()
    whole = {p.name: p.read_bytes() for p in run.folder.iterdir() if p.name not in begin.STAYS and p.name[0] != "."}
    plain = Path.rename
    for allowed in range(len(whole) + 1):
        left = [allowed]

        def rename(self: Path, target: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return plain(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            set_aside(run.folder)
        monkeypatch.setattr(Path, "rename", plain)
        if (run.folder / "record.json").exists():
            assert run().status == "done"
        kept = set_aside(run.folder)
        assert kept is not None
        assert {p.name: p.read_bytes() for p in kept.iterdir()} == whole
        for path in kept.iterdir():
            path.rename(run.folder / path.name)
        kept.rmdir()


def test_the_record_holds_the_hash_of_every_file_of_outputs(run: Run) -> None:
    record = run()
    assert list(record.outputs) == ["translated.npy"]
    written = (run.folder / "translated.npy").read_bytes()
    assert record.outputs["translated.npy"] == hashlib.sha256(written).hexdigest()


def test_outputs_that_are_not_what_was_written_are_not_measured(run: Run, data: TaskData) -> None:
    run()
    (run.folder / "record.json").unlink()
    images = np.load(run.folder / "translated.npy")
    images[100] ^= 0xFF
    np.save(run.folder / "translated.npy", images)  # a whole file of the right shape
    for read in (run, lambda: read_translations(run.folder), lambda: OutputFiles(run.folder).read(data)):
        with pytest.raises(UserError, match=r"translated.npy is damaged: its content does not match its checksum"):
            read()
    assert not (run.folder / "record.json").exists()
    (run.folder / "translated.npy").unlink()
    with pytest.raises(UserError, match=r"translated.npy is missing; .*--force"):
        run()
    assert run(force=True).status == "done"


def test_outputs_from_before_hashes_were_kept_are_read(run: Run) -> None:
    run()
    (run.folder / "outputs.json").unlink()
    assert read_translations(run.folder).shape == (382, 3, 32, 32)


@pytest.mark.parametrize("where", ["weights", "statistics", "outputs"])
def test_a_run_whose_last_step_spoils_it_has_diverged(run: Run, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of every step is finite."""
    from toy import Toy

    plain, translate = Toy.train_step, Toy.translate

    def step(self: Toy, batch: dict) -> dict:
        losses = plain(self, batch)
        if self.steps == 20 and where == "weights":
            with torch.no_grad():
                self.networks["G"].bias[0] = float("inf")
        if self.steps == 20 and where == "statistics":
            self.networks["G"].register_buffer("mean", torch.tensor([float("nan")]))
        return losses

    monkeypatch.setattr(Toy, "train_step", step)
    if where == "outputs":
        monkeypatch.setattr(Toy, "translate", lambda self, *a, **k: translate(self, *a, **k) * float("nan"))
    record = run()
    assert record.status == "diverged"
    assert "not finite" in (record.error or "")
    assert not (run.folder / "translated.npy").exists()
