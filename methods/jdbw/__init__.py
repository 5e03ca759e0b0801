"""JD-BW: joint discriminator with batch weight ("Batch weight for domain adaptation with mass shift", 2019).

Classes are not equally frequent in the two domains, and a plain GAN translator changes classes to match the target's
histogram. Here one discriminator D(u, v) compares pairs (x, Gxy(x)) with pairs (Gyx(y), y), and weighting networks
re-weight both batches until they meet at the midpoint of the two joint laws: with w = dQ/dP on the pairs of the source
and v = dP/dQ on those of the target, both estimated by a softmax over the batch,

    omega_i = (1/m + w_i)/2,  nu_j = (1/m + v_j)/2,  L- = sum omega_i D(x_i, Gxy(x_i)),  L+ = sum nu_j D(Gyx(y_j), y_j)
    D maximises L- - L+ under a gradient penalty, the generators minimise it, the weighting networks minimise its square

There is no cycle, identity or reconstruction loss. Labels serve the log alone (the class masses of figure 3).

The paper's equations 9-12 and its Algorithm 1 contradict each other; this is the one consistent reading (w = dQ/dP,
softmax weights beside 1/m instead of beside 1). From the authors' code come clipping, penalty, weighting networks and
initialisation; no public code has the joint discriminator (built from Table 1, its two residual blocks on the map of
128 channels where they fit) or the small generator (Table 2, rebuilt). The code lets gradients of the generators pass
through the weights, which rewards images that lower their own weight: off, `detach_weights`. The learning rate is the
code's; images are drawn from a small target with replacement.

The paper's convolutional setting (50,000 iterations of batch 128) is work for a GPU. `skip` adds the source to the
output: images look better soon, but the untrained network is then the identity, so no preset has it. The preset digits,
on digits8, shows on a CPU what the weights do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bench import (
    Augment,
    Batch,
    Config,
    DiscriminatorFields,
    Method,
    Stream,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.jdbw.networks import (
    Generator,
    JointDiscriminator,
    LargeGenerator,
    VectorGenerator,
    VectorScore,
)
from bench.methods.nn import ema
from bench.methods.nn.batch_weight import (
    Progress,
    ScoreNetwork,
    clip_bound,
    clipped_softmax,
    composite,
    effective_size,
    with_uniform,
)


@dataclass(frozen=True)
class JDBWConfig(Config, DiscriminatorFields):
    """JD-BW's settings. The defaults are the paper's for 128 pixels; presets srmnist and svhn hold those for 32."""

    resolution: int = 128
    batch_size: int = setting(
        6, "m: the weights are a softmax over this many images, so small batches make coarse weights"
    )
    budget_kimg: float = setting(
        5400.0, "thousands of source images seen in training; 300,000 iterations of (2 + 1) times 6 images"
    )
    d_steps: int = setting(2, "discriminator steps per generator step, each on images of its own", low=1)

    variant: Literal["joint", "jd_only", "one_sided"] = setting(
        "joint",
        "joint: the joint discriminator with weights; jd_only: no weights; one_sided: Algorithm 2, one generator, a "
        "discriminator of target images, weights on the source only and without the uniform half",
    )
    weighting: Literal["composite", "pair", "one_domain"] = setting(
        "composite",
        "composite: Wx and Wy, the mean of their weights; pair: one W of both images; one_domain: one W of the source "
        "image",
    )
    detach_weights: bool = setting(True, "no gradient from the weights to the generators; false: as the code")

    network: Literal["auto", "small", "large", "vector"] = setting(
        "auto",
        "generator; small: Table 2, for 32 pixels; large: MUNIT's without styles; vector: everything fully connected, "
        "for 8x8; auto: small up to 32 pixels, above large",
    )
    kernel: Literal[1, 4] = setting(
        4, "kernel of the middle pair of layers of the small generator; 4 has stride 2; 1 is for SVHN"
    )
    width: int = setting(
        64,
        "first channels of generators and weighting networks, twice the discriminator's; hidden width of vector",
        low=1,
    )
    blocks: int = setting(2, "residual blocks on each side of the small generator; the large one has 4")
    latent: int = setting(16, "length of the noise, which is uniform in [-1, 1]", low=1)
    skip: bool = setting(False, "small, large: add the source before the tanh; not in the paper: for short runs")

    gp_weight: float = setting(10.0, "lambda of the gradient penalty, which is taken at the pairs themselves")
    gp_type: Literal["one", "zero"] = setting(
        "one", "gradient penalty; one: (|grad| - 1)^2 as in the code; zero: |grad|^2 as cited"
    )

    clip_start: int = setting(0, "generator step before which all weights are equal")
    clip_full: int = setting(
        1000, "generator step at which the bound of the scores, first 0.25, has grown by 1; it grows on", low=1
    )

    lr: float = setting(1e-4, "learning rate of all three Adams, that of the code; the paper names none", above=0)
    flip: bool = setting(False, "mirror images at random, where the data set allows it")
    log_masses: bool = setting(
        True, "every class's mass of both domains stands in the log, besides their largest difference"
    )
    ema_decay: float | None = setting(
        None,
        "decay of an average of Gxy that translates; none: no average, as in the paper; short runs are noisy",
        high=1,
    )

    @property
    def boundary(self) -> None:
        """A Wasserstein critic has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_full <= self.clip_start:
            raise UserError(f"clip_full={self.clip_full} must be larger than clip_start={self.clip_start}")

    @property
    def generator(self) -> str:
        if self.network != "auto":
            return self.network
        return "small" if self.resolution <= 32 else "large"


def weighted_difference(scores: Tensor, omega: Tensor, nu: Tensor) -> Tensor:
    """L- - L+ of the scores (2m,) of m pairs of the source, then m of the target."""
    on_source, on_target = scores.float().tensor_split([len(omega)])
    return (omega * on_source).sum() - (nu * on_target).sum()


def gradient_penalty(scores: Tensor, images: tuple[Tensor, ...], weights: Tensor, kind: str) -> Tensor:
    """sum_i weight_i (|grad_i| - 1)^2, or weight_i |grad_i|^2: the gradient of D at a pair, in all of its images.

    scores (N,), computed from the images (N, C, S, S), which require a gradient; weights (N,), detached
    """
    gradients = torch.autograd.grad(scores.sum(), images, create_graph=True)
    square = torch.stack([g.float().flatten(1).square().sum(1) for g in gradients]).sum(0)
    return (weights * (square if kind == "zero" else ((square + 1e-6).sqrt() - 1).square())).sum()


@register
class JDBW(Method):
    """A joint discriminator of pairs, whose batches are re-weighted until classes need not change; noise-guided."""

    name = "jdbw"
    aliases = ("jd-bw", "batch-weight")
    paper = "Batch weight for domain adaptation with mass shift, 2019"
    year = 2019
    kind = "unpaired"
    needs = ()
    Config = JDBWConfig
    discriminators = ("D",)
    second_order = ("D",)
    guidance = "noise"
    presets = {
        "paper": {},
        "srmnist": {"resolution": 32, "batch_size": 128, "d_steps": 5, "latent": 8, "budget_kimg": 38400.0},
        "svhn": {"resolution": 32, "batch_size": 128, "d_steps": 5, "kernel": 1, "budget_kimg": 192000.0},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "d_steps": 1,
            "budget_kimg": 26.6,  # 1,662 iterations
            "kernel": 1,
            "width": 16,
            "latent": 8,
            "gp_type": "zero",
            "clip_full": 1200,
            "lr": 4e-4,
            "ema_decay": 0.99,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 0.02,
            "d_steps": 1,
            "width": 4,
            "blocks": 1,
            "latent": 2,
        },
        "digits": {
            "resolution": 8,
            "batch_size": 64,
            "d_steps": 5,
            "budget_kimg": 134.4,  # 350 iterations
            "network": "vector",
            "width": 128,
            "latent": 4,
            "clip_full": 250,
            "lr": 1e-3,
        },
    }

    @classmethod
    def whole_batch(cls, config: JDBWConfig) -> str | None:
        return "the batch weights are a softmax over its images"

    def __init__(self, task: Task, config: JDBWConfig) -> None:
        super().__init__(task, config)
        self.config: JDBWConfig = config
        generators = ["Gxy"] if config.variant == "one_sided" else ["Gxy", "Gyx"]
        for name in generators:
            self.networks[name] = self._generator()
        if config.ema_decay is not None:
            self.ema["Gxy"] = ema.copy_of(self.networks["Gxy"])
        self.networks["D"] = self._discriminator()
        for name, images in self._weighting_networks().items():
            self.networks[name] = self._score(images)
        for name, members in {"G": generators, "D": ["D"], "W": list(self._weighting_networks())}.items():
            parameters = [p for member in members for p in self.networks[member].parameters()]
            if parameters:
                self.optimizers[name] = torch.optim.Adam(parameters, config.lr, betas=(0.5, 0.999), fused=True)
        self.progress = Progress(task.classes)
        self.memory = {"progress": self.progress}

    @classmethod
    def check(cls, task: Task, config: JDBWConfig, data: TaskData | None = None) -> None:
        side = task.resolution
        if config.network != "vector" and (side < 16 or side & (side - 1)):
            raise Unfit(
                f"jdbw cannot halve images of {side} pixels down to one pixel; choose a power of 2, at least 16, or "
                "network=vector"
            )

    def _weighting_networks(self) -> dict[str, int]:
        """Each network and how many images it takes at once."""
        if self.config.variant == "jd_only":
            return {}
        if self.config.variant == "one_sided" or self.config.weighting == "one_domain":
            return {"Wx": 1}
        return {"W": 2} if self.config.weighting == "pair" else {"Wx": 1, "Wy": 1}

    def _generator(self) -> nn.Module:
        c, channels = self.config, self.task.channels
        if c.generator == "vector":
            return VectorGenerator(channels * self.task.resolution**2, c.latent, c.width)
        if c.generator == "large":
            return LargeGenerator(channels, channels, c.latent, c.width, c.skip)
        return Generator(channels, channels, c.latent, c.kernel, c.width, c.blocks, c.skip)

    def _discriminator(self) -> nn.Module:
        c, channels = self.config, self.task.channels
        if c.generator == "vector":
            return self._score(1 if c.variant == "one_sided" else 2)
        if c.variant == "one_sided":
            return ScoreNetwork(channels, self.task.resolution, c.width, discriminator=True)
        return JointDiscriminator(channels, channels, self.task.resolution, max(1, c.width // 2))

    def _score(self, images: int) -> nn.Module:
        c, channels = self.config, self.task.channels
        if c.generator == "vector":
            return VectorScore(images * channels * self.task.resolution**2, c.width)
        return ScoreNetwork(images * channels, self.task.resolution, c.width)

    @property
    def images_per_step(self) -> int:
        return self.config.batch_size * (self.config.d_steps + 1)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        n, augment = self.images_per_step, Augment(flip=self.config.flip)
        return {"x": Stream("source", n, augment=augment), "y": Stream("target", n, "uniform", augment)}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        first = self.config.batch_size * self.config.d_steps  # images of the discriminator's steps
        x, y = batch["x"].image, batch["y"].image
        losses = self._discriminator_steps(x[:first], y[:first])
        generator_losses, omega, nu = self._generator_step(x[first:], y[first:])
        if self.config.ema_decay is not None:
            ema.update(self.ema["Gxy"], self.networks["Gxy"], self.config.ema_decay)
        self.progress.add((omega, batch["x"].label[first:]), (nu, batch["y"].label[first:]))
        return losses | generator_losses | self._figures(omega, nu)

    def _discriminator_steps(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Generators and weights do not change meanwhile, so those of all steps are made at once."""
        m, d = self.config.batch_size, self.config.d_steps
        with torch.no_grad():
            gy, gx = self.generate(x, y)
            omegas, nus = self.weights(x, gy, gx, y)
        parts = [images.split(m) for images in (x, gy, gx, y)]
        sums: dict[str, Tensor] = {}
        for i, (omega, nu) in enumerate(zip(omegas, nus)):
            inputs = self.inputs(*(part[i] for part in parts))
            for images in inputs:
                images.requires_grad_()
            with self.exact():
                scores = self.networks["D"](*inputs)
                penalty = gradient_penalty(scores, inputs, torch.cat([omega, nu]), self.config.gp_type)
            difference = weighted_difference(scores, omega, nu)
            self.minimise("D", self.config.gp_weight * penalty - difference)
            for name, value in (("difference", difference), ("penalty", penalty)):
                sums[name] = sums.get(name, 0.0) + value.detach() / d
        return sums

    def _generator_step(self, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """One step of the generators, one of the weighting networks, both from gradients at the same point."""
        gy, gx = self.generate(x, y)
        (omega,), (nu,) = self.weights(x, gy.detach(), gx.detach(), y)
        scores = self.networks["D"](*self.inputs(x, gy, gx, y))
        if self.config.detach_weights:
            loss = weighted_difference(scores, omega.detach(), nu.detach())
        else:
            (live_omega,), (live_nu,) = self.weights(x, gy, gx, y)
            loss = weighted_difference(scores, live_omega, live_nu)
        losses = {"G": loss}
        if "W" in self.optimizers:
            losses["W"] = weighted_difference(scores.detach(), omega, nu).square()
        for name, value in losses.items():
            self.minimise(name, value)
        return {name: value.detach() for name, value in losses.items()}, omega.detach(), nu.detach()

    def generate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gxy(x), and Gyx(y); y itself where there is no Gyx."""
        gy = self.networks["Gxy"](x, self._noise(len(x), self.rng))
        return gy, self.networks["Gyx"](y, self._noise(len(y), self.rng)) if "Gyx" in self.networks else y

    def inputs(self, x: Tensor, gy: Tensor, gx: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """What D judges: pairs of the source, then pairs of the target; an image of the source's domain comes first."""
        of_target = torch.cat([gy, y])
        return (of_target,) if self.config.variant == "one_sided" else (torch.cat([x, gx]), of_target)

    def weights(self, x: Tensor, gy: Tensor, gx: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """omega and nu (n, m) of n batches of m pairs (x, gy) and (gx, y), each (n m, C, S, S)."""
        nets, m, n = self.networks, self.config.batch_size, len(x)
        bound = clip_bound(self.progress.step, self.config.clip_start, self.config.clip_full)

        def share(scores: Tensor) -> Tensor:
            return clipped_softmax(scores.view(-1, m), bound)

        if self.config.variant == "one_sided":
            return share(nets["Wx"](x)), x.new_full((n // m, m), 1 / m)
        if self.config.variant == "jd_only":
            return x.new_full((n // m, m), 1 / m), x.new_full((n // m, m), 1 / m)
        if self.config.weighting == "pair":
            on_source, on_target = nets["W"](torch.cat([x, gx]), torch.cat([gy, y])).split(n)
            return with_uniform(share(on_source)), with_uniform(share(-on_target))
        if self.config.weighting == "composite":
            w, v = composite(nets, x, gy, gx, y, m, bound)
        else:
            on_x, on_gx = nets["Wx"](torch.cat([x, gx])).split(n)  # log dQ/dP
            w, v = share(on_x), share(-on_gx)
        return with_uniform(w), with_uniform(v)

    def _noise(self, count: int, rng: torch.Generator | None) -> Tensor:
        return 2 * torch.rand(count, self.config.latent, generator=rng, device=self.device) - 1

    def _figures(self, omega: Tensor, nu: Tensor) -> dict[str, Tensor]:
        """Effective sizes of both batches, and the masses of figure 3."""
        sizes = {"ess_x": effective_size(omega), "ess_y": effective_size(nu)}
        return sizes | self.progress.figures(self.config.log_masses)

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.ema.get("Gxy", self.networks["Gxy"])(source, self._noise(len(source), rng))

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor | None:
        if "Gyx" not in self.networks:
            return None
        return self.networks["Gyx"](images, self._noise(len(images), rng))
