"""Augmentation in front of discriminators: DiffAugment and ADA, as a switch of every method that has one.

A discriminator then sees augmented images alone, real and generated, in its own step and in the generator's, each image
with draws of its own; gradients, those of penalties too, go through the augmentation to the image before it. Methods
name the modules that judge images (Method.discriminators); the harness puts the augmentation in front of these.

DiffAugment (Zhao et al., NeurIPS 2020) augments always. ADA (Karras et al., NeurIPS 2020) does so with a probability p,
one a discriminator, that rises while the discriminator is right about too many of the real images.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.training import policies as P
from bench.training.config import setting

Images = list[Tensor]


@dataclass(frozen=True)
class DiscriminatorFields:
    """What the Config of a method with a discriminator inherits beside Config."""

    augment_d: Literal["none", "diffaugment", "ada"] = setting(
        "none", "augmentation of all that the discriminators see; ada: with a probability p that adapts itself"
    )
    augment_policy: tuple[Literal["color", "translation", "cutout"], ...] = setting(
        ("color", "translation", "cutout"), "augment_d=diffaugment: what it does, in this order"
    )
    ada_pipe: tuple[Literal["flip", "turn", "shift", "geom_simple", "color", "hue"], ...] = setting(
        ("flip", "shift", "color", "hue"),
        "augment_d=ada: what it does; flip: only where the data set allows it; leave out hue where a colour is the "
        "target's",
    )
    ada_target: float = setting(
        0.6, "mean sign of the discriminator's scores of real images that p is steered to", low=-1, high=1
    )
    ada_kimg: float | None = setting(
        None,
        "thousands of source images in which p would rise from 0 to 1; none: a fifth of the training, at least 20; "
        "ADA's code has 500",
        above=0,
    )
    ada_interval: int = setting(4, "iterations between two changes of p", low=1)
    ada_max: float = setting(0.8, "bound of p; above it generators tend to draw augmented images", above=0, high=1)

    @property
    def boundary(self) -> float | None:
        """The discriminator's score halfway between real and generated images; None: a critic, which has none."""
        return 0.0

    @property
    def unread(self) -> frozenset[str]:
        """All of these settings where the switch is off: the run is the one that it was before there was a switch."""
        return frozenset(field.name for field in fields(DiscriminatorFields) if self.augment_d == "none")

    def __post_init__(self) -> None:
        if self.augment_d == "ada" and self.boundary is None:
            raise UserError(
                "augment_d=ada needs a discriminator that decides between real and generated; this one's scores have "
                "no such boundary (Wasserstein); choose augment_d=diffaugment"
            )
        check_others: Callable[[], None] = getattr(super(), "__post_init__", lambda: None)
        check_others()


class DiscriminatorAugmentation:
    """Augments images in front of the modules of a method that judge them; draws from the method's generator.

    judges  for each module its path, "D" or "D.trunk"; its first part is the network's name
    rng     the generator of the draws, looked up anew at each of them
    mirror  whether a mirrored image is as good an image; where not, ADA's flip is left out
    """

    def __init__(
        self,
        config: DiscriminatorFields,
        judges: Mapping[str, nn.Module],
        rng: Callable[[], torch.Generator],
        images_per_step: int,
        budget_images: int,
        mirror: bool = True,
    ) -> None:
        self.config = config
        self.pipe = tuple(part for part in config.ada_pipe if mirror or part != "flip")
        self.rng = rng
        self.enabled = True
        kimg = config.ada_kimg or max(20.0, budget_images / 5000)
        self.change = images_per_step * config.ada_interval / (1000 * kimg)
        self.networks = [path.split(".")[0] for path in judges]
        self.adaptive = {name: Adaptive() for name in self.networks if config.augment_d == "ada"}
        self.steps = 0
        for name, module in zip(self.networks, judges.values()):
            module.register_forward_pre_hook(self._hook(name))

    def _hook(self, network: str) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        @torch.compiler.disable
        def augment(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not (self.enabled and module.training):
                return None
            images = [x for x in inputs if isinstance(x, Tensor) and x.ndim == 4]
            with torch.autocast(images[0].device.type, enabled=False):
                changed = iter(self.augment([image.float() for image in images], network))
            return tuple(next(changed) if isinstance(x, Tensor) and x.ndim == 4 else x for x in inputs)

        return augment

    def augment(self, images: Images, network: str) -> Images:
        """Images that are judged together, (N, C, H, W) each, move together; colours change in the last one alone."""
        if self.config.augment_d == "diffaugment":
            return diffaugment(images, self.config.augment_policy, self.rng())
        return ada(images, self.pipe, self.adaptive[network].p, self.rng())

    @contextmanager
    def off(self) -> Iterator[None]:
        self.enabled = False
        try:
            yield
        finally:
            self.enabled = True

    def saw_real(self, network: str, scores: Tensor) -> None:
        """Scores that a discriminator gave to real images, of any shape."""
        if self.adaptive:
            boundary = self.config.boundary
            assert boundary is not None
            self.adaptive[network].add(scores.detach().float() - boundary)

    def finish_step(self) -> dict[str, Tensor]:
        """Changes p where it is time. Returns the figures for the log."""
        self.steps += 1
        if self.steps % self.config.ada_interval == 0:
            for state in self.adaptive.values():
                state.adapt(self.config.ada_target, self.change, self.config.ada_max)
        device = self.rng().device
        return {f"augment_d/{name}": torch.tensor(state.p, device=device) for name, state in self.adaptive.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "adaptive": {name: state.state_dict() for name, state in self.adaptive.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = int(state["steps"])
        for name, own in state["adaptive"].items():
            self.adaptive[name].load_state_dict(own)


class Adaptive:
    """ADA's probability for one discriminator, and what decides its next change."""

    def __init__(self) -> None:
        self.p = 0.0
        self.signs = torch.zeros((), dtype=torch.float64)
        self.count = 0

    def add(self, scores: Tensor) -> None:
        """Scores of real images, from which the boundary is subtracted."""
        self.signs = self.signs.to(scores.device) + scores.sign().sum(dtype=torch.float64)
        self.count += scores.numel()

    def adapt(self, target: float, change: float, most: float) -> None:
        """p moves by `change` towards more where the mean sign is above the target, towards less where it is below; it
        stays where the discriminator saw no real image."""
        if not self.count:
            return
        mean = self.signs.item() / self.count
        self.p = min(most, max(0.0, self.p + change * ((mean > target) - (mean < target))))
        self.signs, self.count = torch.zeros_like(self.signs), 0

    def state_dict(self) -> dict[str, Any]:
        return {"p": self.p, "signs": self.signs.item(), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p, self.count = float(state["p"]), int(state["count"])
        self.signs = torch.tensor(state["signs"], dtype=torch.float64)


def modules_that_judge(networks: Mapping[str, nn.Module], patterns: Sequence[str]) -> dict[str, nn.Module]:
    """The modules that these paths name: a network's name, which may have wildcards, and behind a dot the name of a
    module in it."""
    modules = {}
    for pattern in patterns:
        name, _, inner = pattern.partition(".")
        for network in networks:
            if fnmatch(network, name):
                path = f"{network}.{inner}" if inner else network
                modules[path] = networks[network].get_submodule(inner)
    return modules


def diffaugment(images: Images, policy: Sequence[str], rng: torch.Generator) -> Images:
    """Always all of the policy, each image with its own draws."""
    n, (height, width) = len(images[0]), images[0].shape[2:]

    def uniform() -> Tensor:
        return torch.rand(n, generator=rng, device=rng.device)

    def whole(low: int, high: int) -> Tensor:
        """Whole numbers from low to high, both included."""
        return torch.randint(low, high + 1, (n,), generator=rng, device=rng.device)

    for name in policy:
        if name == "color":
            last = P.saturation(P.brightness(images[-1], uniform()), uniform())
            images = [*images[:-1], P.contrast(last, uniform())]
        elif name == "translation":
            most_r, most_c = int(height / 8 + 0.5), int(width / 8 + 0.5)
            rows, columns = whole(-most_r, most_r), whole(-most_c, most_c)
            images = [P.translate(image, rows, columns) for image in images]
        else:
            hole_r, hole_c = int(height / 2 + 0.5), int(width / 2 + 0.5)
            rows, columns = (whole(0, s - hole % 2) for s, hole in ((height, hole_r), (width, hole_c)))
            images = [P.cut_out(image, rows, columns, hole_r, hole_c) for image in images]
    return images


def ada(images: Images, pipe: Sequence[str], p: float, rng: torch.Generator) -> Images:
    """Each transform of the pipe with probability p an image."""
    if p == 0:
        return images
    draws = _Draws(len(images[0]), p, rng)
    images = _whole_pixels(images, pipe, draws)
    if "geom_simple" in pipe:
        inverse = _geometry(images[0], draws)
        images = [P.affine(image, inverse) for image in images]
    if "color" in pipe or "hue" in pipe:
        images = [*images[:-1], P.recolour(images[-1], _colours(pipe, draws))]
    return images


class _Draws:
    """Random numbers (n,), and which images a transform fires for."""

    def __init__(self, n: int, p: float, rng: torch.Generator) -> None:
        self.n, self.p, self.rng = n, p, rng

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(self.n, generator=self.rng, device=self.rng.device)

    def normal(self, std: float) -> Tensor:
        return std * torch.randn(self.n, generator=self.rng, device=self.rng.device)

    def fires(self, p: float | None = None) -> Tensor:
        return self.uniform() < (self.p if p is None else p)


def _whole_pixels(images: Images, pipe: Sequence[str], draws: _Draws) -> Images:
    if "flip" in pipe:
        fires = draws.fires() & (draws.uniform() < 0.5)
        images = [P.mirror(image, fires) for image in images]
    if "turn" in pipe:
        quarters = (4 * draws.uniform()).long().clamp(max=3) * draws.fires()
        images = [P.turn(image, quarters) for image in images]
    if "shift" in pipe:
        fires, sides = draws.fires(), images[0].shape[2:]
        rows, columns = ((draws.uniform(-0.125, 0.125) * side).round().long() * fires for side in sides)
        images = [P.shift(image, rows, columns) for image in images]
    return images


def _geometry(image: Tensor, draws: _Draws) -> Tensor:
    """(N, 3, 3): where a place of the output comes from: scale, turn, stretch, turn, shift."""
    height, width = image.shape[2:]
    either = 1 - math.sqrt(1 - draws.p)  # of two turns: one or both with p
    size = torch.exp2(draws.normal(0.2) * draws.fires())
    first = draws.uniform(-math.pi, math.pi) * draws.fires(either)
    stretch = torch.exp2(draws.normal(0.2) * draws.fires())
    second = draws.uniform(-math.pi, math.pi) * draws.fires(either)
    moves = draws.fires()
    x, y = (draws.normal(0.125) * side * moves for side in (width, height))
    matrix = P.scaling(1 / size, 1 / size) @ P.rotation(-first) @ P.scaling(1 / stretch, stretch)
    return matrix @ P.rotation(-second) @ P.shifting(-x, -y)


def _colours(pipe: Sequence[str], draws: _Draws) -> Tensor:
    """(N, 4, 4): brightness, contrast, luma flip, hue, saturation, in this order."""
    matrix = torch.eye(4, device=draws.rng.device).repeat(draws.n, 1, 1)
    if "color" in pipe:
        matrix = P.colour_shifting(draws.normal(0.2) * draws.fires()) @ matrix
        matrix = P.colour_scaling(torch.exp2(draws.normal(0.5) * draws.fires())) @ matrix
        matrix = P.luma_flip(draws.fires() & (draws.uniform() < 0.5)) @ matrix
    if "hue" in pipe:
        matrix = P.hue_turn(draws.uniform(-math.pi, math.pi) * draws.fires()) @ matrix
    if "color" in pipe:
        matrix = P.colour_saturation(torch.exp2(draws.normal(1.0) * draws.fires())) @ matrix
    return matrix
