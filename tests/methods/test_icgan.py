"""IcGAN against the counts of the official code and hand calculations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.icgan import Discriminator, Encoder, Generator, IcGAN, IcGANConfig, one_hot, says
from bench.testing import CHECKS, check
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = (
    *("resolution=16", "width=4", "encoder_width=4", "latent=6", "z_hidden=8", "y_hidden=8", "batch_size=4"),
    *("budget_kimg=0.016", "gan_epochs=1", "encoder_epochs=1"),
)


def make(*settings: str) -> IcGAN:
    config = build(IcGANConfig, IcGAN.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return IcGAN(Task(config.resolution, 20, 6, 3), config)


def batches(model: IcGAN, data: TaskData, artifacts: Artifacts, n: int) -> list[dict[str, Batch]]:
    model.prepare(data, artifacts)
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    return [sampler.batch(step) for step in range(n)]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    """At 64 pixels, with noise of 100 numbers and the 18 attributes of CelebA."""
    with torch.device("meta"):
        G, D = Generator(3, 64, 64, 118), Discriminator(3, 64, 64, 18)
        Z, Y = Encoder(3, 32, 64, 4096, 100), Encoder(3, 32, 64, 512, 18)
        x = G(torch.empty(2, 100), torch.empty(2, 18))
        assert x.shape == (2, 3, 64, 64) and D(x, torch.empty(2, 18)).shape == (2,)
        assert Z(x).shape == (2, 100) and Y(x).shape == (2, 18)
    assert (count(G), count(D)) == (3_725_123, 2_803_393)
    assert (count(Z), count(Y)) == (18_278_244, 3_186_962)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_networks_for_other_sides_have_more_or_fewer_doublings(side: int) -> None:
    with torch.device("meta"):
        x = Generator(3, 4, side, 8)(torch.empty(2, 6), torch.empty(2, 2))
        assert x.shape == (2, 3, side, side) and Discriminator(3, 4, side, 2)(x, torch.empty(2, 2)).shape == (2,)


def test_initialisation_of_the_gan() -> None:
    network = Generator(3, 16, 64, 102)
    convs = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.ConvTranspose2d)])
    norms = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert convs.std().item() == pytest.approx(0.02, rel=0.02)
    assert norms.mean().item() == pytest.approx(1, abs=0.01) and norms.std().item() == pytest.approx(0.02, rel=0.2)


def test_cross_entropy_by_hand() -> None:
    """-log sigmoid(1) = 0.313262 and -log(1 - sigmoid(1)) = 1.313262."""
    logits = torch.tensor([1.0, 1.0])
    assert says(logits, True).item() == pytest.approx(0.313262, rel=1e-5)
    assert says(logits, False).item() == pytest.approx(1.313262, rel=1e-5)


def test_attributes_are_minus_one_and_one() -> None:
    assert one_hot(torch.tensor([1, 0, -1]), 2).tolist() == [[-1, 1], [1, -1], [-1, -1]]


def test_discriminator_loss_by_hand() -> None:
    model = make()
    model.networks["D"].eval()
    real, fake, y, wrong = images(4, 1), images(4, 2), one_hot(torch.tensor([0, 1, 0, 0]), 2), torch.randn(4, 2)
    p = [torch.sigmoid(model.networks["D"](*pair)) for pair in ((real, y), (real, wrong), (fake, y))]
    by_hand = -p[0].log().mean() - 0.5 * (1 - p[1]).log().mean() - 0.5 * (1 - p[2]).log().mean()
    assert model.discriminator_loss(real, fake, y, wrong).item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_the_gans_step_by_hand() -> None:
    """Eval mode, so that batch norms are the same in both computations; no step, so that weights are."""
    model, real = make(), images(4, 1)
    model.train(False)
    y = one_hot(torch.tensor([0, 1, 0, 0]), 2)
    model.minimise = lambda *_: None
    model.rng.manual_seed(3)
    losses = model._gan_step(real, y)
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    fake = model.networks["G"](z, y)
    logits = model.networks["D"](fake, y)
    assert losses["G"].item() == pytest.approx(-torch.sigmoid(logits).log().mean().item(), rel=1e-4)
    swapped = y.flip(1)
    assert losses["D"].item() == pytest.approx(model.discriminator_loss(real, fake, y, swapped).item(), rel=1e-4)


def test_the_encoders_step_by_hand() -> None:
    model, real = make(), images(4, 1)
    model.train(False)
    y = one_hot(torch.tensor([0, 1, 0, 0]), 2)
    model.minimise = lambda *_: None
    model.rng.manual_seed(3)
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    by_hand = {
        "Z": ((model.networks["Z"](model.networks["G"](z, y)) - z) ** 2).mean().item(),
        "Y": ((model.networks["Y"](real) - y) ** 2).mean().item(),
    }
    losses = model._encoder_step(real, y)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(by_hand, rel=1e-4)


def test_first_the_gan_is_trained_and_then_the_encoders(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model, steps = make(), []
    assert model.total_steps == 4 and model.gan_steps == 2
    plain = model.minimise
    model.minimise = lambda name, loss: (steps.append(name), plain(name, loss))  # type: ignore
    finished: list[Tensor] = []
    for batch in batches(model, tiny_task(), artifacts, 4):
        model.train_step(batch)
        finished.append(torch.cat([t.flatten().float() for t in model.networks["G"].state_dict().values()]))
    assert steps == ["D", "G", "D", "G", "Z", "Y", "Z", "Y"]
    assert torch.equal(finished[1], finished[3]), "neither weights nor averages of the generator move any more"
    assert all(network.training for network in model.networks.values())


def test_the_share_of_the_gan_and_the_budget_are_the_codes() -> None:
    with torch.device("meta"):
        model = IcGAN(Task(64, 6000, 400, 0), IcGANConfig())
    assert model.total_steps == 40 * 100 and model.gan_steps == 25 * 100
    rates = {name: (o.param_groups[0]["lr"], o.param_groups[0]["betas"]) for name, o in model.optimizers.items()}
    assert rates["G"] == rates["D"] == (2e-4, (0.5, 0.999)) and rates["Z"] == rates["Y"] == (1e-4, (0.1, 0.999))


def test_attributes_of_a_batch(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_labels=3)
    model = make("keep_labels=true", "batch_size=8", "balanced=true")
    (batch,) = batches(model, data, artifacts, 1)
    y = model.attributes(batch["images"])
    labels = [*data.source_train.labels, *data.target_train.labels]
    for row, index in zip(y.tolist(), batch["images"].index.tolist()):
        assert row[:2] == ([1, -1] if index < 20 else [-1, 1])
        assert [i for i, value in enumerate(row[2:]) if value == 1] == [labels[index]]


def test_translation_switches_the_domain_and_keeps_what_y_reads(tiny_task: MakeTask) -> None:
    model, x = make("keep_labels=true"), images(2, 1)
    model.train(False)
    nets: dict[str, Any] = model.networks
    nets["Y"] = lambda image: torch.tensor([[0.3, -0.2, 0.9, -0.1, -0.4], [0.1, -2.0, -0.3, 0.2, 0.1]])
    wanted = torch.tensor([[-1.0, 1.0, 1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, 1.0, 1.0]])
    assert torch.equal(model.translate(x), nets["G"](nets["Z"](x), wanted))
    wanted[:, :2] = torch.tensor([1.0, -1.0])
    assert torch.equal(model.translate_back(x, torch.Generator()), nets["G"](nets["Z"](x), wanted))


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(Unfit, match="another power of two"):
        IcGANConfig(resolution=48)
    with pytest.raises(UserError, match="batch_size=1: choose a whole number of at least 2"):
        IcGANConfig(batch_size=1)


@pytest.mark.parametrize("name", ["one_class_and_forty_classes_and_none", "losses_are_finite_detached_scalars"])
def test_classes_as_attributes_keep_the_promises(name: str, tmp_path: Any) -> None:
    (promise,) = (promise for promise in CHECKS if promise.__name__ == name)
    check(IcGAN, promise, tmp_path, {"keep_labels": True, "balanced": True})
