"""UDIT: MUNIT's loss plus the constraint, and judges that see classes and stay as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit
from bench.data.task import TaskData
from bench.methods.munit import MUNIT, MUNITConfig
from bench.methods.udit import UDIT, UDITConfig, semantic_distance
from bench.methods.udit.judge import Classifier, EffNet, JudgeOptions, JudgeTraining, learn, load
from bench.testing import CHECKS, check
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = (
    *("resolution=16", "width=4", "downs=1", "style_downs=2", "blocks=1", "mlp_width=8", "discriminator_downs=2"),
    *("n_scales=2", "batch_size=2"),
)
JUDGE = ("judge_width=4", "judge_channels=4", "judge_steps=3")
TINY = JudgeOptions(classes=3, width=4, channels=4, steps=200, lr=0.01, seed=1)


def make(*settings: str) -> UDIT:
    config = build(UDITConfig, UDIT.presets, "paper", [*SMALL, *JUDGE, *settings])
    torch.manual_seed(0)
    return UDIT(Task(config.resolution, 20, 6, 3), config)


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def loss(model: MUNIT, xa: Tensor, xb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    styles = torch.full((len(xb), 8), 0.5), torch.full((len(xa), 8), -0.5)
    return model.generator_loss(xa, xb, model.gen_a.encode(xa), model.gen_b.encode(xb), styles)


def test_the_networks_of_the_paper_preset_are_munits() -> None:
    with torch.device("meta"):
        model = UDIT(Task(128, 100, 10, 5), UDITConfig())
        counts = {name: sum(p.numel() for p in net.parameters()) for name, net in model.networks.items()}
        seen = model.networks["judge"](torch.empty(1, 3, 128, 128))
    judge = counts.pop("judge")
    assert counts == {"gen_a": 15_026_187, "gen_b": 15_026_187, "dis_a": 8_271_171, "dis_b": 8_271_171}
    convs = (3 * 16 * 64 + 64) + (64 * 16 * 128 + 128) + (128 * 16 * 256 + 256) + (256 * 16 + 16)
    assert judge == convs + 16 * 5 + 5 and seen.shape == (1, 16, 16, 16)


def test_the_constraint_joins_munits_loss_for_both_directions() -> None:
    model, xa, xb = make("semantic_weight=3"), images(2, 1), images(2, 2)
    plain = MUNIT(model.task, build(MUNITConfig, MUNIT.presets, "paper", SMALL))
    for name in ("gen_a", "gen_b", "dis_a", "dis_b"):
        plain.networks[name].load_state_dict(model.networks[name].state_dict())
    total, parts = loss(model, xa, xb)
    judge = model.networks["judge"]
    x_ab = model.gen_b.decode(model.gen_a.encode(xa)[0], torch.full((2, 8), -0.5))
    x_ba = model.gen_a.decode(model.gen_b.encode(xb)[0], torch.full((2, 8), 0.5))
    by_hand = (judge(x_ab) - judge(xa)).abs().mean() + (judge(x_ba) - judge(xb)).abs().mean()
    assert parts["semantic"].item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert total.item() == pytest.approx(loss(plain, xa, xb)[0].item() + 3 * by_hand.item(), rel=1e-4)


def test_without_weight_it_is_munit() -> None:
    assert "semantic" not in loss(make("semantic_weight=0"), images(2), images(2))[1]


class Mean(nn.Module):
    """Any module can be the judge: this one sees an image's mean alone."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((1, 2, 3))


def test_the_constraint_by_hand_with_a_judge_of_ones_own() -> None:
    """Means 0.5 and -1 against 0.25 and 0: (0.25 + 1) / 2. Only the translations get a gradient."""
    sources = torch.stack([torch.full((3, 4, 4), 0.25), torch.zeros(3, 4, 4)]).requires_grad_()
    translations = torch.stack([torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), -1.0)]).requires_grad_()
    distance = semantic_distance(Mean(), sources, translations)
    assert distance.item() == pytest.approx(0.625)
    distance.backward()
    assert sources.grad is None and translations.grad is not None


def test_an_iteration_steps_d_then_g_and_never_the_judge(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model, data = make(), tiny_task()
    model.prepare(data, artifacts)
    before = [p.clone() for p in model.networks["judge"].parameters()]
    steps = []
    plain = model.minimise
    model.minimise = lambda name, loss: (steps.append(name), plain(name, loss))  # type: ignore
    losses = model.train_step(Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0))
    assert steps == ["dis", "gen"] and losses["semantic"] > 0
    assert all(torch.equal(p, q) for p, q in zip(before, model.networks["judge"].parameters()))


def coloured(tiny_task: MakeTask) -> TaskData:
    """Three classes that are three brightnesses."""
    data = tiny_task()
    bank = data.source_train.bank
    bank.images[:] = (bank.labels[:, None, None, None] * 100).astype(np.uint8)
    return data


def test_the_classifier_learns_the_classes_and_is_shared(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = coloured(tiny_task)
    path = learn(TINY, data, artifacts)
    assert learn(TINY, data, artifacts) == path
    judge = Classifier(3, TINY)
    load(judge, path)
    pixels = Compute.choose("cpu").images(data.source_train.images())
    assert (judge.logits(pixels).argmax(1).numpy() == data.source_train.labels).mean() > 0.9


def test_the_classifiers_training_draws_classes_equally(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    """19 of 20 sources are of class 0, and yet each class is a third of the batches."""
    data = tiny_task()
    data.source_train.bank.labels[:19] = 0
    training = JudgeTraining(TINY, data, artifacts.loop)
    drawn: list[np.ndarray] = []
    training._pixels = lambda rows: drawn.append(training.labels[rows]) or np.zeros((64, 3, 16, 16), np.uint8)  # type: ignore
    for step in range(20):
        training.step(step)
    shares = np.bincount(np.concatenate(drawn)) / (20 * 64)
    assert np.abs(shares - 1 / 3).max() < 0.05


def test_the_judge_stays_in_eval_mode_and_lets_gradients_through(tmp_path: Path) -> None:
    judge: Any = EffNet()
    judge.load()
    judge.train()
    assert not any(module.training for module in judge.modules())
    x = images(1).requires_grad_()
    features = judge(x)
    assert features.shape == (1, 1280, 7, 7)
    features.sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


def test_data_without_two_classes_name_the_mend(tiny_task: MakeTask) -> None:
    config = build(UDITConfig, UDIT.presets, "smoke", ["resolution=16"])
    with pytest.raises(Unfit, match="set judge=effnet"):
        UDIT.check(Task(16, 20, 6, 0), config)
    data = tiny_task()
    data.source_train.bank.labels[:] = 1
    with pytest.raises(Unfit, match="two classes or more"):
        UDIT.check(Task(16, 20, 6, 3), config, data)


def test_forty_classes(tmp_path: Path, tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_source=80, n_target=40, n_labels=40)
    config = build(UDITConfig, UDIT.presets, "paper", [*SMALL, *JUDGE])
    model = UDIT(Task(16, 80, 40, 40), config)
    model.prepare(data, artifacts)
    assert torch.isfinite(
        model.train_step(Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0))["semantic"]
    )


@pytest.mark.parametrize("name", ["one_channel", "losses_are_finite_detached_scalars", "translate_leaves_no_trace"])
def test_the_network_of_imagenet_keeps_the_promises(name: str, tmp_path: Path) -> None:
    (promise,) = (promise for promise in CHECKS if promise.__name__ == name)
    check(UDIT, promise, tmp_path, {"judge": "effnet"})
