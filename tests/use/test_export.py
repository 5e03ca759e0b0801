"""`bench export`: what was written translates as the run does, in our program and in others."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from trained_runs import tiny_run

import bench
from bench.core.checksums import file_sha256
from bench.core.progress import Quiet
from bench.runs.settings import RunSettings
from bench.use import find
from bench.use.export import export
from bench.use.exported import NAME, load_exported
from bench.use.find import find_trained
from bench.use.load import load_run
from bench.use.trained import Trained

CPU = RunSettings(device="cpu")
SOURCES = np.random.default_rng(3).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def write(form: str, out: Path, method: str = "cyclegan", **fields: Any) -> tuple[Trained, dict[str, Any]]:
    run = tiny_run(method, **fields)
    trained = load_run(run.folder, CPU, Quiet())
    export(trained, run.folder / "record.json", form, out)
    return trained, json.loads((out / NAME).read_text())


@pytest.mark.parametrize(
    ("method", "fields"),
    [("cyclegan", {}), ("munit", {"guide": "reference"}), ("munit", {"guide": "noise"}), ("starganv2", {})],
)
def test_weights_alone_translate_as_the_run(method: str, fields: dict[str, str], tmp_path: Path) -> None:
    fields = {"classes": "domain"} if method == "starganv2" else fields
    trained, facts = write("safetensors", tmp_path / "out", method, **fields)
    again = load_exported(tmp_path / "out", CPU)
    guide = trained.guides(seed=4)[0]
    assert np.array_equal(again.translate(SOURCES, guide), trained.translate(SOURCES, guide))
    assert again.translate(SOURCES, again.guides(seed=4)[0]).shape == SOURCES.shape
    assert facts["bytes"] == (tmp_path / "out" / facts["file"]).stat().st_size
    assert (facts["method"], facts["data_license"], facts["resolution"]) == (method, "MIT", 32)
    assert facts["commit"] == trained.record.provenance.commit


def test_what_only_trains_is_left_out(tmp_path: Path) -> None:
    trained, facts = write("safetensors", tmp_path / "out")
    assert facts["networks"] == ["networks.G_A", "networks.G_B"]
    weights = sum(p.numel() for n in ("G_A", "G_B") for p in trained.method.networks[n].state_dict().values())
    assert abs(facts["bytes"] - 4 * weights) < 20_000


@pytest.mark.parametrize(
    ("method", "fields", "inputs"),
    [
        ("cyclegan", {}, {"source": "float32"}),
        ("cut", {}, {"source": "float32"}),
        ("munit", {"guide": "reference"}, {"source": "float32", "reference": "float32"}),
        ("munit", {"guide": "noise"}, {"source": "float32", "noise": "float32"}),
        ("stargan", {"classes": "domain"}, {"source": "float32", "label": "int64"}),
    ],
)
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
def test_another_program_gives_the_images_of_torch(
    form: str, method: str, fields: dict[str, str], inputs: dict[str, str], tmp_path: Path
) -> None:
    trained, facts = write(form, tmp_path / "out", method, **fields)
    assert {entry["name"]: entry["dtype"] for entry in facts["inputs"]} == inputs
    rng = torch.Generator().manual_seed(0)
    given = {"source": torch.from_numpy(SOURCES / np.float32(127.5) - 1)}
    more = {
        "reference": torch.rand(3, 3, 32, 32, generator=rng) * 2 - 1,
        "noise": torch.randn(3, 8, generator=rng),
        "label": torch.full((3,), next(iter(trained.labels), 0)),
    }
    if "noise" in inputs:
        (shape,) = (entry["shape"] for entry in facts["inputs"] if entry["name"] == "noise")
        more["noise"] = torch.randn(3, *shape[1:], generator=rng)
    given |= {name: more[name] for name in inputs if name != "source"}
    path = tmp_path / "out" / facts["file"]
    if form == "onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        made = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})[0]
    else:
        made = torch.jit.load(str(path))(*given.values()).numpy()
    if "noise" in inputs:
        gen_a, gen_b = ((trained.method.ema or trained.method.networks)[name] for name in ("gen_a", "gen_b"))
        with torch.no_grad():
            expected = gen_b.decode(gen_a.content_encoder(given["source"]), given["noise"])
    else:
        expected = trained.method.translate(given["source"], given.get("reference"), None, given.get("label"))
    assert np.abs(made - expected.numpy()).max() < 1e-3


def test_a_method_that_cannot_be_traced_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        bench.UserError, match=r"mnm cannot be exported as torchscript: .* depends on the values of its inputs"
    ):
        write("torchscript", tmp_path / "out", "mnm", classes="labels")
    assert not (tmp_path / "out").exists()


def test_a_changed_file_is_not_loaded(tmp_path: Path) -> None:
    _, facts = write("safetensors", tmp_path / "out")
    path = tmp_path / "out" / facts["file"]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(bench.UserError, match="does not match its checksum"):
        load_exported(tmp_path / "out", CPU)


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    trained, _ = write("safetensors", folder)
    again = load_exported(folder, CPU)
    assert np.array_equal(again.translate(SOURCES, again.guides()[0]), trained.translate(SOURCES, trained.guides()[0]))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("resolution", 64),
        ("channels", -1),
        ("classes", {"x": "y"}),
        ("task.resolution", 10**15),
        ("task.channels", 4),
        ("task.kinds", []),
        ("spec.seed", -1),
        ("spec.amp", "fp64"),
        ("spec.kind", "anchors"),
        ("spec.config.width", 10**15),
        ("spec.config.width", 9),
    ],
)
def test_a_translator_whose_facts_are_wrong_is_one_line(place: str, value: Any, tmp_path: Path) -> None:
    write("safetensors", tmp_path / "out")
    path = tmp_path / "out" / NAME
    facts = json.loads(path.read_text())
    *above, last = place.split(".")
    part = facts
    for key in above:
        part = part[key]
    part[last] = value
    path.write_text(json.dumps(facts))
    with pytest.raises(bench.UserError):
        load_exported(tmp_path / "out", CPU)


@pytest.mark.parametrize(
    "references",
    [
        {},
        {"references/classes": torch.zeros(0, dtype=torch.long)},
        {"references/classes": torch.full((3,), float("nan"))},
        {"references/classes": torch.zeros(3, dtype=torch.long)},
        {"references/classes": torch.zeros(3, dtype=torch.long), "references/images": torch.zeros(3, 3, 9, 9)},
    ],
    ids=["none", "empty", "not-numbers", "without-images", "images-of-another-side"],
)
def test_references_that_are_none_are_one_line(references: dict[str, torch.Tensor], tmp_path: Path) -> None:
    write("safetensors", tmp_path / "out", "munit", guide="reference")
    facts_path, path = tmp_path / "out" / NAME, tmp_path / "out" / "translator.safetensors"
    weights = {name: value for name, value in load_file(path).items() if not name.startswith("references/")}
    save_file({**weights, **references}, path)
    facts = json.loads(facts_path.read_text())
    facts_path.write_text(json.dumps({**facts, "sha256": file_sha256(path)}))
    with pytest.raises(bench.UserError, match=r"translator\.safetensors is damaged: it does not fit munit"):
        load_exported(tmp_path / "out", CPU)


def test_translators_that_ship_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "SHIPPED", tmp_path)
    with pytest.raises(bench.UserError, match="no translator ships with this version"):
        find_trained("shipped:ink-cyclegan", tmp_path)
    trained, _ = write("safetensors", tmp_path / "ink-cyclegan")
    assert find.shipped_names() == ["ink-cyclegan"]
    found = find_trained("shipped:ink-cyclegan", tmp_path).load(CPU, Quiet())
    assert np.array_equal(found.translate(SOURCES, found.guides()[0]), trained.translate(SOURCES, trained.guides()[0]))
    with pytest.raises(bench.UserError, match="did you mean 'ink-cyclegan'"):
        find_trained("shipped:ink-cycelgan", tmp_path)


@pytest.mark.parametrize("name", find.shipped_names())
def test_a_translator_that_ships_translates_what_its_record_says(name: str, tmp_path: Path) -> None:
    trained = find_trained(f"shipped:{name}", tmp_path).load(CPU, Quiet())
    facts = json.loads((find.SHIPPED / name / "translator.json").read_text())
    record = json.loads((find.SHIPPED / name / "record.json").read_text())
    assert record["status"] == "done" and record["identity"]["method"] == facts["method"] == name.split("-")[1]
    assert record["metrics"]["translated"]["value"] > 2 * (record["metrics"]["translated_source"]["value"] + 0.05)
    side = facts["resolution"]
    sources = np.random.default_rng(0).integers(0, 256, (2, 3, side, side), dtype=np.uint8)
    made = trained.translate(sources, trained.guides()[0])
    assert made.shape == sources.shape and made.dtype == np.uint8 and made.std() > 5


def test_what_ships_is_small() -> None:
    assert len(find.shipped_names()) == 3
    assert sum(path.stat().st_size for path in find.SHIPPED.rglob("*") if path.is_file()) < 8e6
