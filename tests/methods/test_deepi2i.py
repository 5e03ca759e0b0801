"""DeepI2I against its official code, hand calculations and a plain version of its iteration."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.data.task import TaskData
from bench.methods.deepi2i import Adaptors, DeepI2I, DeepI2IConfig, biggan
from bench.methods.deepi2i.pretraining import BigGANTraining, learn
from bench.methods.deepi2i.start import base_images, base_options
from bench.methods.nn.spectral import held
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.loop import Loop
from bench.training.method import Task
from bench.training.sampler import Batch

MakeTask = Callable[..., TaskData]


def make(*settings: str, n_labels: int = 3) -> DeepI2I:
    config = build(DeepI2IConfig, DeepI2I.presets, "smoke", list(settings))
    torch.manual_seed(0)
    model = DeepI2I(Task(config.resolution, 20, 6, n_labels, 3), config)
    model.rng.manual_seed(1)
    model.train()
    return model


def random_batch(n: int = 4, classes: int = 2) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(5)

    def one() -> Batch:
        images = torch.rand(n, 3, 32, 32, generator=rng) * 2 - 1
        return Batch(images, torch.randint(0, classes, (n,), generator=rng), torch.arange(n))

    return {"source": one(), "real": one()}


def weights(model: DeepI2I) -> dict[str, dict[str, Tensor]]:
    return {n: {k: p.detach().clone() for k, p in net.named_parameters()} for n, net in model.networks.items()}


def moved(model: DeepI2I, before: dict[str, dict[str, Tensor]]) -> set[str]:
    after = weights(model)
    return {n for n in after if any(not torch.equal(after[n][k], before[n][k]) for k in after[n])}


def test_adaptors_have_the_parameters_of_the_official_code() -> None:
    with torch.device("meta"):
        e, g = biggan.Encoder(3, 96, 128), biggan.Generator(3, 10, 96, 128)
        a = Adaptors([4, 8, 16, 32], e.widths, g.widths)
    counts = {side: sum(p.numel() for p in block.parameters()) for side, block in a.blocks.items()}
    assert counts == {"4": 42_470_400, "8": 33_034_752, "16": 8_259_840, "32": 2_065_536}
    assert sum(counts.values()) == 85_830_528


def test_the_paper_preset_is_the_published_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.methods.deepi2i.orthogonal_init", lambda network: None)  # not for meta tensors
    c = build(DeepI2IConfig, DeepI2I.presets, "paper", [])
    with torch.device("meta"):
        model = DeepI2I(Task(128, 100, 10, 149), c)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in model.networks.items()}
    assert counts == {"G": 70_433_988, "D": 87_982_370, "E": 86_444_833, "A": 85_830_528}
    assert (c.batch_size, c.accumulations, c.adaptor_steps, c.pretrained) == (32, 8, 500, "file")
    assert model.total_steps == 30_000 and not model.ema and not model.schedulers
    assert set(model.optimizers) == {"G", "D", "A"} and not any(p.requires_grad for p in model.encoder.parameters())
    for name, optimizer in model.optimizers.items():
        (group,) = optimizer.param_groups
        assert isinstance(optimizer, torch.optim.Adam)
        assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.0, 0.999), 1e-6, 0)
        assert group["lr"] == (1e-4 if name == "G" else 4e-4)
    assert [model._of_side(s, "sum_weight") for s in (4, 8, 16, 32)] == [0.1] * 4
    assert [model._of_side(s, "match_weight") for s in (4, 8, 16, 32)] == [0.1, 0.1, 0.1, 0.01]
    base = base_options(c, 3, model.rows)
    assert (base.steps, base.batch, base.accumulations, base.ema_decay, base.ema_from) == (
        138_000,
        2048,
        8,
        0.9999,
        20_000,
    )
    assert (base.rows, base.lr_g, base.lr_d) == (1000, 1e-4, 4e-4)


def test_from_scratch_is_the_official_recipe() -> None:
    c = build(DeepI2IConfig, DeepI2I.presets, "scratch", [])
    assert (c.pretrained, c.sum_weight, c.sum_weight_fine, c.match_weight) == ("none", 1, 0.1, 0.1)
    model = make("pretrained=none")
    assert set(model.optimizers) == {"G", "D", "E", "A"}
    w = model.adaptors.blocks["8"].conv1.weight.flatten(1)
    torch.testing.assert_close(w @ w.T, torch.eye(len(w)), rtol=1e-4, atol=1e-5)
    before = weights(model)
    model.train_step(random_batch())
    assert moved(model, before) == {"G", "D", "E", "A"}, "no phase 1"


def test_phases() -> None:
    model = make("adaptor_steps=2")
    for names in ({"D", "A"}, {"D", "A"}, {"G", "D", "A"}):
        before = weights(model)
        losses = model.train_step(random_batch())
        assert moved(model, before) == names
        assert all(torch.isfinite(v) and not v.requires_grad for v in losses.values())


class Flat(nn.Module):
    """D by hand: logit = 10 * the first pixel, maps: the image itself at side 4 and 8 times that at side 16."""

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        return {4: x, 8: 2 * x, 16: 8 * x}

    def judge(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        return 10 * x[:, 0, 0, 0], self(x)


@pytest.mark.parametrize("paper", [False, True])
def test_losses_by_hand(paper: bool) -> None:
    model = make(*(("gan=log", "match=l1") if paper else ()), "match_weight=0.1", "match_weight_fine=0.01")
    model.discriminator = Flat()
    x, real = torch.full((2, 3, 2, 2), 0.25), torch.full((2, 3, 2, 2), 0.05)
    model._fake = lambda n, sums: (torch.full((2, 3, 2, 2), -0.05), torch.zeros(2, dtype=torch.int64))  # type: ignore[method-assign]
    d, _ = model.discriminator_loss(real, torch.tensor([0, 1]), {})
    g, _ = model.generator_loss(x, {})
    if paper:
        assert d.item() == pytest.approx(2 * math.log(1 + math.exp(-0.5)), rel=1e-5)
        wanted = math.log(1 - 1 / (1 + math.exp(0.5))) + 0.1 * 0.3 + 0.1 * 0.6 + 0.01 * 2.4
    else:
        assert d.item() == pytest.approx(0.5 + 0.5, rel=1e-5)
        wanted = 0.5 + 0.1 * 0.3**2 + 0.1 * 0.6**2 + 0.01 * 2.4**2
    assert g.item() == pytest.approx(wanted, rel=1e-5)


def plain_iteration(model: DeepI2I, batch: dict[str, Batch], rng: torch.Generator, phase1: bool) -> None:
    """The official iteration with nothing shared but A(E(x)) and, by the parts of a batch, the power iteration of each
    spectral norm; D judges fakes and sources as one batch."""
    g, d, e, a, k = model.generator, model.discriminator, model.encoder, model.adaptors, model.config.accumulations
    xs, reals, labels = (t.chunk(k) for t in (batch["source"].image, batch["real"].image, batch["real"].label))

    def fake(n: int, sums: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        c = torch.randint(2, (n,), generator=rng)
        return g(torch.randn(n, 8, generator=rng), c, sums), c

    with held(e, a):
        sums = [{s: 0.1 * v for s, v in a(e(x)).items()} for x in xs]
    gradients = []
    with held(g, d):
        for real, label, added in zip(reals, labels, sums):
            y, c = fake(len(real), added)
            logits, _ = d.judge(torch.cat([y.detach(), real]), torch.cat([c, label]))
            n = len(real)
            loss = F.relu(1 - logits[n:]).mean() + F.relu(1 + logits[:n]).mean()
            gradients.append(torch.autograd.grad(loss / k, d.parameters(), retain_graph=True))
    step(model, "D", gradients)
    names = ["A"] if phase1 else ["G", "A"]
    found: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in names}
    with held(g, d):
        for x, added in zip(xs, sums):
            n = len(x)
            y, c = fake(n, added)
            logits, maps = d.judge(torch.cat([y, x]), torch.cat([c, c]))
            loss = -logits[:n].mean()
            for side, alpha in ((4, 0.1), (8, 0.1), (16, 0.01)):
                loss = loss + alpha * (maps[side][:n] - maps[side][n:].detach()).pow(2).mean()
            for name in names:
                found[name].append(torch.autograd.grad(loss / k, model.networks[name].parameters(), retain_graph=True))
    for name in names:
        step(model, name, found[name])


def step(model: DeepI2I, name: str, gradients: list[tuple[Tensor, ...]]) -> None:
    with torch.no_grad():
        for parameter, *parts in zip(model.networks[name].parameters(), *gradients):
            parameter -= 0.01 * sum(parts)


@pytest.mark.parametrize("phase1", [True, False])
def test_iterations_equal_the_plain_recipe(phase1: bool) -> None:
    """Two of them, with plain gradient descent instead of Adam."""
    ours, theirs = (make(f"adaptor_steps={9 if phase1 else 0}") for _ in range(2))
    for model in (ours, theirs):
        nn.init.constant_(model.generator.blocks[1][1].gamma, 0.3)
    before = weights(ours)
    ours.optimizers = {name: torch.optim.SGD(ours.networks[name].parameters(), lr=0.01) for name in ours.optimizers}
    rng = torch.Generator().manual_seed(1)
    for _ in range(2):
        ours.train_step(random_batch())
        plain_iteration(theirs, random_batch(), rng, phase1)
    assert moved(ours, before) == {"D", "A", *([] if phase1 else ["G"])}
    for name, network in ours.networks.items():
        wanted = theirs.networks[name].state_dict()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, wanted[key], rtol=1e-4, atol=1e-5, msg=f"{name}.{key}")


def test_ablations() -> None:
    single = make("adaptor_sides=8")
    assert list(single.adaptors.blocks) == ["8"] and list(single.sums(torch.zeros(1, 3, 32, 32))) == [8]
    without = make("adaptor=concat", "adaptor_steps=1")
    assert "A" not in without.optimizers and not list(without.adaptors.parameters())
    x = torch.randn(1, 3, 32, 32)
    without.train(False)
    sums, maps = without.sums(x), without.encoder(x)
    assert sums[16].shape == (1, 16, 16, 16) and maps[16].shape[1] == 8
    torch.testing.assert_close(sums[16][:, 8:], 0.1 * maps[16])
    without.train()
    for names in ({"D"}, {"D", "G"}):
        before = weights(without)
        without.train_step(random_batch())
        assert moved(without, before) == names


def test_pre_training_is_an_artifact_and_all_three_networks_start_from_it(
    tiny_task: MakeTask, artifacts: Artifacts
) -> None:
    data = tiny_task(resolution=32)
    model = make()
    new = copy.deepcopy(model.networks["G"].state_dict())
    model.prepare(data, artifacts)
    g, d = learn(base_options(model.config, 3, model.rows), data, model._all_classes(), artifacts)
    assert len(list((artifacts.root / "biggan").glob("*/key.json"))) == 1
    for network, state in ((model.generator, g), (model.discriminator, d), (model.encoder, d)):
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not torch.equal(g["linear.weight"], new["linear.weight"])
    reporter = artifacts.loop.reporter
    assert isinstance(reporter, Quiet)
    assert any("class embeddings classes 0 to 1 use the rows" in line for line in reporter.lines)
    other = make("class_rows=new", "transfer_e=false")
    own = copy.deepcopy({n: net.state_dict() for n, net in other.networks.items()})
    other.prepare(data, artifacts)
    assert torch.equal(other.discriminator.embed.weight, own["D"]["embed.weight"])
    assert torch.equal(other.generator.linear.weight, g["linear.weight"])
    assert all(torch.equal(v, own["E"][k]) for k, v in other.encoder.state_dict().items())
    assert "E" in other.optimizers


@pytest.mark.parametrize("left_out", ["e", "g", "d"])
def test_partial_transfer(left_out: str, tiny_task: MakeTask, artifacts: Artifacts) -> None:
    """Figure 6 of the paper, left: one network starts anew, the two others from the BigGAN."""
    data, model = tiny_task(resolution=32), make(f"transfer_{left_out}=false")
    own = copy.deepcopy({name.lower(): net.state_dict() for name, net in model.networks.items()})
    model.prepare(data, artifacts)
    g, d = learn(base_options(model.config, 3, model.rows), data, model._all_classes(), artifacts)
    for name, trained in (("e", d), ("g", g), ("d", d)):
        wanted = own[name] if name == left_out else trained
        found = model.networks[name.upper()].state_dict()
        assert all(torch.equal(value, wanted[key]) for key, value in found.items()), name


@pytest.mark.parametrize("sides", [(16,), (8, 16), (4, 8, 16)])
def test_number_of_down_sampling_blocks(sides: tuple[int, ...]) -> None:
    """Figure 6, middle: the source reaches G through maps down to the smallest side alone."""
    model = make("adaptor_sides=" + ",".join(map(str, sides)))
    model.train(False)
    x, noise = torch.randn(1, 3, 32, 32), torch.zeros(1, model.config.latent)
    maps = model.encoder(x)
    assert sorted(model.sums(x)) == list(sides)
    for side in (4, 8, 16):
        changed = {key: m + (key == side) for key, m in maps.items()}
        label = torch.zeros(1, dtype=torch.int64)
        same = [model.generator(noise, label, model.adaptors(found)) for found in (maps, changed)]
        assert torch.equal(*same) == (side not in sides)


def test_pre_training_stopped_and_resumed_is_bit_equal(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data, model = tiny_task(resolution=32), make("base_accumulations=2")
    model.prepare(data, artifacts)
    loop = Loop(Compute.choose("cpu"), Quiet())
    whole, first, second = (
        BigGANTraining(base_options(model.config, 3, model.rows), data, model._all_classes(), loop) for _ in range(3)
    )
    for i in range(3):
        whole.step(i)
    first.step(0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for i in (1, 2):
        second.step(i)
    for name in ("generator", "discriminator", "average"):
        wanted = getattr(whole, name).state_dict()
        assert all(torch.equal(v, wanted[k]) for k, v in getattr(second, name).state_dict().items())
    assert not torch.equal(whole.average.linear.weight, whole.generator.linear.weight)


def test_pre_training_on_another_data_set(
    tiny_task: MakeTask, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 + 64 images (the whole target pool) with five labels; this network has the first two rows."""
    monkeypatch.setattr(
        "bench.methods.deepi2i.start.load_task", lambda *_, **__: tiny_task(resolution=32, n_labels=5, n_target=1)
    )
    model = make("base_dataset=other")
    data = tiny_task(resolution=32)
    model.prepare(data, artifacts)
    images, classes = base_images(model.config, data, model._all_classes(), artifacts)
    assert (len(images.source_train), len(images.target_train), classes.max() + 1) == (20, 64, 5)
    assert np.array_equal(classes[20:], images.target_train.labels)
    g, d = learn(base_options(model.config, 3, 5), images, classes, artifacts)
    assert len(list((artifacts.root / "biggan").glob("*/key.json"))) == 1
    assert len(g["shared.weight"]) == 5 and torch.equal(model.generator.shared.weight, g["shared.weight"][:2])
    assert torch.equal(model.discriminator.linear.weight, d["linear.weight"])


def test_the_steps_of_pre_training_by_hand(tiny_task: MakeTask) -> None:
    """Hinge losses of a discriminator whose logits are known; the average is a copy until it begins."""
    data, model = tiny_task(resolution=32), make("base_ema_from=1", "base_ema_decay=0.9")
    classes = np.array([0] * 20 + [1] * 6)
    training = BigGANTraining(
        base_options(model.config, 3, model.rows), data, classes, Loop(Compute.choose("cpu"), Quiet())
    )
    before = copy.deepcopy(training.average.state_dict())
    training.step(0)
    first = copy.deepcopy(training.generator.linear.weight.detach())
    before_second = copy.deepcopy(training.generator.state_dict())
    assert torch.equal(training.average.linear.weight, first) and not torch.equal(first, before["linear.weight"])
    training.step(1)
    after = training.generator.state_dict()
    for name, average in training.average.state_dict().items():  # buffers as well: batch statistics, vectors u
        torch.testing.assert_close(average, 0.9 * before_second[name] + 0.1 * after[name])
    assert not torch.equal(before_second["output_layer.0.stored_mean"], after["output_layer.0.stored_mean"])
    n, seen = 4, []

    def judge(x: Tensor, label: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        seen.append(label)
        return torch.arange(len(x)) / 4 - 0.5, {}

    training.discriminator.judge = judge  # type: ignore[method-assign]
    d_loss = training._d_loss(n, np.random.default_rng(0))  # fakes -0.5 ... 0.25, reals 0.5 ... 1.25
    assert d_loss.item() == pytest.approx((0.5 + 0.75 + 1 + 1.25) / 4 + (0.5 + 0.25 + 0 + 0) / 4)
    assert training._g_loss(n, np.random.default_rng(0)).item() == pytest.approx((0.5 + 0.25 + 0 - 0.25) / 4)
    assert len(seen[0]) == 2 * n and np.array_equal(
        seen[0][n:].numpy(), classes[np.random.default_rng(0).integers(0, 26, n)]
    )


def public_files(folder: Path, rows: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    folder.mkdir()
    g, d = biggan.Generator(3, rows, 2, 32, 8, 4).state_dict(), biggan.Discriminator(3, rows, 2, 32).state_dict()
    for name, state in (("G_ema", g), ("D", d)):
        extra = {key.replace("u0", "sv0"): torch.ones(1) for key in state if key.endswith("u0")}
        torch.save({**state, **extra}, folder / f"{name}.pth")
    return g, d


@pytest.mark.parametrize("rows", [10, 3])
def test_public_weights(tiny_task: MakeTask, artifacts: Artifacts, tmp_path: Path, rows: int) -> None:
    g, d = public_files(tmp_path / "w", rows)
    model = make("pretrained=file", f"weights={tmp_path / 'w'}", "embeddings=5", "classes=labels")
    own = model.generator.shared.weight.detach().clone()
    model.prepare(tiny_task(resolution=32), artifacts)
    shared = min(rows, 5)
    assert torch.equal(model.generator.shared.weight[:shared], g["shared.weight"][:shared])
    assert torch.equal(model.generator.shared.weight[shared:], own[shared:])
    assert torch.equal(model.discriminator.embed.weight[:shared], d["embed.weight"][:shared])
    assert torch.equal(model.encoder.blocks[0][0].conv1.weight, d["blocks.0.0.conv1.weight"])
    reporter = artifacts.loop.reporter
    assert isinstance(reporter, Quiet)
    assert ("the other 1 are new" in reporter.lines[-1]) == (rows == 3)
    model.train_step(random_batch())


def test_weights_that_are_missing_or_wrong(tiny_task: MakeTask, artifacts: Artifacts, tmp_path: Path) -> None:
    data, folder = tiny_task(resolution=32), tmp_path / "w"
    settings = ("pretrained=file", f"weights={folder}")
    with pytest.raises(UserError, match="pretrained=data"):
        make(*settings).prepare(data, artifacts)
    public_files(folder, 10)
    with pytest.raises(UserError, match="does not fit"):
        make(*settings, "width=4").prepare(data, artifacts)
    (folder / "D.pth").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be read"):
        make(*settings).prepare(data, artifacts)


def test_translations() -> None:
    model = make()
    model.train_step(random_batch())
    model.train(False)
    x, label = random_batch()["source"].image, torch.ones(4, dtype=torch.int64)

    def translate(seed: int, y: Tensor) -> Tensor:
        return model.translate(x, rng=torch.Generator().manual_seed(seed), label=y)

    out = translate(1, label)
    assert torch.equal(out, translate(1, label)) and out.abs().max() <= 1
    assert not torch.equal(out, translate(2, label)) and not torch.equal(out, translate(1, 0 * label))
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    sums = {s: 0.1 * v for s, v in model.adaptors(model.encoder(x)).items()}
    torch.testing.assert_close(out, model.generator(z, label, sums))
    with pytest.raises(ValueError, match="label"):
        model.translate(x)


def test_batches(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data, model = tiny_task(resolution=32), make("balanced=true", "classes=labels")
    model.prepare(data, artifacts)
    streams = model.streams(data)
    assert set(streams) == {"source", "real"}
    assert all(s.pool == "all" and s.order == "balanced" and not s.augment.flip for s in streams.values())
    assert np.array_equal(np.unique(streams["real"].classes), [0, 1, 2, 3])
    assert make().streams.__self__.n_classes == 2 and model.n_classes == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resolution=48", "choose 32, 64 or 128"),
        ("accumulations=3", "divisor"),
        ("adaptor_sides=5", "4, 8, 16, 32"),
        ("adaptor_sides=32", "at most half"),
        ("embeddings=1", "too few"),
        ("width=0", "at least 1"),
    ],
)
def test_what_it_cannot_take(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(setting)
