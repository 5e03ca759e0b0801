"""The promises of bench.testing hold for an honest method, and each is broken once by a method that cheats."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import Unfit
from bench.testing import CHECKS, check, conformance
from bench.training import method
from bench.training.augment_d import DiscriminatorFields
from bench.training.sampler import Batch, Stream


@dataclass(frozen=True)
class HonestConfig(method.Config):
    resolution: int = 16
    batch_size: int = 2


class Honest(method.Method):
    """A recolouring GAN with an average; its outputs depend on noise."""

    name, paper = "honest", "none"
    Config = HonestConfig
    presets: Any = {"paper": {}, "cpu": {}}
    guidance = "noise"

    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        c = task.channels
        self.networks = {"G": nn.Conv2d(c + 1, c, 3, padding=1), "D": nn.Conv2d(c, 1, 3, 2)}
        self.ema = {"G": nn.Conv2d(c + 1, c, 3, padding=1).requires_grad_(False).eval()}
        self.ema["G"].load_state_dict(self.networks["G"].state_dict())
        self.optimizers = {n: torch.optim.Adam(net.parameters(), 1e-2) for n, net in self.networks.items()}

    def streams(self, data: Any) -> dict[str, Stream]:
        n = self.config.batch_size
        return {"source": Stream("source", n), "target": Stream("target", n, "uniform")}

    def render(self, net: nn.Module, source: Tensor, rng: torch.Generator | None) -> Tensor:
        code = torch.randn(len(source), 1, 1, 1, generator=rng).expand(-1, 1, *source.shape[2:])
        return torch.tanh(net(torch.cat([source, code], 1)).float())

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        g, d = self.networks["G"], self.networks["D"]
        fake = self.render(g, batch["source"].image, self.rng)
        g_loss = -d(fake).mean()
        self.minimise("G", g_loss)
        d_loss = F.softplus(d(fake.detach())).mean() + F.softplus(-d(batch["target"].image)).mean()
        self.minimise("D", d_loss)
        for mine, theirs in zip(self.ema["G"].parameters(), g.parameters()):
            mine.lerp_(theirs.detach(), 0.1)
        return {"G": g_loss.detach(), "D": d_loss.detach()}

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.render(self.ema["G"], source, rng)


test_the_honest_method = conformance(Honest)


class BytesOut(Honest):
    def translate(self, *args: Any, **words: Any) -> Tensor:
        return (super().translate(*args, **words) + 1) * 127.5


class HalfOut(Honest):
    def translate(self, *args: Any, **words: Any) -> Tensor:
        return super().translate(*args, **words).half()


class Cropped(Honest):
    def translate(self, *args: Any, **words: Any) -> Tensor:
        return super().translate(*args, **words)[..., :-1]


class DrawsFromTheSystem(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        self.rng.manual_seed(int.from_bytes(os.urandom(4), "big"))
        return super().train_step(batch)


class DeafToNoise(Honest):
    def translate(self, source: Tensor, *args: Any, **words: Any) -> Tensor:
        return super().translate(source, rng=torch.Generator().manual_seed(0))


class NoisyInSecret(Honest):
    guidance = "none"


class DeafToReferences(DeafToNoise):
    guidance = "reference"


class UnlikeItself(Honest):
    def translate(self, source: Tensor, *args: Any, **words: Any) -> Tensor:
        return super().translate(source)


class LeavesGraphs(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        extra = self.networks["G"].weight.mean()  # type: ignore[union-attr]
        return {**super().train_step(batch), "extra": extra}


class Infinite(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        return {**super().train_step(batch), "ratio": torch.tensor(1.0) / torch.tensor(0.0)}


class ForgetsAnOptimizer(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.networks["E"] = nn.Linear(2, 2)


class NeverTrainsOne(ForgetsAnOptimizer):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.optimizers["E"] = torch.optim.Adam(self.networks["E"].parameters())


class ThawsTheFrozen(ForgetsAnOptimizer):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.networks["E"].requires_grad_(False)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        self.networks["E"].weight.mul_(0.9)  # type: ignore[operator, union-attr]
        return super().train_step(batch)


class OptimizesTheAverage(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.optimizers["ema"] = torch.optim.SGD(self.ema["G"].parameters(), 0.1)


class TwoOptimizers(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.optimizers["again"] = torch.optim.SGD(self.networks["G"].parameters(), 0.1)


class Forgetful(Honest):
    """Counts its steps where no checkpoint sees it."""

    steps = 0

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        self.steps += 1
        self.optimizers["G"].param_groups[0]["lr"] = 0.01 * self.steps
        return super().train_step(batch)


class WantsAWholeBatch(Honest):
    def streams(self, data: Any) -> dict[str, Stream]:
        streams = super().streams(data)
        return {**streams, "target": Stream("target", 2, "uniform", rows=np.arange(2))}


class PairsByNumber(Honest):
    def streams(self, data: Any) -> dict[str, Stream]:
        self.targets = data.target_train
        return super().streams(data)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        self.targets.images(batch["source"].index.numpy() % 6)
        return super().train_step(batch)


class ThreeClasses(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        F.one_hot(batch["source"].label, 3)
        return super().train_step(batch)


class ColourOnly(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(method.Task(task.resolution, 1, 1, 0, channels=3), config)


class OneSize(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        batch["source"].image.view(-1, self.task.channels, 16, 16)[self.config.batch_size - 1 :].sum()
        assert batch["source"].image.shape[-1] == 16
        return super().train_step(batch)


class UnsafeInHalf(Honest):
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        first = F.conv2d(batch["source"].image, torch.ones(1, self.task.channels, 1, 1))
        with torch.autocast("cpu", enabled=False):
            F.conv2d(first, torch.ones(1, 1, 1, 1))  # of bfloat16 with float32
        return super().train_step(batch)


class LeavesAGraph(Honest):
    def translate(self, source: Tensor, *args: Any, **words: Any) -> Tensor:
        with torch.enable_grad():
            return self.render(self.networks["G"], source, words["rng"])


class MovesABuffer(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.networks["G"].register_buffer("seen", torch.zeros(()))

    def translate(self, *args: Any, **words: Any) -> Tensor:
        self.networks["G"].seen.add_(1)  # type: ignore[operator, union-attr]
        return super().translate(*args, **words)


class DrawsGlobally(Honest):
    def translate(self, *args: Any, **words: Any) -> Tensor:
        torch.rand(1)
        return super().translate(*args, **words)


class DrawsFromTraining(Honest):
    def translate(self, *args: Any, **words: Any) -> Tensor:
        torch.rand(1, generator=self.rng)
        return super().translate(*args, **words)


class AverageOfNothing(Honest):
    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.ema["G"].load_state_dict(nn.Conv2d(task.channels + 1, task.channels, 3).state_dict())


class MisspeltPreset(Honest):
    presets = {"paper": {"widht": 1}, "cpu": {}}


class BackIsSmaller(Honest):
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor | None:
        return images[:, :, ::2]


class BackDrawsFromTheSystem(Honest):
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor | None:
        return images + torch.randn(images.shape)


class BottleneckOfOneDomain(Honest):
    def bottleneck(self, images: Tensor, domain: str) -> Tensor | None:
        return images.flatten(1) if domain == "a" else None


@dataclass(frozen=True)
class UncheckedConfig(HonestConfig):
    def __post_init__(self) -> None:
        pass


class TakesAnyNumber(Honest):
    Config = UncheckedConfig


@dataclass(frozen=True)
class UnboundedConfig(HonestConfig):
    parts: int = 1


class DividesByZero(Honest):
    Config = UnboundedConfig

    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.part = task.n_source // config.parts


@dataclass(frozen=True)
class SwitchedConfig(HonestConfig, DiscriminatorFields):
    pass


class Switched(Honest):
    """Says which network judges images, and what it says of real ones."""

    Config = SwitchedConfig
    discriminators: ClassVar[tuple[str, ...]] = ("D",)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        losses = super().train_step(batch)
        self.saw_real(self.networks["D"], self.networks["D"](batch["target"].image))
        return losses


test_the_honest_method_with_a_switch = conformance(Switched)


class NamesNoDiscriminator(Switched):
    discriminators = ()


class NamesNoNetwork(Switched):
    discriminators = ("C_*",)


class JudgesElsewhere(Switched):
    discriminators = ("D", "ema")

    def __init__(self, task: method.Task, config: Any) -> None:
        super().__init__(task, config)
        self.networks["ema"] = self.ema["G"]


class KeepsItsScores(Switched):
    def saw_real(self, *args: Any) -> None:
        pass


class StopsBeforeTheEnd(Honest):
    """Its last step is not what translate returns."""

    def translate_steps(self, *args: Any, **words: Any) -> list[Tensor]:
        return [self.translate(*args, **words) / 2]


class EachPartDrawsForItself(Honest):
    @classmethod
    def whole_batch(cls, config: Any) -> None:
        return None  # and yet `render` draws for the images that it sees alone


CHEATS: dict[str, tuple[type[Honest], ...]] = {
    "output_has_the_shape_range_and_dtype_of_the_source": (BytesOut, HalfOut, Cropped),
    "equal_seeds_give_equal_results": (DrawsFromTheSystem,),
    "guidance_is_what_the_method_says": (DeafToNoise, NoisyInSecret, DeafToReferences, UnlikeItself),
    "the_steps_of_a_translation_end_with_it": (StopsBeforeTheEnd,),
    "losses_are_finite_detached_scalars": (LeavesGraphs, Infinite),
    "every_network_is_trained_and_by_one_optimizer": (
        ForgetsAnOptimizer,
        NeverTrainsOne,
        ThawsTheFrozen,
        OptimizesTheAverage,
        TwoOptimizers,
    ),
    "state_goes_through_a_file_and_training_goes_on_bit_equal": (Forgetful,),
    "a_target_smaller_than_the_batch": (WantsAWholeBatch,),
    "the_way_back_and_the_bottlenecks_fit": (BackIsSmaller, BackDrawsFromTheSystem, BottleneckOfOneDomain),
    "three_hundred_sources_and_three_targets": (PairsByNumber,),
    "one_class_and_forty_classes_and_none": (ThreeClasses,),
    "one_channel": (ColourOnly,),
    "resolution_32": (OneSize,),
    "resolution_64": (OneSize,),
    "resolution_128": (OneSize,),
    "bfloat16_autocast": (UnsafeInHalf,),
    "translate_leaves_no_trace": (LeavesAGraph, MovesABuffer, DrawsGlobally, DrawsFromTraining),
    "averages_start_from_the_initialised_weights": (AverageOfNothing,),
    "presets_are_fields_of_config": (MisspeltPreset,),
    "a_setting_is_refused_in_one_line_or_makes_a_method": (TakesAnyNumber, DividesByZero),
    "discriminators_see_augmented_images_where_asked": (
        NamesNoDiscriminator,
        NamesNoNetwork,
        JudgesElsewhere,
        KeepsItsScores,
    ),
    "parts_of_a_batch_train_as_the_whole_batch_does": (EachPartDrawsForItself,),
}


def test_every_promise_has_a_cheat() -> None:
    assert list(CHEATS) == [promise.__name__ for promise in CHECKS]


@pytest.mark.parametrize(("promise", "cheat"), [(name, cheat) for name, cheats in CHEATS.items() for cheat in cheats])
def test_a_cheat_is_caught(promise: str, cheat: type[Honest], tmp_path: Path) -> None:
    (run,) = (one for one in CHECKS if one.__name__ == promise)
    with pytest.raises(AssertionError, match=r"breaks a promise: (.|\n)*\nSeen: .+\nMend: .+"):
        check(cheat, run, tmp_path)


def test_only_unfit_is_skipped(tmp_path: Path) -> None:
    class NoTask(Honest):
        @classmethod
        def check(cls, task: method.Task, config: Any, data: Any = None) -> None:
            if task.channels == 1:
                raise Unfit("colour images are needed")

    checks = {one.__name__: one for one in CHECKS}
    with pytest.raises(pytest.skip.Exception, match="colour images are needed"):
        check(NoTask, checks["one_channel"], tmp_path)
    check(NoTask, checks["resolution_32"], tmp_path)
