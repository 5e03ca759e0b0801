"""A method that cannot do a task says so in one line with the mend, before anything is built; all others run."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import Unfit
from bench.core.progress import Reporter
from bench.core.registry import entries, find
from bench.data.task import TaskData, load_task
from bench.runs import lifecycle
from bench.runs.context import RunContext
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training.config import as_json, build

METHODS = list(entries("methods"))
TASKS = ("emoji", "srmnist", "digits8", "folder", "emoji_opponent")


def unlabelled(folder: Path) -> Path:
    """Real emoji as a user's own images: no classes, 16 sources and 9 targets, some of them held out."""
    emoji = load_task("emoji", 20, 32)
    for domain, images in (("source", emoji.source_train), ("target", emoji.target_train)):
        for split, rows in (("train", range(12)), ("test", range(12, 15))):
            (folder / domain / split).mkdir(parents=True)
            for row in rows:
                pixels = images.images([row])[0].transpose(1, 2, 0)
                Image.fromarray(pixels).save(folder / domain / split / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def tasks(bank_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskData]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        own = f"folder:{unlabelled(tmp_path_factory.mktemp('own'))}"
        names = {name: own if name == "folder" else name for name in TASKS}
        return {name: few(load_task(full, 9, 8 if name == "digits8" else 32)) for name, full in names.items()}


def few(data: TaskData) -> TaskData:
    """The same task with three held-out images a domain."""
    source, target = (replace(domain, rows=domain.rows[:3]) for domain in (data.source_test, data.target_test))
    return replace(data, source_test=source, target_test=target, truth=np.full(3, -1))


def spec(method: str, data: TaskData, *settings: str, preset: str = "smoke") -> RunSpec:
    entry = find("methods", method)
    cls = entry.load()
    config = build(cls.Config, cls.presets, preset, [f"resolution={data.resolution}", *settings])
    return RunSpec(entry.name, data.dataset, data.target_size, data.resolution, preset=preset, config=as_json(config))


def reason(method: str, data: TaskData, *settings: str, preset: str = "smoke") -> str | None:
    """As a sweep asks: building the Config may already tell."""
    try:
        return lifecycle.unfit(spec(method, data, *settings, preset=preset), data)
    except Unfit as error:
        return str(error)


CANNOT = {  # networks that halve 8 pixels too often; labels where there are none; two domains where three are needed
    **{(method, "digits8"): "choose" for method in ("cyclegan", "deepi2i", "jdbw", "mnm", "starganv2")},
    **{(method, "digits8"): "choose" for method in ("cut", "dmit", "drit", "ganhopper", "icgan", "nicegan", "udit")},
    **{(method, "digits8"): "choose" for method in ("pix2pix", "pix2pix-cascade", "ugatit", "unsb", "uvcgan2")},
    **{("pix2pix", name): "or an unpaired method" for name in ("srmnist", "folder", "emoji_opponent")},
    **{("pix2pix-cascade", name): "choose pix2pix" for name in ("emoji", "srmnist", "folder")},
    ("udit", "folder"): "set judge=effnet",
    ("mnm-zero-pair", "digits8"): "choose",
    ("funit", "folder"): "choose modes:K or domain",
    **{("mnm-zero-pair", name): "use mnm" for name in ("emoji", "srmnist", "folder")},
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_every_cell_runs_or_says_what_mends_it(
    method: str, task: str, tasks: dict[str, TaskData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    data, budget = tasks[task], "budget_kimg=0.004"
    why = reason(method, data, budget)
    if (method, task) in CANNOT:
        assert why is not None and CANNOT[method, task] in why
        assert "\n" not in why
        return
    assert why is None
    settings = RunSettings(device="cpu", metrics=())
    record = lifecycle.run(RunContext(tmp_path / "run", spec(method, data, budget), data, settings, Reporter()))
    assert record.status == "done"


@pytest.mark.parametrize("preset", ["cpu", "paper"])
@pytest.mark.parametrize("method", METHODS)
def test_asking_costs_no_network(
    method: str, preset: str, tasks: dict[str, TaskData], monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = find("methods", method).load()
    monkeypatch.setattr(cls, "__init__", lambda *_: pytest.fail("a network was built"))
    why = reason(method, tasks["emoji_opponent"], preset=preset)
    assert why is None or "choose" in why  # munit's and sdit's paper networks want 64 pixels


@pytest.mark.parametrize("side", [8, 16, 20, 24, 32, 36, 40, 48, 64, 80, 96])
@pytest.mark.parametrize("method", METHODS)
def test_a_resolution_is_refused_or_runs(method: str, side: int, tmp_path: Path) -> None:
    """No third way: a network that fails at a side that was taken."""
    from bench.testing import Case

    settings: dict[str, Any] = {"resolution": side}
    if method == "deepi2i":
        settings |= {"pretrained": "none"}
    try:
        case = Case(find("methods", method).load(), tmp_path, settings)
    except Unfit as error:
        assert "choose" in str(error)
        return
    case.train(0, 1)
    assert case.translate().shape[-1] == side


@pytest.mark.parametrize(
    ("method", "settings", "task", "says"),
    [
        ("funit", ("classes=labels",), "folder", "no labels; choose modes:K or domain"),
        ("starganv2", ("classes=labels",), "folder", "no labels; choose modes:K or domain"),
        ("mnm", ("classes=labels",), "folder", "no labels; choose classes=domain"),
        ("balagan", ("classes=modes:13",), "folder", "13 modes of the source are not possible"),
        ("sdit", ("classes=modes:2", "target_modes=10"), "folder", "10 modes of the target are not possible"),
        ("balagan", ("classes=vae-modes:2",), "24 px", "divisible by 16"),
        ("deepi2i", ("embeddings=1",), "emoji", "embeddings=1 are too few for 2 classes; choose none or more"),
        ("mnm-zero-pair", ("companion=true", "arch=thesis"), "seen pair", "set companion=false"),
        ("munit", ("batch_weight=true", "resolution=24"), "24 px", "power of 2"),
    ],
)
def test_reasons(
    method: str, settings: tuple[str, ...], task: str, says: str, tasks: dict[str, TaskData], bank_cache: Path
) -> None:
    if task == "seen pair":
        data = load_task("emoji_opponent:theta1-rgb", 9, 32)
    else:
        data = load_task("emoji", 9, 24) if task == "24 px" else tasks[task]
    why = reason(method, data, *settings)
    assert why is not None and says in why


def test_one_source_without_a_label(tasks: dict[str, TaskData]) -> None:
    data = tasks["emoji"]
    labels = data.source_train.bank.labels.copy()
    labels[data.source_train.rows[5]] = -1
    bank = replace(data.source_train.bank, labels=labels)
    data = replace(data, source_train=replace(data.source_train, bank=bank))
    for method in ("funit", "mnm", "sdit"):
        assert "1 source images have no label; choose" in (reason(method, data, "classes=labels") or "")


def test_no_domain_is_paired_with_all_others(tasks: dict[str, TaskData]) -> None:
    data = tasks["emoji_opponent"]
    (name, third), *_ = data.others.items()
    data = replace(data, others={name: replace(third, rows=third.rows[:0])})
    assert "mnm-zero-pair needs one, mnm does not" in (reason("mnm-zero-pair", data) or "")


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_target(method: str, tasks: dict[str, TaskData]) -> None:
    data = tasks["emoji_opponent"]
    data = replace(data, target_train=replace(data.target_train, rows=data.target_train.rows[:0]))
    assert "no target training images" in (reason(method, data) or "")


def test_grey_images_and_an_rgb_encoder() -> None:
    from bench.testing import tiny_task

    why = reason("mnm-zero-pair", tiny_task(channels=1, resolution=64), "arch=vgg", "rgb_init=vgg16", "width=64")
    assert "rgb_init=random" in (why or "")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_command_line_says_it_in_one_line_and_writes_nothing(dry: tuple[str, ...], tmp_path: Path) -> None:
    own = unlabelled(tmp_path / "own")
    words = ("run", "--method", "funit", "--target-size", "5", "--preset", "smoke", "--resolution", "32")
    results = ("--device", "cpu", "--results", str(tmp_path / "results"))
    done = bench(*words, "--dataset", f"folder:{own}", *results, *dry)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line == "error: funit cannot do this: classes=labels: this data set has no labels; choose modes:K or domain"
    assert not (tmp_path / "results").exists()


def test_a_target_folder_whose_images_are_all_held_out(tmp_path: Path) -> None:
    own = unlabelled(tmp_path / "own")
    for image in (own / "target" / "train").iterdir():
        image.unlink()
    done = bench("run", "--method", "balagan", "--dataset", f"folder:{own}", "--target-size", "1", "--device", "cpu")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "the domain target has 0 images to train on" in line


@pytest.mark.parametrize("anchor", ["truth", "truth-blurred"])
def test_an_anchor_of_truths_is_refused_where_there_are_none(anchor: str, tasks: dict[str, TaskData]) -> None:
    wanted = RunSpec(anchor, "srmnist", 9, 32, kind="anchor")
    found = lifecycle.unfit(wanted, tasks["srmnist"])
    assert found == "no held-out source of srmnist has a ground truth; leave this anchor row out"
    assert lifecycle.unfit(wanted, replace(tasks["srmnist"], truth=np.zeros(3, np.int64))) is None
