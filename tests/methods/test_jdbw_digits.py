"""The claim of the batch-weight paper in small: classes survive a shift of mass, on held-out digits of 8x8 pixels."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from bench.data.task import Domain, TaskData, load_task
from bench.methods.jdbw import JDBW, JDBWConfig
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

CPU = Compute.choose("cpu")


def trained(variant: str, data: TaskData, seed: int) -> tuple[JDBW, dict[str, Tensor]]:
    config = build(JDBWConfig, JDBW.presets, "digits", [f"variant={variant}"])
    torch.manual_seed(seed)
    model = JDBW(Task(8, len(data.source_train), len(data.target_train), 4), config)
    model.rng.manual_seed(seed)
    sampler = Sampler(model.streams(data), data, seed, CPU)
    losses: dict[str, Tensor] = {}
    for step in range(model.total_steps):
        losses = model.train_step(sampler.batch(step))
    return model, losses


def pixels(images: Tensor) -> np.ndarray:
    return images[:, 0].flatten(1).numpy()


def agreement(model: JDBW, generator: str, source: Domain, real: Domain) -> float:
    """Share of translations that a classifier of real images takes for their source's class, a mean over classes."""
    classifier = LogisticRegression(max_iter=2000, class_weight="balanced")
    classifier.fit(pixels(CPU.images(real.images())), real.labels)
    images = CPU.images(source.images())
    noise = 2 * torch.rand(len(images), model.config.latent, generator=torch.Generator().manual_seed(0)) - 1
    with torch.no_grad():
        found = classifier.predict(pixels(model.networks[generator](images, noise)))
    return float(np.mean([(found[source.labels == c] == c).mean() for c in np.unique(source.labels)]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_batch_weight_keeps_classes_where_the_joint_discriminator_alone_does_not(seed: int) -> None:
    data = load_task("digits8", 650)
    (weighted, losses), (plain, without) = (trained(variant, data, seed) for variant in ("joint", "jd_only"))
    for generator, source, real in (
        ("Gxy", data.source_test, data.target_train),
        ("Gyx", data.target_test, data.source_train),
    ):
        with_weights, alone = (agreement(model, generator, source, real) for model in (weighted, plain))
        print(f"seed {seed} {generator}: {with_weights:.3f} with weights, {alone:.3f} without")
        assert with_weights > alone + 0.15
    for name, value in (("with", losses), ("without", without)):
        zeros = [f"{value[f'class_mass/0/{domain}']:.3f}" for domain in ("source", "target")]
        print(f"seed {seed}, masses of zeros {name} weights: {' and '.join(zeros)}")
    assert losses["mass_gap"] < 0.15, "the masses of each class meet"
    assert losses["class_mass/0/source"] == pytest.approx(0.475, abs=0.1), "halfway between 0.25 and 0.7"
    assert without["mass_gap"] > 0.4
