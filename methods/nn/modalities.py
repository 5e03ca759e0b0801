"""How networks read and write other modalities than RGB (bench.data.modality), and what a wrong output costs.

A network meets an RGB image as it is, a label map as one channel an id, depth in metres and grey (NIR, opponent
channels) as one channel each; its raw output has the same channels. `Modality` converts between these and images
float (N, 3, S, S) in [-1, 1].
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

VOID = 255


@dataclass(frozen=True)
class Modality:
    """One domain's kind and what decoding it needs.

    channels  of an RGB image
    ids       label ids 0 ... ids - 1; any other is "no label"
    far       metres that the data set codes as white
    grey      berhu (NIR, like depth) or l2 (opponent channels)
    """

    kind: str
    channels: int = 3
    ids: int = 14
    far: float = 20.0
    grey: Literal["berhu", "l2"] = "berhu"

    @property
    def width(self) -> int:
        """Channels of the raw form."""
        return {"rgb": self.channels, "labels": self.ids}.get(self.kind, 1)

    def read(self, image: Tensor) -> Tensor:
        """Image -> raw (N, width, S, S): what encoders get and decoders should give. Unlabelled pixels are 0."""
        if self.kind == "rgb":
            return image
        if self.kind == "labels":
            ids = self.ids_of(image)
            one_hot = F.one_hot(ids.clamp(max=self.ids), self.ids + 1)[..., : self.ids]
            return one_hot.permute(0, 3, 1, 2).to(image.dtype)
        value = image.mean(1, keepdim=True)
        if self.kind == "depth":
            return torch.expm1((value + 1) / 2 * math.log1p(1000 * self.far)) / 1000
        return value

    def write(self, raw: Tensor, channels: int = 3) -> Tensor:
        """Raw output -> image (N, channels, S, S)."""
        if self.kind == "rgb":
            return raw
        if self.kind == "labels":
            value = raw.argmax(1, keepdim=True).to(raw.dtype) / 127.5 - 1
        elif self.kind == "depth":
            value = torch.log1p(1000 * raw.clamp(0, self.far)) / math.log1p(1000 * self.far) * 2 - 1
        else:
            value = raw.clamp(-1, 1)
        return value.expand(-1, channels, -1, -1)

    def ids_of(self, image: Tensor) -> Tensor:
        """int64 (N, S, S); VOID and everything above `ids` means no label."""
        return ((image[:, 0] + 1) * 127.5).round().long()

    def loss(self, raw: Tensor, image: Tensor) -> Tensor:
        """What the raw output costs where `image` is the truth: mean square error (RGB, grey with l2), cross entropy
        over labelled pixels, BerHu over measured ones."""
        raw = raw.float()
        if self.kind == "labels":
            return cross_entropy(raw, self.ids_of(image), self.ids)
        truth = self.read(image).float()
        if self.kind == "depth":
            return berhu(raw, truth, truth > 0)
        if self.kind == "grey" and self.grey == "berhu":
            return berhu(raw, truth)
        return F.mse_loss(raw, truth)

    def imitate(self, raw: Tensor, teacher: Tensor, hard: bool = True) -> Tensor:
        """The same against another raw output, which gets no gradient (pseudo-pairs)."""
        raw, teacher = raw.float(), teacher.detach().float()
        if self.kind == "labels":
            return F.cross_entropy(raw, teacher.argmax(1) if hard else teacher.softmax(1))
        if self.kind == "depth" or (self.kind == "grey" and self.grey == "berhu"):
            return berhu(raw, teacher)
        return F.mse_loss(raw, teacher)


def zoomed(image: Tensor, factor: Tensor, kind: str) -> Tensor:
    """Images (N, C, S, S) enlarged about their centre by factor (N,), nearest neighbour; what comes in from outside is
    unlabelled, black or without depth."""
    outside = 1.0 if kind == "labels" else -1.0
    scale = torch.zeros(len(image), 2, 3, device=image.device)
    scale[:, 0, 0] = scale[:, 1, 1] = 1 / factor
    grid = F.affine_grid(scale, list(image.shape), align_corners=False)
    return F.grid_sample(image - outside, grid, mode="nearest", align_corners=False) + outside


def cross_entropy(logits: Tensor, ids: Tensor, n: int) -> Tensor:
    """Mean over the pixels with an id below n; 0 where there is none."""
    labelled = ids < n
    total = F.cross_entropy(logits, torch.where(labelled, ids, VOID), ignore_index=VOID, reduction="sum")
    return total / labelled.sum().clamp(min=1)


def berhu(predicted: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """Reversed Huber loss. With e = |predicted - truth| and c a fifth of the image's largest e: e up to c,
    (e^2 + c^2) / 2c above; the mean over an image's valid pixels, then over the batch. (N, 1, S, S) each."""
    e = (predicted - truth).abs()
    if valid is not None:
        e = e * valid
    c = (0.2 * e.detach().amax((1, 2, 3), keepdim=True)).clamp(min=1e-12)
    cost = torch.where(e <= c, e, (e.square() + c.square()) / (2 * c))
    if valid is None:
        return cost.mean()
    count = valid.sum((1, 2, 3)).clamp(min=1)
    return ((cost * valid).sum((1, 2, 3)) / count).mean()


def alignment_factor(a: Tensor, b: Tensor) -> Tensor:
    """Mean cosine between the flattened bottlenecks (N, ...) of two modalities of the same scenes, in [-1, 1]."""
    return F.cosine_similarity(a.flatten(1).float(), b.flatten(1).float()).mean()
