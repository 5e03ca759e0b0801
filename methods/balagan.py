"""BalaGAN (Patashnik et al., arXiv 2010.02036 v2; code orpatashnik/BalaGAN at a34fba9).

The rich source domain A is split into modes A_1..A_k without supervision (methods/modes/). One reference-guided,
class-conditional translator, FUNIT's, is trained over all ordered pairs of (A_1, ..., A_k, B); its discriminator has
a second head that classifies real images. At test time the source is from A, the reference from B. So this file holds
what differs from methods/funit.py: the classes, the head, and that the target takes part in the training.

The content encoder is the paper's E_source, the style encoder its E_ref. Where paper and code differ, the defaults
follow the code, which gave the published figures; each such difference is a field of Config. Right instead of faithful:
the encoder's cosine schedule (encoder_schedule), the blur's kernel size (methods/modes/views.py), no random flip and no
per-image contrast stretch at test time.

Table 5 of the paper: `classes` = modes:K (ours), labels (GT), vae-modes:K (mVE); row B d_cls=false; row C also
train_on_target=false and encoder_images=source.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from bench import register, setting
from bench.methods.funit import FUNIT, FUNITConfig
from bench.methods.nn.funit_networks import Discriminator


@dataclass(frozen=True)
class BalaGANConfig(FUNITConfig):
    """BalaGAN's settings: FUNIT's, with other defaults, and those of its classifier. Mode finding: modes.Fields."""

    batch_size: int = 3
    budget_kimg: float = setting(300.0, "thousands of source images seen in training; 100,000 iterations of 3 images")
    replicas: int = 1
    classes: str = "modes:40"  # as in the paper's dog -> wolf tables
    encoder_images: Literal["both", "source"] = "both"
    train_on_target: bool = setting(
        True, "the target is one class of the training; false: it is seen at test time only (row C of Table 5)"
    )
    d_cls: bool = setting(True, "the discriminator has the classifier head; false: row B of Table 5")
    cls_weight: float = setting(
        1.0, "weight of the classification (lambda_CE); the code gives it that of the adversarial loss"
    )


@register
class BalaGAN(FUNIT):
    """Translation over modes found in the richer domain, guided by a reference image."""

    name = "balagan"
    aliases = ("bala-gan",)
    paper = "Patashnik et al., BalaGAN: Cross-Modal Image Translation Between Imbalanced Domains, arXiv 2010.02036"
    year = 2020
    kind = "unpaired"
    needs = ()
    Config = BalaGANConfig
    presets = {
        "paper": {},
        # Small enough for minutes of one CPU thread: narrow, shallow, fewer modes, larger steps, a shorter average.
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "sampling": "class_uniform",  # a target image in each ninth place, not in each thirteenth
            "width": 8,
            "downs": 1,
            "reference_downs": 3,
            "discriminator_downs": 2,
            "latent": 32,
            "mlp_width": 64,
            "reconstruction_weight": 5.0,  # content settles sooner
            "r1": "per_sample",  # the code's form is next to nothing at this batch size
            "r1_weight": 1.0,
            "lr": 5e-4,
            "ema_decay": 0.99,
            "classes": "modes:8",
            "encoder_images": "source",  # one encoder for all target sizes
            "encoder_width": 16,
            "encoder_epochs": 80,
            "encoder_lr": 1e-3,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "downs": 1,
            "reference_downs": 2,
            "discriminator_downs": 2,
            "latent": 8,
            "mlp_width": 8,
            "classes": "modes:2",
            "encoder_width": 4,
            "encoder_epochs": 1,
        },
    }
    config: BalaGANConfig

    def _discriminator(self, n_classes: int) -> Discriminator:
        c = self.config
        width, downs = c.width, c.discriminator_downs
        return Discriminator(self.task.channels, width, downs, n_classes, c.d_shortcut, classifier=c.d_cls)

    def discriminator_loss(self, fake: Tensor, real: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 6, above. Real are the references alone; fake are translations to the same classes."""
        real = real.detach().requires_grad_()
        with self.exact():
            features = self.discriminator.features(real)
        total, parts = self.hinge_and_r1(fake, real, features, label)
        if self.config.d_cls:
            parts["d_cls"] = F.cross_entropy(self.discriminator.logits(features), label)
            total = total + self.config.cls_weight * parts["d_cls"]
        return total, parts
