"""Adversarial losses, gradient penalties and feature matching, as functions of tensors."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def hinge_real(scores: Tensor) -> Tensor:
    """mean max(0, 1 - D(x)): what the discriminator pays for real images."""
    return F.relu(1 - scores).mean()


def hinge_fake(scores: Tensor) -> Tensor:
    """mean max(0, 1 + D(G)): what the discriminator pays for generated images."""
    return F.relu(1 + scores).mean()


def lsgan(scores: Tensor, target: float) -> Tensor:
    """mean (D(x) - target)^2 (Mao et al. 2017)."""
    return (scores.float() - target).square().mean()


def r1(scores: Tensor, images: Tensor, form: Literal["per_sample", "code"] = "per_sample") -> Tensor:
    """R1 penalty of real images (Mescheder et al. 2018), differentiable.

    scores  (N, ...), computed from `images` (N, C, H, W), which require a gradient
    form    per_sample: E ||grad of the image's mean score||^2; code: as in the public code of FUNIT and BalaGAN,
            where the gradient is that of the mean over the batch too, so the penalty shrinks with 1/N^2
    """
    mean = scores.mean() if form == "code" else scores.flatten(1).mean(1).sum()
    (gradient,) = torch.autograd.grad(mean, images, create_graph=True)
    return gradient.square().sum() / len(images)


def mixture(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """share * real + (1 - share) * fake, one share (N,) in [0, 1] an image; it requires a gradient."""
    share = share.view(-1, *(1,) * (real.ndim - 1))
    return (share * real + (1 - share) * fake).detach().requires_grad_()


def wgan_gp(scores: Tensor, images: Tensor) -> Tensor:
    """Gradient penalty of WGAN-GP (Gulrajani et al. 2017), differentiable: mean (||grad|| - 1)^2 over the images.

    scores  (N, ...), computed from `images` (N, ...), which require a gradient; the gradient is that of their sum
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return (torch.linalg.vector_norm(gradient.flatten(1).float(), dim=1) - 1).square().mean()


def feature_matching(features: Tensor, wanted: Tensor, pooled: bool = True) -> Tensor:
    """mean |f - g| of (N, C, H, W) features, by default of their spatial means."""
    if pooled:
        features, wanted = features.mean((2, 3)), wanted.mean((2, 3))
    return F.l1_loss(features, wanted)


def of_class(maps: Tensor, label: Tensor) -> Tensor:
    """(N, K, H, W), int64 (N,) -> (N, H, W): each image's map of its own class."""
    return maps[torch.arange(len(label), device=label.device), label]
