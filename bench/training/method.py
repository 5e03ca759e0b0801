"""The contract of a method: networks, one training iteration, one translation. No files, no devices, no loops."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from bench.data.task import TaskData
from bench.training.artifacts import Artifacts
from bench.training.augment_d import DiscriminatorAugmentation, DiscriminatorFields, modules_that_judge
from bench.training.compute import Surroundings
from bench.training.config import check_values, setting
from bench.training.loop import Remembers
from bench.training.sampler import Batch, Stream
from bench.training.share import Share, Turns

T = TypeVar("T")
Guidance = Literal["none", "noise", "reference"]
Kind = Literal["unpaired", "paired", "generator"]


@dataclass(frozen=True)
class Config:
    """What every method can be told; a method's own Config adds its fields. `--set field=value` reaches all of them.

    Raises UserError for values that the fields' types and bounds do not allow. A subclass with a __post_init__ of its
    own calls this one first.
    """

    resolution: int = setting(128, "side of the images in pixels", low=1)
    batch_size: int = setting(1, "source images of one iteration", low=1)
    budget_kimg: float = setting(300.0, "thousands of source images seen in training", above=0, high=10**9)

    def __post_init__(self) -> None:
        check_values(self)
        mixin = getattr(super(), "__post_init__", None)  # of classes with further fields, such as modes.Fields
        if mixin is not None:
            mixin()


@dataclass(frozen=True)
class Task:
    """What a method may know of the data before it sees any."""

    resolution: int
    n_source: int  # training images of the source
    n_target: int  # size of the target subset
    n_labels: int  # classes of the data set, 0 where it has none
    channels: int = 3
    names: tuple[str, ...] = ("source", "target")  # the domains: source, target, then the data set's others
    kinds: tuple[str, ...] = ("rgb", "rgb")  # of each: rgb, labels, depth, grey (bench.data.modality)
    label_names: tuple[str, ...] = ()  # of the classes
    mirror: bool = (
        True  # whether a mirrored image is as good an image; where not, no method mirrors (the sampler sees to
    )
    # it for the streams; whoever mirrors images on other ways asks here)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the log calls the classes: their names, or their numbers where those are not known."""
        return self.label_names or tuple(str(label) for label in range(self.n_labels))


class Method(ABC):
    """One translation method. One file in methods/ is one method; see methods/cyclegan.py.

    A subclass builds its networks and optimizers in __init__ and fills the dictionaries below; the harness moves,
    saves, restores and counts what is in them. Network initialisation may draw from torch's global generator, which
    the harness has seeded; draws in train_step come from `self.rng`, draws in translate from its `rng`.

    networks    every trained network by its name in the paper or its code
    ema         averaged copies, by the name of the network that they follow; absent where a method has none
    optimizers  by name; train_step uses them through `minimise`
    schedulers  learning-rate schedules; the harness steps each once an iteration
    memory      what else training remembers

    `kind` is "unpaired" (the usual case), "paired" (training images of different domains are known to show the same
    thing: an upper bound) or "generator" (it makes images of the target and ignores the source).
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str]
    year: ClassVar[int]  # of publication
    kind: ClassVar[Kind] = "unpaired"  # what it learns from; methods are ranked among their own kind only
    needs: ClassVar[tuple[str, ...]] = ()  # what data it needs, keys of bench.training.needs.NEEDS
    Config: ClassVar[type[Config]]
    presets: ClassVar[dict[str, dict[str, Any]]]  # literals: fields of Config that differ from its defaults
    second_order: ClassVar[tuple[str, ...]] = ()  # networks of which a loss holds a gradient (penalties)
    discriminators: ClassVar[tuple[str, ...]] = ()  # modules that judge images in adversarial terms, by name of their
    # network: "D", "C_*", "D.trunk"; their positional arguments of four dimensions are images
    guidance: Guidance = "none"  # what chooses among the translations of one source; an instance may set its own
    label_of: Literal["reference", "source"] = "reference"  # whose class translate gets as `label`
    class_conditional: ClassVar[bool] = False  # translate makes an image of the class `label`
    augmentation: DiscriminatorAugmentation | None = None  # in front of the discriminators, where `augment_d` asks
    companion: str | None = None  # a further domain: translate gets its image of the same scene as `reference`

    def __init__(self, task: Task, config: Any) -> None:
        self.check(task, config)
        self.task = task
        self.config = config
        self.device = torch.device("cpu")
        self.rng = torch.Generator()
        self.scaler = torch.amp.GradScaler("cpu", enabled=False)
        self._stepped: set[int] = set()  # ids of the optimizers that stepped since the last update of the loss scale
        self.share = Share()  # which part of the batch train_step gets
        self.accumulate = 1  # parts of its batch that a process takes one after another
        self.networks: dict[str, nn.Module] = {}
        self.ema: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.schedulers: dict[str, torch.optim.lr_scheduler.LRScheduler] = {}
        self.memory: dict[str, Remembers] = {}

    @property
    def budget_images(self) -> int:
        """Source images that training sees in all."""
        return max(1, round(1000 * self.config.budget_kimg))

    @property
    def images_per_step(self) -> int:
        return int(self.config.batch_size)

    @property
    def total_steps(self) -> int:
        return -(-self.budget_images // self.images_per_step)

    @property
    def opening(self) -> int:
        """Steps at the start that do something else than the rest, in a number that the config fixes, such as those in
        which a network is frozen. A budget of compute counts both kinds. Kinds of steps that are shares of the training
        are no opening."""
        return 0

    def skip_opening(self) -> None:  # noqa: B027  (most methods have none)
        """Lets the next step be the first after the opening; only for counting what it takes."""

    @classmethod
    def whole_batch(cls, config: Any) -> str | None:
        """Why train_step needs all images of a batch at once, a phrase; None where it may get them in parts.

        In parts, for several GPUs or for less memory, gradients are averaged over the parts in `minimise`. That equals
        the whole batch where every loss is a mean over its images, no layer looks at several images (batch norm), and
        train_step keeps to `draw`, `once` and `over_batch` below.
        """
        return "it does not say that its losses are means over images"

    @classmethod  # noqa: B027  (most methods can do any task)
    def check(cls, task: Task, config: Any, data: TaskData | None = None) -> None:
        """Raises Unfit, with what mends it, where a method with this config cannot do this task. Cheap: the harness
        calls it before it builds anything, __init__ again without `data`. What fits no task is the Config's to refuse.
        """

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:  # noqa: B027  (most methods have no such stage)
        """An optional slow stage before training (mode finding, pre-training). Its results are artifacts, so a second
        call finds them; they are keyed by everything that they depend on and shared between runs."""

    @abstractmethod
    def streams(self, data: TaskData) -> dict[str, Stream]:
        """The batches that train_step wants, by name. Called after prepare."""

    @abstractmethod
    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """One full iteration: all networks, all optimizers. Returns named, detached scalar losses for the log; those
        called "group/series" or "group/panel/series" are drawn as well (bench.runs.curves)."""

    def iterate(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """train_step and what follows every iteration: schedules, and ADA's probabilities, which join the losses."""
        losses = self.train_step(batch) if self.accumulate == 1 else self._train_in_turns(batch)
        self._average_over_ranks(losses)
        self.end_iteration()
        return losses if self.augmentation is None else {**losses, **self.augmentation.finish_step()}

    @abstractmethod
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        """Source images -> the target domain.

        source     float (N, C, S, S) in [-1, 1]
        reference  the same shape: images of the target training subset, used where guidance is "reference"; of a
                   method with a `companion` the held-out image of that domain that shows what the source shows
        rng        on the method's device; used where guidance is "noise"
        label      int64 (N,): the class of each reference (see target_classes), or the data set's label of each
                   source, -1 where it has none (see label_of); used by class-conditional methods
        returns    float (N, C, S, S); values outside [-1, 1] are clipped by the harness
        """

    def translate_steps(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> list[Tensor]:
        """Every image that `translate` makes on its way, in order; the last one is what it returns. Arguments and
        images as there. A method that translates at once has one."""
        return [self.translate(source, reference, rng, label)]

    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor | None:
        """Target images -> the source domain, as in translate; None where the method learns one direction only.

        Gets the run's translations (two-step agreement) and held-out target images (the metrics `..._back`).
        """
        return None

    def bottleneck(self, images: Tensor, domain: str) -> Tensor | None:
        """The latent code (N, ...) of images of this domain, where all domains share one latent space, else None."""
        return None

    def target_classes(self, data: TaskData) -> Any:
        """int64 (n_target,): the class of each target training image, as `label` of translate means it."""
        return data.target_train.labels

    def source_modes(self) -> Any:
        """int64 (n_source,): the class that the method has put each source training image into; None where it looks for
        none. Called after prepare."""
        return None

    def augment_discriminators(self) -> None:
        """Puts what `augment_d` asks for in front of the discriminators; the harness calls it once, before training."""
        config = self.config
        if not isinstance(config, DiscriminatorFields) or config.augment_d == "none":
            return
        judges = modules_that_judge(self.networks, self.discriminators)
        self.augmentation = DiscriminatorAugmentation(
            config, judges, lambda: self.rng, self.images_per_step, self.budget_images, self.task.mirror
        )
        self.memory["augment_d"] = self.augmentation

    def saw_real(self, discriminator: nn.Module, scores: Tensor | Sequence[Tensor]) -> None:
        """Tells ADA the scores, of any shape, that one of the networks gave to real images in its own step."""
        if self.augmentation is not None:
            (name,) = (name for name, network in self.networks.items() if network is discriminator)
            for part in [scores] if isinstance(scores, Tensor) else scores:
                self.augmentation.saw_real(name, part)

    def unaugmented(self) -> AbstractContextManager[Any]:
        """Discriminators see images as they are: for terms that are not adversarial, such as matched features."""
        return nullcontext() if self.augmentation is None else self.augmentation.off()

    def minimise(
        self, names: str | Sequence[str], loss: Tensor | Iterable[Tensor], clip_norm: float | None = None
    ) -> None:
        """One step of the named optimizers on a loss, or on the sum of several whose graphs are made one after another
        (accumulated gradients). Gradients are computed for their parameters and for nothing else; where the norm of
        all of them together is above `clip_norm` they are scaled down to it."""
        optimizers = [self.optimizers[name] for name in ([names] if isinstance(names, str) else names)]
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        parameters = [p for group in groups for p in group["params"] if p.requires_grad]
        if self.share.turn == 0:
            if self._stepped & {id(optimizer) for optimizer in optimizers}:
                self._update_scale()  # the scaler wants to be updated before the same optimizer steps again
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
        turns = self.share.in_process
        for part in [loss] if isinstance(loss, Tensor) else loss:
            if parameters:
                self.scaler.scale(part if turns == 1 else part / turns).backward(inputs=parameters)
        self.once(lambda: self._step(optimizers, parameters, clip_norm))

    def _step(
        self, optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[Tensor], clip_norm: float | None
    ) -> None:
        self.share.ranks.average([p.grad for p in parameters if p.grad is not None])
        if clip_norm is not None:
            for optimizer in optimizers:
                self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
            self._stepped.add(id(optimizer))

    def draw(self, make: Callable[[int], Tensor], rows: int, blocks: int = 1) -> Tensor:
        """Random numbers (rows, ...) for the images that this train_step sees; `make(m)` draws m rows from self.rng.

        Every part of a batch draws for the whole batch, so that each image gets the numbers that it has in a batch that
        is not cut. blocks: the rows are so many times those of the batch.
        """
        share = self.share
        return make(rows) if share.count == 1 else share.own(make(rows * share.count), blocks)

    def once(self, act: Callable[[], T]) -> T:
        """act(), when all parts of the batch have come as far, and once for all of them: for what changes anything but
        through `minimise`, such as averages of weights."""
        return self.share.once(act)

    def over_batch(self, function: Callable[[Tensor], Tensor], part: Tensor, blocks: int = 1) -> Tensor:
        """function(rows of the whole batch), done once and without gradients; this part of the batch gets its own rows.

        blocks  `part` holds so many times the rows of this part of the batch
        """
        if self.share.count == 1:
            return function(part)
        whole = self.share.whole(part, blocks)
        rows, state = self.once(lambda: (function(whole), self.rng.get_state()))
        self.rng.set_state(state)
        return self.share.own(rows, blocks)

    def _train_in_turns(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """train_step of each part of the batch, each up to a minimise, then each up to the next one, and so on."""
        n, turns = self.accumulate, Turns(self.accumulate)
        parts = [copy.copy(self) for _ in range(n)]  # which share networks, optimizers and memory
        state, here = self.rng.get_state(), Surroundings.of_this_thread(self.device)
        for number, part in enumerate(parts):
            part.share, part.rng = Share(self.share.ranks, number, turns), torch.Generator(self.rng.device)
            part.rng.set_state(state)

        def train(number: int) -> dict[str, Tensor]:
            with here.entered():
                return parts[number].train_step({name: whole.part(number, n) for name, whole in batch.items()})

        losses = turns.run([lambda number=number: train(number) for number in range(n)])  # type: ignore[misc]
        own = {"share": self.share, "rng": self.rng}
        self.rng.set_state(parts[-1].rng.get_state())
        vars(self).update({**vars(parts[-1]), **own})
        return {name: torch.stack([part[name].float() for part in losses]).mean(0) for name in losses[0]}

    def _average_over_ranks(self, losses: dict[str, Tensor]) -> None:
        if self.share.ranks.count > 1:
            names = sorted(losses)
            means = torch.stack([losses[name].detach().float() for name in names])
            self.share.ranks.average([means])
            losses.update(zip(names, means))

    def end_iteration(self) -> None:
        """After each train_step: the loss scale and the schedules of learning rates."""
        self._update_scale()
        for schedule in self.schedulers.values():
            schedule.step()

    def _update_scale(self) -> None:
        if self._stepped:
            self.scaler.update()
        self._stepped.clear()

    def exact(self) -> AbstractContextManager[Any]:
        """float32, whatever autocast says: for gradients of gradients (penalties), which float16 cannot hold and
        bfloat16 rounds to two or three digits."""
        kind = self.device.type
        return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()

    def modules(self) -> list[nn.Module]:
        return [*self.networks.values(), *self.ema.values()]

    def to(self, device: torch.device, channels_last: bool = False) -> None:
        """Moves every network in place, before the first step, so that optimizers keep their parameters."""
        self.device = device
        self.rng = torch.Generator(device)
        for module in self.modules():
            module.to(device)
            if channels_last:
                module.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> None:
        for module in self.networks.values():
            module.train(mode)
        for module in self.ema.values():
            module.eval()

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs; only tensors, numbers, strings and containers of them."""
        groups = {key: {n: part.state_dict() for n, part in parts.items()} for key, parts in self._parts().items()}
        return {**groups, "rng": self.rng.get_state(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, parts in self._parts().items():
            for name, part in parts.items():
                part.load_state_dict(state[key][name])
        self.rng.set_state(state["rng"])
        self.scaler.load_state_dict(state["scaler"])

    def _parts(self) -> dict[str, Mapping[str, Any]]:
        return {
            "networks": self.networks,
            "ema": self.ema,
            "optimizers": self.optimizers,
            "schedulers": self.schedulers,
            "memory": self.memory,
        }
