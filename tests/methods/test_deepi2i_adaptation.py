"""What DeepI2I's `init_from` does: TransferGAN's and MineGAN's steps on a BigGAN, before the translator starts."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.data.task import TaskData
from bench.methods.deepi2i import DeepI2I, DeepI2IConfig
from bench.methods.deepi2i.adaptation import Adaptation, Recipe
from bench.methods.deepi2i.pretraining import learn
from bench.methods.deepi2i.start import base_options
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import as_json, build
from bench.training.loop import Loop
from bench.training.method import Task
from bench.training.sampler import Batch

MakeTask = Callable[..., TaskData]


def make(*settings: str) -> DeepI2I:
    short = ["init_steps=2", "miner=3,4", "miner_steps=1"]
    config = build(DeepI2IConfig, DeepI2I.presets, "smoke", [*short, *settings])
    torch.manual_seed(0)
    model = DeepI2I(Task(32, 20, 6, 3, 3), config)
    model.rng.manual_seed(1)
    model.train()
    return model


def copied(network: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def adaptation(model: DeepI2I, data: TaskData, miner: tuple[int, ...], miner_steps: int) -> Adaptation:
    start = copied(model.generator), copied(model.discriminator)
    recipe = Recipe(base_options(model.config, 3, model.rows), miner, miner_steps)
    return Adaptation(recipe, start, data, model._all_classes(), Loop(Compute.choose("cpu"), Quiet()))


@pytest.mark.parametrize("start", ["transfergan", "minegan"])
def test_g_and_d_start_from_the_adapted_biggan_and_e_from_the_biggan(
    start: str, tiny_task: MakeTask, artifacts: Artifacts
) -> None:
    data, model = tiny_task(resolution=32), make(f"init_from={start}")
    model.prepare(data, artifacts)
    g, d = learn(base_options(model.config, 3, model.rows), data, model._all_classes(), artifacts)
    assert same(copied(model.encoder), d)
    assert not same(copied(model.generator), g) and not same(copied(model.discriminator), d)
    (folder,) = (artifacts.root / "adapted-biggan").glob("*/key.json")
    assert (folder.parent / "M.safetensors").exists() == (start == "minegan")
    again = make(f"init_from={start}")
    again.prepare(data, artifacts)
    for name, network in model.networks.items():
        assert name == "A" or same(copied(network), copied(again.networks[name]))
    assert len(list((artifacts.root / "adapted-biggan").glob("*/key.json"))) == 1


def test_transfergan_moves_both_networks_on_images_and_classes_of_the_target_alone(
    tiny_task: MakeTask, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = tiny_task(resolution=32), make("init_from=transfergan")
    model.prepare(data, artifacts)
    stage = adaptation(model, data, (), 0)
    before = copied(stage.generator), copied(stage.discriminator)
    drawn: list[int] = []
    classes: list[int] = []
    shown, judged = stage._images, stage.discriminator.judge

    def show(index: np.ndarray) -> Tensor:
        drawn.extend(index.tolist())
        return shown(index)

    def judge(x: Tensor, label: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        classes.extend(label.tolist())
        return judged(x, label)

    monkeypatch.setattr(stage, "_images", show)
    monkeypatch.setattr(stage.discriminator, "judge", judge)
    stage.step(0)
    assert not same(copied(stage.generator), before[0]) and not same(copied(stage.discriminator), before[1])
    assert drawn and min(drawn) >= len(data.source_train)
    assert set(classes) == {1}  # classes=domain: 0 is the source, 1 the target


def test_minegan_leaves_the_generator_as_it_is_at_first_and_then_trains_it_with_the_miner(
    tiny_task: MakeTask, artifacts: Artifacts
) -> None:
    data, model = tiny_task(resolution=32), make("init_from=minegan")
    model.prepare(data, artifacts)
    stage = adaptation(model, data, (3, 4, model.generator.latent), 1)
    assert stage.miner is not None
    g, m, d = (copied(network) for network in (stage.generator, stage.miner, stage.discriminator))
    stage.step(0)
    assert same(copied(stage.generator), g), "neither its weights nor its statistics move"
    assert not same(copied(stage.miner), m) and not same(copied(stage.discriminator), d)
    m = copied(stage.miner)
    stage.step(1)
    assert not same(copied(stage.generator), g) and not same(copied(stage.miner), m)


def test_adaptation_stopped_and_resumed_is_bit_equal(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data, model = tiny_task(resolution=32), make("init_from=minegan")
    model.prepare(data, artifacts)
    whole, first, second = (adaptation(model, data, (3, 4, model.generator.latent), 1) for _ in range(3))
    for i in range(3):
        whole.step(i)
    first.step(0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for i in (1, 2):
        second.step(i)
    assert whole.miner is not None and second.miner is not None
    pairs = [(whole.generator, second.generator), (whole.discriminator, second.discriminator)]
    assert all(same(copied(a), copied(b)) for a, b in [*pairs, (whole.miner, second.miner)])


@pytest.mark.parametrize(("finetune", "moving"), [("all", {"G", "M"}), ("miner", {"M"})])
def test_what_the_translator_goes_on_to_train(finetune: str, moving: set[str]) -> None:
    model = make("init_from=minegan", f"finetune={finetune}", "adaptor_steps=1")
    images, none = torch.rand(4, 3, 32, 32) * 2 - 1, torch.zeros(4, dtype=torch.int64)
    batch = {"source": Batch(images, none, none), "real": Batch(images, none, none)}
    for names in (set(), moving):  # phase 1, phase 2
        before = {name: [p.detach().clone() for p in net.parameters()] for name, net in model.networks.items()}
        model.train_step(batch)
        after = {name: list(net.parameters()) for name, net in model.networks.items()}
        moved = {name for name in after if not all(torch.equal(*pair) for pair in zip(after[name], before[name]))}
        assert moved == {"A", "D"} | names


def test_translations_draw_noise_of_the_miners_length() -> None:
    model = make("init_from=minegan")
    assert model.miner is not None
    model.train(False)
    x, label = torch.rand(2, 3, 32, 32) * 2 - 1, torch.ones(2, dtype=torch.int64)
    found = model.translate(x, None, torch.Generator().manual_seed(3), label)
    u = torch.randn(2, 3, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, model.generator(model.miner(u), label, model.sums(x)))


def test_a_run_without_adaptation_is_named_as_before() -> None:
    names = {"init_from", "init_steps", "miner", "miner_steps", "finetune"}
    assert not names & set(as_json(make().config))
    assert names <= set(as_json(make("init_from=transfergan").config))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["init_from=minegan", "pretrained=none"], "needs a pre-trained network"),
        (["finetune=miner"], "set init_from=minegan"),
        (["miner=", "init_from=minegan"], "miner is empty"),
    ],
)
def test_settings_that_do_not_go_together(settings: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(DeepI2IConfig, DeepI2I.presets, "smoke", settings)
