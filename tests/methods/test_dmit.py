"""DMIT against the counts of the official code and hand calculations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.dmit import DMIT, DMITConfig, divergence
from bench.methods.dmit.networks import (
    MOST_CONTENT,
    ContentEncoder,
    Decoder,
    Discriminator,
    ImageDiscriminator,
    PooledBlock,
    ShiftedNorm,
    StyleEncoder,
)
from bench.testing import CHECKS, check
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=16", "width=4", "downs=1", "encoder_blocks=1", "decoder_blocks=1", "batch_size=2")


def make(*settings: str) -> DMIT:
    """In eval mode: no spectral norm moves, so that a network called twice says the same."""
    config = build(DMITConfig, DMIT.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    model = DMIT(Task(config.resolution, 20, 6, 3), config)
    model.train(False)
    return model


def first_batch(model: DMIT, data: TaskData, artifacts: Artifacts) -> dict[str, Batch]:
    model.prepare(data, artifacts)
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def l1(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().mean().item()


def test_parameter_counts_of_the_official_code() -> None:
    """Of 64 channels, two labels and styles of 8 numbers."""
    with torch.device("meta"):
        assert count(Decoder(3, 64, 2, 6, 2, 8, 0.5)) == 7_776_835
        assert count(StyleEncoder(3, 64, 8)) == 1_343_120
        assert count(ContentEncoder(3, 64, 2, 4)) == 5_383_360
        assert count(Discriminator(256, 256, 4, 2, MOST_CONTENT)) == 17_904_897
        assert count(ImageDiscriminator(3, 64, 2, 2)) == 749_794


def test_the_paper_preset_has_these_networks_and_shapes() -> None:
    with torch.device("meta"):
        model = DMIT(Task(128, 100, 10, 0), DMITConfig())
        counts = {name: count(net) for name, net in model.networks.items()}
        model.train(False)
        x, label = torch.empty(1, 3, 128, 128), torch.empty(1, 2)
        content = model.networks["enc_content"](x)
        mean, _ = model.networks["enc_style"](x)
        maps = [model.networks["D_content"](content, label), *model.networks["D_drawn"](x, label)]
        assert model.networks["decoder"](content, label, mean).shape == x.shape
    assert counts == {
        "enc_content": 5_383_360,
        "enc_style": 1_343_120,
        "decoder": 7_776_835,
        "D_content": 17_904_897,
        "D_encoded": 749_794,
        "D_drawn": 749_794,
    }
    assert content.shape == (1, 256, 32, 32) and mean.shape == (1, 8)
    assert [m.shape[-1] for m in maps] == [1, 16, 8]


@pytest.mark.parametrize(("resolution", "blocks"), [(128, 4), (64, 3), (32, 2), (256, 4)])
def test_the_content_discriminator_has_as_many_blocks_as_its_map_allows(resolution: int, blocks: int) -> None:
    assert DMITConfig().content_blocks_at(resolution) == blocks


def test_the_code_shifts_the_norm_by_less_than_one_and_never_scales_it() -> None:
    norm, x = ShiftedNorm(3, 2), torch.randn(2, 3, 4, 4)
    code = torch.tensor([[1.0, 0.0], [50.0, -50.0]])
    by_hand = F.instance_norm(x) + torch.tanh(code @ norm.shift.weight.T + norm.shift.bias)[:, :, None, None]
    assert torch.allclose(norm(x, code), by_hand, atol=1e-6)
    assert (norm(x, code) - F.instance_norm(x)).abs().max() < 1 + 1e-5


def test_every_layer_with_weights_is_spectrally_normalised() -> None:
    networks = [Decoder(3, 4, 1, 1, 2, 8, 0.5), StyleEncoder(3, 4, 8), ContentEncoder(3, 4, 1, 1)]
    for network in [*networks, ImageDiscriminator(3, 4, 2, 2).eval()]:
        network.eval()
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
                assert largest == pytest.approx(1, abs=0.1), "after the power iterations of its making"


def test_weights_start_normal_and_biases_at_zero() -> None:
    network = Decoder(3, 32, 1, 1, 2, 8, 0.5)
    raw = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("original")])
    assert raw.std().item() == pytest.approx(0.02, rel=0.03)
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert all((p == 0).all() for p in biases)


def test_a_pooled_block_by_hand() -> None:
    block, x, code = PooledBlock(2, 3, 2).eval(), torch.randn(1, 2, 4, 4), torch.randn(1, 2)
    norms: Any = block.norms
    hidden = block.first(F.leaky_relu(norms[0](x, code), 0.2))
    hidden = block.second(F.leaky_relu(norms[1](hidden, code), 0.2))
    by_hand = F.avg_pool2d(hidden, 2) + block.shortcut(F.avg_pool2d(x, 2))
    assert torch.allclose(block(x, code), by_hand)


def test_divergence_by_hand() -> None:
    """Mean 1, variance 4: (1 + 4 - 1 - log 4) / 2 = 1.306853, summed over two numbers."""
    assert divergence(torch.ones(1, 2), torch.full((1, 2), 4.0).log()).item() == pytest.approx(2.613706, rel=1e-5)


def test_image_discriminator_loss_by_hand() -> None:
    model, x, fake = make(), images(2, 1), images(2, 2)
    own, wanted = torch.eye(2), torch.eye(2).flip(0)
    judge: Any = model.networks["D_drawn"]
    by_hand = 0.0
    for right, wrong, made in zip(judge(x, own), judge(x, wanted), judge(fake, wanted)):
        by_hand += F.relu(1 - right).mean().item()
        by_hand += 0.5 * (F.relu(1 + wrong).mean().item() + F.relu(1 + made).mean().item())
    found = model.image_discriminator_loss("drawn", x, own, wanted, fake)
    assert found.item() == pytest.approx(by_hand, rel=1e-4)


def test_main_loss_by_hand() -> None:
    model = make("gan_weight=2", "rec_weight=3", "cycle_weight=5", "kl_weight=7", "dropout=0")
    nets: dict[str, Any] = model.networks
    x, own, wanted = images(2, 1), torch.eye(2), torch.eye(2).flip(0)
    content, style = nets["enc_content"](x), model._encoded_style(x)
    fakes = {"encoded": images(2, 2), "drawn": images(2, 3)}
    total, parts = model.main_loss(x, content, style, own, wanted, images(2, 4), fakes)
    scores = [*nets["D_encoded"](fakes["encoded"], wanted), *nets["D_drawn"](fakes["drawn"], wanted)]
    back = nets["decoder"](nets["enc_content"](fakes["encoded"]), own, style[0])
    by_hand = {
        "g_adv": -sum(s.mean().item() for s in scores),
        "g_content": ((nets["D_content"](content, wanted) - 1) ** 2).mean().item(),
        "rec": l1(images(2, 4), x),
        "cycle": l1(back, x),
        "kl": divergence(style[1], style[2]).item(),
    }
    assert set(parts) == set(by_hand)
    for name, value in by_hand.items():
        assert parts[name].item() == pytest.approx(value, rel=1e-4), name
    expected = sum(w * by_hand[n] for n, w in zip(("g_adv", "g_content", "rec", "cycle", "kl"), (2, 2, 3, 5, 7)))
    assert total.item() == pytest.approx(expected, rel=1e-4)


def test_the_later_steps_losses_by_hand() -> None:
    model = make("style_weight=2", "diversity_weight=3", "content_weight=5", "dropout=0")
    nets: dict[str, Any] = model.networks
    x, wanted = images(2, 1), torch.eye(2)
    drawn = [torch.randn(2, 8), torch.randn(2, 8)]
    totals = {}
    model.minimise = lambda name, loss: totals.update({name: loss.item()})
    content = nets["enc_content"](x)
    first, second = (nets["decoder"](content, wanted, z) for z in drawn)
    style = l1(nets["enc_style"](first)[0], drawn[0])
    diversity = l1(*drawn) / (l1(first, second) + 1e-5)
    model._decoder_step(x, wanted, drawn)
    model._content_step(x, wanted, drawn[0])
    assert totals["decoder"] == pytest.approx(2 * style + 3 * diversity, rel=1e-4)
    assert totals["enc_content"] == pytest.approx(5 * l1(nets["enc_content"](first), content), rel=1e-4)


def test_content_discriminator_loss_by_hand() -> None:
    model, x = make(), images(2, 1)
    own, wanted, content = torch.eye(2), torch.eye(2).flip(0), model.networks["enc_content"](images(2, 1)).detach()
    judge = model.networks["D_content"]
    by_hand = ((judge(content, own) - 1) ** 2).mean() + (judge(content, wanted) ** 2).mean()
    losses = model._discriminator_step(x, content, own, wanted, {"encoded": images(2, 2), "drawn": images(2, 3)})
    assert losses["D_content"].item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_an_iteration_steps_in_the_order_of_the_code(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model, steps = make(), []
    batch = first_batch(model, tiny_task(), artifacts)
    plain = model.minimise
    model.minimise = lambda names, loss: (steps.append(names), plain(names, loss))  # type: ignore
    model.train_step(batch)
    assert steps == ["D_content", "D_images", ("enc_content", "enc_style", "decoder"), "decoder", "enc_content"]


def test_every_image_is_translated_to_the_label_of_the_other_side(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model = make("classes=labels")
    batch = first_batch(model, tiny_task(n_labels=3), artifacts)
    assert model.n_labels == 4 and set(batch["target"].label.tolist()) == {3}
    seen = []
    model.main_loss = lambda *a: seen.append(a) or (sum(p.sum() for p in model.networks["decoder"].parameters()), {})  # type: ignore
    model.train_step(batch)
    own, wanted = (labels.argmax(1).tolist() for labels in (seen[0][3], seen[0][4]))
    assert own == [*batch["source"].label.tolist(), 3, 3] and wanted == [3, 3, *batch["source"].label.tolist()]


def test_dropout_is_drawn_in_training_alone() -> None:
    decoder = Decoder(3, 4, 1, 1, 2, 8, 0.5).eval()
    inputs = torch.randn(1, 8, 4, 4), torch.eye(2)[:1], torch.randn(1, 8)
    assert torch.equal(decoder(*inputs), decoder(*inputs))
    rng = torch.Generator().manual_seed(0)
    assert not torch.equal(decoder(*inputs, rng), decoder(*inputs, rng))


def test_translation_from_noise_and_from_a_reference() -> None:
    noisy, guided, x, reference = make(), make("guide=reference"), images(2, 1), images(2, 2)
    label = torch.tensor([1, 0])
    nets: dict[str, Any] = noisy.networks
    style = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    by_hand = nets["decoder"](nets["enc_content"](x), torch.eye(2)[label], style)
    assert torch.equal(noisy.translate(x, rng=torch.Generator().manual_seed(1), label=label), by_hand)
    nets = guided.networks
    by_hand = nets["decoder"](nets["enc_content"](x), torch.eye(2)[label], nets["enc_style"](reference)[0])
    assert torch.equal(guided.translate(x, reference, label=label), by_hand)
    with pytest.raises(ValueError, match="pass reference="):
        guided.translate(x, label=label)
    with pytest.raises(ValueError, match="pass label="):
        noisy.translate(x)


def test_streams_budget_and_optimizers_are_the_codes(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model = make()
    model.prepare(tiny_task(), artifacts)
    streams = model.streams(tiny_task())
    assert {(s.size, s.order, s.augment.load_size, s.augment.flip) for s in streams.values()} == {
        (2, "shuffled", 18, True),
        (2, "uniform", 18, True),
    }
    assert model.budget_images == 200 * 20
    group = model.optimizers["decoder"].param_groups[0]
    assert group["betas"] == (0.5, 0.999) and group["weight_decay"] == 0 and group["initial_lr"] == 1e-4


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(Unfit, match="set content_blocks=none"):
        make("content_blocks=4")
    with pytest.raises(Unfit, match="lower image_blocks"):
        make("image_blocks=4")
    with pytest.raises(UserError, match=r"dropout=1\.5"):
        make("dropout=1.5")


@pytest.mark.parametrize("name", ["every_network_is_trained_and_by_one_optimizer", "equal_seeds_give_equal_results"])
def test_modes_with_one_image_discriminator_keep_the_promises(name: str, tmp_path: Any) -> None:
    (promise,) = (promise for promise in CHECKS if promise.__name__ == name)
    check(DMIT, promise, tmp_path, {"shared_discriminator": True, "classes": "labels", "guide": "reference"})
