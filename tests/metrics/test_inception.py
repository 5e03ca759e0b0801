"""The path of fid and kid, with a stand-in of the right shape for the weights. Its values mean nothing."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from bench.core.errors import UserError
from bench.metrics import Images, Outputs, Reference, evaluate, weights


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the official file's shape and name."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path_factory.mktemp("weights") / weights.entry("inception").file
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def accepted(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sha256 = hashlib.sha256(stand_in.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.WEIGHTS, "inception", replace(weights.entry("inception"), sha256=sha256))
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(stand_in.parent))
    return stand_in


def images(rng: np.random.Generator, n: int, brightness: int) -> np.ndarray:
    return rng.integers(brightness, brightness + 100, (n, 3, 40, 40), dtype=np.uint8)


def reference(pixels: np.ndarray) -> Reference:
    labels = np.full(len(pixels), -1)
    return Reference(Images(pixels, labels), Images(pixels[:0], labels[:0]), Images(pixels[:0], labels[:0]))


def test_fid_and_kid_are_torch_fidelitys(accepted: Path, rng: np.random.Generator) -> None:
    made, real = images(rng, 8, 0), images(rng, 8, 90)
    found = evaluate(Outputs(made, np.full(8, -1)), reference(real), ["fid", "kid"])
    expected = calculate_metrics(
        input1=Bare(made), input2=Bare(real), fid=True, kid=True, kid_subsets=1, kid_subset_size=8, batch_size=4,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(accepted), cuda=False,
        num_workers=0, verbose=False, cache=False,
    )  # fmt: skip
    assert found["kid"].value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)
    assert found["fid"].value == pytest.approx(expected["frechet_inception_distance"], rel=1e-4)


class Bare(Dataset[torch.Tensor]):
    """torch-fidelity wants the images themselves, not tuples of one."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = torch.from_numpy(pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.pixels[index]


def test_without_the_file_the_reason_says_how_to_get_it(rng: np.random.Generator) -> None:
    found = evaluate(Outputs(images(rng, 4, 0), np.full(4, -1)), reference(images(rng, 4, 9)), ["fid"])["fid"]
    assert found.value is None
    assert "python -m bench weights get inception" in str(found.reason)


def test_a_file_with_another_sha256_is_an_error(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(stand_in.parent))
    with pytest.raises(UserError, match=r"has the sha256 .* not 6726825d"):
        evaluate(Outputs(images(rng, 4, 0), np.full(4, -1)), reference(images(rng, 4, 9)), ["kid"])
