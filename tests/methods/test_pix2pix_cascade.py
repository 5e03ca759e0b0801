"""Two pix2pix in a row, against hand calculations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data import modality as stored
from bench.data.task import TaskData, load_task
from bench.methods.nn.modalities import Modality
from bench.methods.pix2pix_cascade import CascadeConfig, Pix2PixCascade, distance, read, shown
from bench.runs.build import task_of
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "discriminator_layers=2", "batch_size=2", "n_ids=3")
ROOMS = ("depth", "segmentation", "rgb"), ("depth", "labels", "rgb")
CPU = Compute.choose("cpu")


def make(*settings: str, names: tuple[str, ...] = ROOMS[0], kinds: tuple[str, ...] = ROOMS[1]) -> Pix2PixCascade:
    config = build(CascadeConfig, Pix2PixCascade.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return Pix2PixCascade(Task(config.resolution, 20, 6, 0, names=names, kinds=kinds), config)


def rooms(side: int = 32, n: int = 2) -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    pixels = {
        "rgb": rng.integers(0, 256, (n, 3, side, side), dtype=np.uint8),
        "labels": np.stack([stored.label_image(rng.integers(0, 3, (side, side))) for _ in range(n)]),
        "depth": np.stack([stored.depth_image(rng.uniform(0.5, 9, (side, side)), 20) for _ in range(n)]),
    }
    return {name: CPU.images(image) for name, image in pixels.items()}


def batch_of(images: dict[str, Tensor]) -> dict[str, Batch]:
    none = torch.full((2,), -1)
    pairs = {"first x": "depth", "first y": "rgb", "second x": "rgb", "second y": "labels"}
    return {stream: Batch(images[name], none, none) for stream, name in pairs.items()}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_follow_from_the_channels_of_the_modalities() -> None:
    """A U-Net for 256 pixels from 3 to 3 channels has 54,413,955, each input channel 16 * 64 weights, each output
    channel 16 * 128 weights and a bias; a PatchGAN for 6 channels 2,768,705, each channel 16 * 64."""
    with torch.device("meta"):
        config = CascadeConfig()
        model = Pix2PixCascade(Task(256, 20, 6, 0, names=ROOMS[0], kinds=ROOMS[1]), config)
    assert {name: count(network) for name, network in model.networks.items()} == {
        "G_first": 54_413_955 - 2 * 1024,
        "D_first": 2_768_705 - 2 * 1024,
        "G_second": 54_413_955 + 11 * (2048 + 1),
        "D_second": 2_768_705 + 11 * 1024,
    }


def test_label_maps_and_depth_have_no_tanh() -> None:
    model = make()
    assert isinstance(model.networks["G_first"].decoder[0][-1], nn.Tanh)
    assert isinstance(model.networks["G_second"].decoder[0][-1], nn.ConvTranspose2d)


def test_the_domain_in_between_is_rgb_where_there_are_several() -> None:
    names, kinds = ("depth", "segmentation", "nir", "rgb"), ("depth", "labels", "grey", "rgb")
    assert make(names=names, kinds=kinds).anchor_name == "rgb"


def test_depth_is_read_as_a_fraction_of_the_largest_and_labels_as_one_channel_an_id() -> None:
    images = rooms()
    depth = read(Modality("depth", far=20.0), images["depth"])
    assert depth.shape == (2, 1, 32, 32)
    assert depth.min() > 0.5 / 20 * 0.98 and depth.max() < 9 / 20 * 1.02
    labels = read(Modality("labels", ids=3), images["labels"])
    assert labels.shape == (2, 3, 32, 32) and torch.equal(labels.sum(1), torch.ones(2, 32, 32))


def test_distances_by_hand() -> None:
    labels = Modality("labels", ids=2)
    truth = CPU.images(stored.label_image(np.array([[0, 1]]))[None])
    raw = torch.tensor([[[[0.0, 1.0]], [[2.0, 1.0]]]])  # logits (0, 2) where 0 is right, (1, 1) where 1 is
    assert distance(labels, raw, truth).item() == pytest.approx((math.log(1 + math.exp(2)) + math.log(2)) / 2)
    assert shown(labels, raw)[0, 1, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-2)))
    depth = Modality("depth", far=20.0)
    truth = CPU.images(stored.depth_image(np.array([[2.0, 0.0, 5.0]]), 20.0)[None])
    metres = depth.read(truth)[0, 0, 0]
    raw = (metres + torch.tensor([1.0, 7.0, 4.0]))[None, None, None] / 20  # errors 1 and 4; nothing measured at 7
    c = 0.2 * 4
    expected = ((1 + c**2) / (2 * c) + (16 + c**2) / (2 * c)) / 2
    assert distance(depth, raw, truth).item() == pytest.approx(expected, rel=1e-4)
    assert distance(Modality("rgb"), torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.3)).item() == pytest.approx(
        0.3
    )


def test_one_iteration_is_d_and_g_of_the_first_hop_then_of_the_second() -> None:
    """Everything recomputed with plain losses from copies of the initial networks."""
    model, twin = make("dropout=0", "lr=0.01"), make("dropout=0", "lr=0.01")
    images = rooms()
    order, plain = [], model.minimise

    def watch(name: str, loss: Tensor) -> None:
        order.append(name)
        plain(name, loss)

    model.minimise = watch
    losses = model.train_step(batch_of(images))
    assert order == ["D_first", "G_first", "D_second", "G_second"]

    bce = nn.BCEWithLogitsLoss()
    one_hot = read(Modality("labels", ids=3), images["labels"])
    depth = read(Modality("depth"), images["depth"])
    for hop, x, y in (("first", depth, images["rgb"]), ("second", images["rgb"], one_hot)):
        g, d = twin.networks[f"G_{hop}"], twin.networks[f"D_{hop}"]
        raw = g(x)
        fake = raw if hop == "first" else raw.softmax(1)
        on_fake, on_real = d(x, fake.detach()), d(x, y)
        loss = (bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real))) / 2
        assert losses[f"D_{hop}"].item() == pytest.approx(loss.item(), rel=1e-5)
        twin.optimizers[f"D_{hop}"].zero_grad()
        loss.backward()
        twin.optimizers[f"D_{hop}"].step()
        scores = d(x, fake)
        gan, before = bce(scores, torch.ones_like(scores)).item(), bce(on_fake, torch.ones_like(on_fake)).item()
        assert abs(gan - before) > 0.005  # so the new D is told from the old one
        assert losses[f"G_GAN_{hop}"].item() == pytest.approx(gan, abs=5e-4)
        truth = 100 * (raw - y).abs().mean() if hop == "first" else nn.CrossEntropyLoss()(raw, y.argmax(1))
        assert losses[f"G_truth_{hop}"].item() == pytest.approx(truth.item(), rel=1e-5)


def test_two_networks_that_change_nothing_return_their_input() -> None:
    names, kinds = ("a", "b", "c"), ("rgb", "rgb", "rgb")
    model = make(names=names, kinds=kinds)
    model.networks["G_first"] = model.networks["G_second"] = Same()
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(model.translate(x), x)


def test_the_image_in_between_is_not_rounded() -> None:
    model = make()
    seen: list[Tensor] = []
    model.networks["G_second"].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    model.train(False)
    out = model.translate(rooms()["depth"])
    levels = (seen[0] + 1) * 127.5
    assert (levels - levels.round()).abs().max() > 0.1
    ids = model.target.ids_of(out)
    assert out.shape == (2, 3, 32, 32) and set(ids.unique().tolist()) <= {0, 1, 2}


def test_each_hop_is_trained_on_its_own_pairs(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=32)
    model = make(names=("a", "b", "c"), kinds=("rgb",) * 3)
    Pix2PixCascade.check(model.task, model.config, data)
    sampler = Sampler(model.streams(data), data, 0, CPU)
    domains = {"first x": data.source_train, "first y": data.others["c"]}
    domains |= {"second x": data.others["c"], "second y": data.target_train}
    for step in range(5):
        batch = sampler.batch(step)
        pairs = {name: [domain.pairs[i] for i in batch[name].index] for name, domain in domains.items()}
        assert pairs["first x"] == pairs["first y"] and pairs["second x"] == pairs["second y"]
        assert not set(pairs["first x"]) & set(pairs["second x"])


def test_label_maps_are_cropped_without_new_ids(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=32)
    bank = data.target_train.bank
    bank.manifest["kinds"] = {"b": "labels"}
    for row in data.target_train.rows:
        bank.images[row] = stored.label_image(np.random.default_rng(row).integers(0, 3, (32, 32)))
    model = make(names=("a", "b", "c"), kinds=("rgb", "labels", "rgb"))
    sampler = Sampler(model.streams(data), data, 0, CPU)
    for step in range(3):
        ids = model.target.ids_of(sampler.batch(step)["second y"].image)
        assert set(ids.unique().tolist()) == {0, 1, 2}


def test_what_has_no_third_domain_or_no_pairs_or_whole_triples_is_refused(tiny_task: MakeTask) -> None:
    with pytest.raises(Unfit, match="by way of a third domain"):
        make(names=("a", "b"), kinds=("rgb", "rgb"))
    model = make(names=("a", "b", "c"), kinds=("rgb",) * 3)
    data = tiny_task(resolution=32)
    third = data.others["c"]
    for row in third.rows[20:]:
        third.bank.pairs[row] = None
    with pytest.raises(Unfit, match="no training image of b shows the same as one of c"):
        Pix2PixCascade.check(model.task, model.config, data)
    for row, other in zip(data.target_train.rows, data.source_train.rows):
        third.bank.pairs[row] = third.bank.pairs[other]
    with pytest.raises(Unfit, match="choose pix2pix"):
        Pix2PixCascade.check(model.task, model.config, data)


def test_the_data_that_ship_have_a_zero_pair_task() -> None:
    data = load_task("emoji_opponent", 20, 32)
    Pix2PixCascade.check(task_of(data), CascadeConfig(resolution=32, discriminator_layers=2), data)


@pytest.mark.parametrize("setting", ["n_ids=0", "far=0", "batch_size=0"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        make(setting)


class Same(nn.Module):
    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return x
