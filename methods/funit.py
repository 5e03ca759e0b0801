"""FUNIT (Liu et al., ICCV 2019, arXiv 1905.01723; code NVlabs/FUNIT at 198f430).

A content encoder, a class encoder and an AdaIN decoder, trained over all ordered pairs of the source's classes; the
discriminator has one output a class. The target is a class that training never sees (`train_on_target=false`, the
paper's few-shot setting and row C of BalaGAN's Table 5), or one class more. At test time the class code of a
translation is the mean over the codes of `k_shot` target images.

Where paper and code differ, the defaults follow the code; each such difference is a field of Config. The classes are
the data set's labels, or any other choice of methods/modes/. The code's batch of 64 lies on 8 GPUs whose gradients
are summed: `replicas`. Computed once instead of twice: the translations of a batch, which serve the steps of both
networks (the generator does not change in between).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import (
    Artifacts,
    Augment,
    Batch,
    Config,
    DiscriminatorFields,
    Domain,
    Guidance,
    Method,
    Stream,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods import modes
from bench.methods.nn import ema, losses
from bench.methods.nn.funit_networks import Discriminator, Generator
from bench.methods.nn.layers import Shortcut
from bench.methods.nn.rmsprop import RMSprop

ALPHA = 0.99  # of RMSprop
ENCODED = 32  # target images that are encoded at a time


@dataclass(frozen=True)
class FUNITConfig(Config, DiscriminatorFields, modes.Fields):
    """FUNIT's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = 64
    budget_kimg: float = setting(6400.0, "thousands of source images seen in training; 100,000 iterations of 64 images")
    classes: str = "labels"  # as in the paper
    encoder_images: Literal["both", "source"] = "source"  # the target is not seen in training
    load_ratio: float = setting(140 / 128, "images are enlarged by this much, then cropped at random", low=1, high=16)
    sampling: Literal["image_uniform", "class_uniform"] = setting(
        "image_uniform", "of both batches; image_uniform (code): every image equally often; class_uniform: every class"
    )
    train_on_target: bool = setting(
        False, "true: the target is one class more of the training; false: it is seen at test time only"
    )
    k_shot: int = setting(
        1,
        "target images whose class codes are averaged at test time: the reference, and k - 1 drawn at random from its "
        "class; 0: all training images of the class, so that the reference does not matter",
    )

    width: int = setting(64, "channels after the first conv of every network", low=1)
    downs: int = setting(3, "stride-2 convs of the content encoder", high=16)
    reference_downs: int = setting(4, "stride-2 convs of the class encoder", high=16)
    discriminator_downs: int = setting(4, "pooled stages of the discriminator", high=16)
    blocks: int = setting(2, "residual blocks of the content encoder, and of the decoder", low=1)
    latent: int = setting(64, "length of the class code", low=1)
    mlp_width: int = setting(256, "hidden width of the MLP that makes AdaIN parameters", low=1)
    d_shortcut: Shortcut = setting(
        "identity",
        "preact: as the code runs, whose in-place activations overwrite the shortcut and fail on newer PyTorch; "
        "identity: as the paper draws it and as the code's users mend it",
    )

    adv_weight: float = setting(1.0, "weight of the adversarial loss")
    reconstruction_weight: float = setting(0.1, "weight of the L1 reconstruction G(x, x)")
    feature_weight: float = setting(1.0, "weight of the feature matching")
    r1_weight: float = setting(10.0, "weight of the R1 penalty")
    r1: Literal["code", "per_sample"] = setting(
        "code", "code: R1 is divided by the square of a replica's batch; per_sample: as in the paper"
    )
    adv_on_reconstruction: bool = setting(
        True, "half of the adversarial loss is on G(x, x), as in the code; false: none, as in the paper"
    )
    features_on_reconstruction: bool = setting(
        True, "features of G(x, x) are matched to those of x too, as in the code; false: of translations only (paper)"
    )
    features_pooled: bool = setting(
        True, "spatial means of the features are matched, as in the code; false: the features, as in the paper"
    )

    lr: float = setting(1e-4, "learning rate of both networks", above=0)
    weight_decay: float = setting(1e-4, "L2 penalty, added to the gradient")
    ema_decay: float = setting(0.999, "decay of the average that translates", high=1)
    replicas: int = setting(
        8, "GPUs of the code: gradients are summed over them, R1 is that of batch_size / replicas images", low=1
    )

    accumulate: int = setting(
        1, "parts of a batch that go through the networks one after another, for less memory; same gradients", low=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % self.accumulate:
            raise UserError(f"a batch of {self.batch_size} has no {self.accumulate} equal parts; choose a divisor")
        if not self.train_on_target and (self.encoder_images != "source" or self.target_modes > 1):
            raise UserError("train_on_target=false leaves the target out: set encoder_images=source and target_modes=1")


@register
class FUNIT(modes.MultiClass, Method):
    """Translation between classes, to a class that a few images show."""

    name = "funit"
    paper = "Liu et al., Few-Shot Unsupervised Image-to-Image Translation, ICCV 2019, arXiv 1905.01723"
    year = 2019
    kind = "unpaired"
    needs = ("labels",)
    Config = FUNITConfig
    discriminators = ("discriminator.features",)
    presets = {
        "paper": {},
        # Narrow and shallow enough for minutes of one CPU thread, with larger steps and a shorter average.
        "cpu": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 10.0,
            "sampling": "class_uniform",  # a target image in each tenth place, not in each seventh
            "train_on_target": True,  # minutes of training on 32 pixels do not generalise to a class never seen
            "width": 12,
            "downs": 1,
            "reference_downs": 3,
            "discriminator_downs": 2,
            "latent": 32,
            "mlp_width": 64,
            "reconstruction_weight": 1.0,  # content settles sooner
            "lr": 5e-4,
            "ema_decay": 0.99,
            "replicas": 1,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "train_on_target": True,
            "width": 4,
            "downs": 1,
            "reference_downs": 2,
            "discriminator_downs": 2,
            "latent": 8,
            "mlp_width": 8,
            "replicas": 1,
        },
    }
    guidance: Guidance = "reference"
    second_order = ("discriminator",)

    @classmethod
    def whole_batch(cls, config: FUNITConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: FUNITConfig) -> None:
        super().__init__(task, config)
        self.config: FUNITConfig = config
        self.target: Domain | None = None
        self._codes: Tensor | None = None  # class codes of all target images, until the networks change
        n_source, n_target = modes.counts(config, task)
        if config.k_shot == 0 and n_target == 1:
            self.guidance = "none"
        c = config
        self.generator = Generator(
            task.channels, c.width, c.downs, c.reference_downs, c.blocks, c.latent, c.mlp_width, up_norm="instance"
        )
        n_classes = n_source + (n_target if c.train_on_target else 0)
        self.discriminator = self._discriminator(n_classes)
        self.networks = {"generator": self.generator, "discriminator": self.discriminator}
        self.ema = {"generator": ema.copy_of(self.generator)}
        self.optimizers = {name: self._optimizer(network) for name, network in self.networks.items()}

    def _discriminator(self, n_classes: int) -> Discriminator:
        c = self.config
        return Discriminator(self.task.channels, c.width, c.discriminator_downs, n_classes, c.d_shortcut)

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        c = self.config
        return RMSprop(network.parameters(), lr=c.lr, alpha=ALPHA, weight_decay=c.weight_decay)

    @classmethod
    def check(cls, task: Task, config: FUNITConfig, data: TaskData | None = None) -> None:
        most = max(config.downs, config.reference_downs, config.discriminator_downs)
        if task.resolution % 2**most or task.resolution < 2 ** (most + 1):
            raise Unfit(
                f"{cls.name} at resolution {task.resolution} cannot halve the image {most} times; choose a multiple "
                f"of {2**most}, at least {2 ** (most + 1)}, or lower downs, reference_downs and discriminator_downs"
            )
        super().check(task, config, data)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        super().prepare(data, artifacts)
        self.target = data.target_train

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Content and class images: two independent draws from the same training images."""
        c, class_ids = self.config, self.class_ids
        ids = np.concatenate([class_ids.source, class_ids.target]) if c.train_on_target else class_ids.source
        stream = Stream(
            pool="all" if c.train_on_target else "source",
            size=c.batch_size,
            order="shuffled" if c.sampling == "image_uniform" else "balanced",
            augment=Augment(flip=True, load_size=round(self.task.resolution * c.load_ratio)),
            classes=ids,
        )
        return {"source": stream, "reference": stream}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        self._codes = None
        tensors = (getattr(batch[name], what) for name in ("source", "reference") for what in ("image", "label"))
        parts = list(zip(*(tensor.chunk(self.config.accumulate) for tensor in tensors)))
        whole = len(parts) == 1 and self.share.in_process == 1
        with torch.set_grad_enabled(whole):  # of several parts only the images are kept, and made again for G's step
            fakes = [self.translations(xa, xb) for xa, _, xb, _ in parts]
        logged: dict[str, Tensor] = {}
        d_losses = (
            self.discriminator_loss(fake[: len(xa)].detach(), xb, lb) for fake, (xa, _, xb, lb) in zip(fakes, parts)
        )
        self.minimise("discriminator", self._shares(d_losses, logged))
        g_losses = (
            self.generator_loss(fake if whole else self.translations(xa, xb), torch.cat([xb, xa]), torch.cat([lb, la]))
            for fake, (xa, la, xb, lb) in zip(fakes, parts)
        )
        self.minimise("generator", self._shares(g_losses, logged))
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return logged

    def translations(self, content: Tensor, style: Tensor) -> Tensor:
        """G(content, style), then G(content, content): (2N, C, S, S)."""
        codes = self.generator.style_encoder(torch.cat([style, content]))
        return self.generator.decode(self.generator.content_encoder(content).repeat(2, 1, 1, 1), codes)

    def _shares(self, parts: Iterable[tuple[Tensor, dict[str, Tensor]]], logged: dict[str, Tensor]) -> Iterator[Tensor]:
        """What each part of the batch adds to the loss; the means of their figures go to `logged`."""
        n = self.config.accumulate
        for loss, figures in parts:
            for name, value in figures.items():
                logged[name] = logged.get(name, torch.zeros_like(value)) + value.detach() / n
            yield self.config.replicas * loss / n

    def discriminator_loss(self, fake: Tensor, real: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Real are the class images alone; fake are translations to the same classes."""
        real = real.detach().requires_grad_()
        with self.exact():
            features = self.discriminator.features(real)
        return self.hinge_and_r1(fake, real, features, label)

    def hinge_and_r1(
        self, fake: Tensor, real: Tensor, features: Tensor, label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its parts; `features` are those of `real`, which requires a gradient."""
        c, d = self.config, self.discriminator
        with self.exact():
            scores = d.scores(features, label)
        self.saw_real(d, scores)
        parts = {
            "d_real": losses.hinge_real(scores),
            "d_fake": losses.hinge_fake(d.scores(d.features(fake), label)),
        }
        total = c.adv_weight * (parts["d_real"] + parts["d_fake"])
        if c.r1_weight:
            # The penalty of a replica's batch, averaged: "code" divides by its square, not by that of the whole batch.
            scale = (c.replicas / (c.accumulate * self.share.count)) ** 2 if c.r1 == "code" else 1.0
            with self.exact():
                parts["r1"] = losses.r1(scores, real, c.r1) * scale
            total = total + c.r1_weight * parts["r1"]
        return total, parts

    def generator_loss(self, fake: Tensor, wanted: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """All three arguments hold translations and class images in the first half, and reconstructions and the
        content images themselves in the second."""
        c, d = self.config, self.discriminator
        half = len(fake) // 2
        features = d.features(fake)
        scores = d.scores(features, label)
        with self.unaugmented():
            with torch.no_grad():
                wanted_features = d.features(wanted)
            features = features if self.augmentation is None else d.features(fake)
        judged = len(fake) if c.adv_on_reconstruction else half
        matching = losses.feature_matching(features[:half], wanted_features[:half], c.features_pooled)
        if c.features_on_reconstruction:
            matching = matching + losses.feature_matching(features[half:], wanted_features[half:], c.features_pooled)
        parts = {
            "g_adv": -scores[:judged].mean(),
            "g_rec": F.l1_loss(fake[half:], wanted[half:]),
            "g_feat": matching,
        }
        total = c.adv_weight * parts["g_adv"]
        return total + c.reconstruction_weight * parts["g_rec"] + c.feature_weight * parts["g_feat"], parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        generator = self.ema["generator"]
        assert isinstance(generator, Generator)
        if self.config.k_shot == 0:
            code = self._mean_code(label, len(source))
        elif reference is None:
            raise ValueError(f"{self.name} translates to the look of a reference; pass reference=")
        else:
            code = self._class_code(generator.style_encoder(reference), label, rng)
        return generator.decode(generator.content_encoder(source), code)

    def _class_code(self, own: Tensor, label: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(N, latent): the mean of the references' codes and of k - 1 others, drawn with replacement."""
        others = self.config.k_shot - 1
        if others == 0:
            return own
        same_class = self._same_class(label, len(own))
        picked = torch.multinomial(same_class, others, replacement=True, generator=rng)
        return (own + self._target_codes()[picked].sum(1)) / (others + 1)

    def _mean_code(self, label: Tensor | None, count: int) -> Tensor:
        """(N, latent): the mean code of all target training images of each class."""
        same_class = self._same_class(label, count)
        return same_class @ self._target_codes() / same_class.sum(1, keepdim=True)

    def _same_class(self, label: Tensor | None, count: int) -> Tensor:
        """(N, n_target): 1 where a target training image has the wanted class (any class without `label`), else 0."""
        classes = torch.from_numpy(self.class_ids.target).to(self.device)
        wanted = classes.new_ones(count, len(classes)) if label is None else label[:, None] == classes
        return wanted.float()

    def _target_codes(self) -> Tensor:
        """(n_target, latent): codes of all target training images."""
        if self._codes is None:
            if self.target is None:
                raise RuntimeError("the target images are not known yet; call prepare first")
            encoder = self.ema["generator"].style_encoder
            assert isinstance(encoder, nn.Module)
            codes = []
            for start in range(0, len(self.target), ENCODED):
                pixels = torch.from_numpy(self.target.images(slice(start, start + ENCODED))).to(self.device)
                codes.append(encoder(pixels.float() / 127.5 - 1).float())
            self._codes = torch.cat(codes)
        return self._codes

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._codes = None
