"""Two pix2pix in a row: source -> a third domain -> target (Y. Wang's thesis, chapter 4, "2 x pix2pix").

The baseline for a translation of which no pair was ever seen: pairs (source, third) train the first network, pairs
(third, target) the second, each by itself as in methods/pix2pix.py; translating chains them. What the third domain does
not need, the first hop drops, also where the target would need it.

Each hop ends with the loss of its modality: images with L1, label maps with cross entropy (one channel a class, no
tanh), depth with BerHu. The weights of label maps and depth are ours, as the thesis does not print them. The image in
between is passed on as it is, without rounding; label maps as probabilities. The hops are not fine-tuned together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Batch, Domain, Method, Stream, Task, TaskData, Unfit, register, setting
from bench.methods.nn import paired
from bench.methods.nn.modalities import Modality, berhu, cross_entropy
from bench.methods.nn.paired import PairedConfig

HOPS = ("first", "second")


@dataclass(frozen=True)
class CascadeConfig(PairedConfig):
    """The settings of both pix2pix, and of the modalities."""

    n_ids: int = setting(14, "label ids of a segmentation", low=1, high=255)
    far: float = setting(20.0, "metres that the data set's depth can reach", above=0)
    lambda_labels: float = setting(
        1.0, "weight of the cross entropy, where the output is a label map; the thesis prints none"
    )
    lambda_depth: float = setting(10.0, "weight of BerHu of metres, where the output is depth; that of M&MNets")


@register
class Pix2PixCascade(Method):
    """pix2pix from the source to a third domain, then from there to the target."""

    name = "pix2pix-cascade"
    aliases = ("2x_pix2pix",)  # its name in published figures
    paper = "Isola et al., CVPR 2017, twice in a row: baseline of Wang et al., Mix and Match Networks, CVPR 2018"
    year = 2018
    kind = "paired"
    needs = ("anchor",)
    Config = CascadeConfig
    discriminators = ("D_first", "D_second")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 10.0,
            "width": 16,
            "discriminator_layers": 2,
            "norm": "instance",
            "lr": 4e-4,
        },
        "smoke": {"resolution": 32, "batch_size": 2, "budget_kimg": 0.02, "width": 4, "discriminator_layers": 2},
    }

    @classmethod
    def whole_batch(cls, config: CascadeConfig) -> str | None:
        return "batch norm and dropout look at several images"

    def __init__(self, task: Task, config: CascadeConfig) -> None:
        super().__init__(task, config)
        self.config: CascadeConfig = config
        self.guidance = "none" if config.deterministic else "noise"
        self.source = self._modality(task.kinds[0])
        self.target = self._modality(task.kinds[1])
        self.anchor_name, anchor_kind = self._anchor(task)
        self.anchor = self._modality(anchor_kind)
        self.hops = {"first": (self.source, self.anchor), "second": (self.anchor, self.target)}
        for hop, (x, y) in self.hops.items():
            tanh = y.kind not in ("labels", "depth")
            self.networks[f"G_{hop}"] = paired.generator(config, x.width, y.width, tanh)
            self.networks[f"D_{hop}"] = paired.discriminator(config, x.width + y.width)
        for name, network in self.networks.items():
            self.optimizers[name] = paired.optimizer(network, config)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    def _modality(self, kind: str) -> Modality:
        return Modality(kind, self.task.channels, self.config.n_ids, self.config.far)

    @staticmethod
    def _anchor(task: Task) -> tuple[str, str]:
        """Name and kind of the domain in between: RGB before other kinds, then in the order of the data set."""
        return min(zip(task.names[2:], task.kinds[2:]), key=lambda domain: domain[1] != "rgb")

    @classmethod
    def check(cls, task: Task, config: CascadeConfig, data: TaskData | None = None) -> None:
        if len(task.names) < 3:
            raise Unfit(
                "pix2pix-cascade translates by way of a third domain, and this data set has two; choose pix2pix where "
                "the training images are paired, or an unpaired method"
            )
        name, kind = cls._anchor(task)
        if config.augment_d != "none" and {kind, task.kinds[1]} != {"rgb"}:
            raise Unfit(f"augment_d={config.augment_d} changes colours, so it is for RGB alone; choose augment_d=none")
        if data is None:
            return
        seen = [set(data.others[name].matches(domain).tolist()) - {-1} for domain in _ends(data)]
        for domain, scenes in zip(_ends(data), seen):
            if not scenes:
                raise Unfit(
                    f"pix2pix-cascade learns from pairs with the third domain, and no training image of {domain.name} "
                    f"shows the same as one of {name}; choose an unpaired method"
                )
        if seen[0] & seen[1]:
            raise Unfit(
                f"{len(seen[0] & seen[1])} training images of {name} are paired with the source and with the target, "
                "so source and target are paired too; choose pix2pix"
            )

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            return self.config.epochs * max(self.task.n_source, self.task.n_target)
        return super().budget_images

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate."""
        return paired.rate(step, self.total_steps, self.config.epochs)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Draws for each hop the images that go in and those that should come out."""
        source, target = _ends(data)
        anchor = data.others[self.anchor_name]
        first = paired.paired_streams(
            self.config, ("first x", "first y"), ("source", self.anchor_name), (source, anchor)
        )
        second = paired.paired_streams(
            self.config, ("second x", "second y"), (self.anchor_name, "target"), (anchor, target)
        )
        return first | second

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """An iteration of pix2pix for the first hop, then one for the second; they share nothing."""
        losses: dict[str, Tensor] = {}
        for hop in HOPS:
            losses |= self._hop_step(hop, batch[f"{hop} x"].image, batch[f"{hop} y"].image)
        return {name: loss.detach() for name, loss in losses.items()}

    def _hop_step(self, hop: str, source: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """One translation, then a step of the hop's D, then a step of its G against the new D."""
        generator, discriminator = self.networks[f"G_{hop}"], self.networks[f"D_{hop}"]
        modality_x, modality_y = self.hops[hop]
        x, y = read(modality_x, source), read(modality_y, truth)
        raw = generator(x, self.rng)
        fake = shown(modality_y, raw)
        loss_d = paired.discriminator_loss(self, f"D_{hop}", x, y, fake, self.config.gan_mode)
        self.minimise(f"D_{hop}", loss_d)
        gan = paired.adversarial(discriminator(x, fake), True, self.config.gan_mode)
        wrong = self.weight(modality_y) * distance(modality_y, raw, truth)
        self.minimise(f"G_{hop}", gan + wrong)
        return {f"D_{hop}": loss_d, f"G_GAN_{hop}": gan, f"G_truth_{hop}": wrong}

    def weight(self, modality: Modality) -> float:
        """The weight of the distance to the truth, beside an adversarial loss of weight 1."""
        if modality.kind == "labels":
            return self.config.lambda_labels
        return self.config.lambda_depth if modality.kind == "depth" else self.config.lambda_l1

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        noise = None if self.config.deterministic else rng
        between = shown(self.anchor, self.networks["G_first"](read(self.source, source), noise))
        raw = self.networks["G_second"](between, noise)
        in_metres = raw * self.config.far if self.target.kind == "depth" else raw
        return self.target.write(in_metres, source.shape[1])


def _ends(data: TaskData) -> tuple[Domain, Domain]:
    return data.source_train, data.target_train


def read(modality: Modality, image: Tensor) -> Tensor:
    """Image (N, C, S, S) in [-1, 1] -> (N, width, S, S): images as they are, label maps as one channel an id, depth as
    a fraction of the largest."""
    raw = modality.read(image)
    return raw / modality.far if modality.kind == "depth" else raw


def shown(modality: Modality, raw: Tensor) -> Tensor:
    """A generator's output in the form of `read`: of a label map the probabilities."""
    return raw.softmax(1) if modality.kind == "labels" else raw


def distance(modality: Modality, raw: Tensor, truth: Tensor) -> Tensor:
    """The distance of a generator's output to the true image: cross entropy, BerHu in metres, or the mean absolute
    difference."""
    raw = raw.float()
    if modality.kind == "labels":
        return cross_entropy(raw, modality.ids_of(truth), modality.ids)
    wanted = modality.read(truth).float()
    if modality.kind == "depth":
        return berhu(raw * modality.far, wanted, wanted > 0)
    return F.l1_loss(raw, wanted)
