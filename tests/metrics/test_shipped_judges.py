"""The judges that ship: every machine has the same for the embedded data sets, and a value names its judge."""

import json
from pathlib import Path

import pytest
import ship_judges

from bench.core.checksums import file_sha256
from bench.core.progress import Quiet
from bench.data.task import load_task
from bench.metrics.evaluate import each
from bench.metrics.measurement import Measurement
from bench.runs.measure import anchor
from bench.training.artifacts import SHIPPED, Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop

RUNS = Path(__file__).resolve().parents[2] / "results" / "reference" / "runs"


@pytest.fixture(autouse=True)
def no_artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2I_BENCH_ARTIFACTS", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


@pytest.mark.parametrize("dataset, resolution", ship_judges.TASKS)
def test_the_judge_of_an_embedded_data_set_ships(dataset: str, resolution: int, no_artifacts: Path) -> None:
    assert ship_judges.folder_of(dataset, resolution).parent == SHIPPED / "judge"
    assert not no_artifacts.exists()


def test_no_shipped_judge_is_left_over() -> None:
    assert len(list((SHIPPED / "judge").iterdir())) == len(ship_judges.TASKS)


@pytest.mark.parametrize("dataset", ["fashion", "ink", "styles"])
def test_the_shipped_anchors_are_what_this_machine_measures(dataset: str, no_artifacts: Path) -> None:
    """An image whose probability lies at the threshold may fall on either side of it on another processor."""
    (record,) = (RUNS / dataset / "25" / "truth").glob("*/record.json")
    stored = json.loads(record.read_text())["metrics"]["translated"]
    outputs, reference = anchor("truth", load_task(dataset, 25, 32, 0))
    artifacts = Artifacts(no_artifacts, Loop(Compute.choose("cpu"), Quiet()))
    ((_, value),) = each(Measurement(outputs, reference, "cpu", artifacts=artifacts), ["translated"])
    assert value.value == pytest.approx(stored["value"], abs=2.5 / value.n_gen)
    assert value.network == stored["network"] == artifacts.sha256("judge")
    folder = ship_judges.folder_of(dataset, 32)
    assert value.network == file_sha256(folder / "weights.safetensors")


def test_every_judged_value_of_the_reference_results_is_by_the_shipped_judge() -> None:
    shipped = {file_sha256(folder / "weights.safetensors") for folder in (SHIPPED / "judge").iterdir()}
    records = [json.loads(path.read_text()) for path in RUNS.glob("*/*/*/*/record.json")]
    judged = [record["metrics"][name] for record in records for name in ("translated", "truth_retrieved", "kd_judge")
              if record["metrics"].get(name, {}).get("value") is not None]  # fmt: skip
    assert len(judged) > 100
    assert {value.get("network") for value in judged} <= shipped
