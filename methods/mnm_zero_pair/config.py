"""M&MNets between modalities: the settings, and what the terms of the loss weigh in each stage."""

from dataclasses import dataclass
from typing import Literal

from bench.methods.nn.mnm_networks import SideInformation

from bench import Config, Unfit, UserError


@dataclass(frozen=True)
class Weights:
    """What the terms of one stage weigh; 0 turns a term off. Grey with l2 weighs as an image (`l2`)."""

    gan: float
    l2: float
    labels: float
    depth: float
    autoencoder: Literal["off", "same", "ten"] = "off"  # same: as the translation into that modality; ten: 10 (code)
    latent: float = 0.0
    pseudo: float = 0.0


_FIRST = Weights(1, 1, 100, 10)
WEIGHTS = {  # section 4 of the sheet, stages 1 to 3
    "thesis": (_FIRST, Weights(10, 100, 100, 10, "same", 10), Weights(10, 100, 100, 10, "same", 10, 100)),
    "code": (_FIRST, Weights(10, 100, 100, 10, "ten", 10), Weights(10, 100, 100, 10, "ten", 10, 100)),
}


@dataclass(frozen=True)
class ZeroPairConfig(Config):
    """M&MNets' settings between modalities."""

    resolution: int = 256
    batch_size: int = 6  # scenes of each pair of modalities in one step
    budget_kimg: float = 3000.0  # 500,000 steps

    arch: Literal["vgg", "thesis"] = "vgg"  # thesis: the networks for opponent channels (tables A.7, A.11, A.12)
    width: int = 64  # channels of the first convs
    blocks: int = 6  # residual blocks of a thesis encoder or decoder
    side: SideInformation = "pooling_indices"  # what decoders get from the encoder; RGB decoders of vgg get nothing
    init_std: float = 0.02  # of all convs; the thesis prints 1 ("standard Gaussian"), and 0.5 for opponent channels
    rgb_init: Literal["vgg16", "random"] = "vgg16"  # the RGB encoder starts from ImageNet's VGG-16 (arch vgg, width 64)
    seg_head: Literal["linear", "bn_relu"] = "linear"  # bn_relu: the code's
    d_head: Literal["none", "conv1"] = "none"  # none: all 512 channels are scores, as printed; conv1: one channel
    d_last_stride: Literal[1, 2] = 1  # 1: the code; 2: the thesis
    n_ids: int = 14  # label ids of a segmentation
    far: float = 20.0  # metres that the data set's depth can reach
    grey_loss: Literal["berhu", "l2"] = "berhu"  # l2 for opponent channels

    loss_preset: Literal["thesis", "code"] = "thesis"  # code: autoencoders weigh 10; D's loss is 10 x, halved, each
    # second step; noise is |n| on the anchor's latent and only into other modalities
    stage1_share: float = 0.4  # of the training: seen translations only
    stage2_share: float = 0.4  # then autoencoders, latents and noise; the rest is the third stage, with pseudo-pairs
    freeze_rgb: bool = True  # the RGB encoder stands still after stage 1
    autoencoders: bool = True
    latent_consistency: bool = True
    latent_levels: Literal["bottleneck", "pools"] = "bottleneck"  # pools: the code's, poolings 3 to 5 (arch vgg)
    latent_noise_std: float = 0.5
    pseudo_pairs: bool = True
    pp_labels: Literal["hard", "soft"] = "hard"
    flip: bool = True  # scenes are mirrored at random, all modalities alike
    zoom: float = 0.1  # and enlarged by 1 - zoom ... 1 + zoom, as in the code; 0: not

    companion: bool = False  # translate from source and anchor together (section 5 of the sheet)
    alpha: float = 0.2  # weight of the source's latent then

    lr: float = 2e-4
    last_lr_factor: float = 0.1  # of lr in the third stage
    beta1: float = 0.5

    def __post_init__(self) -> None:
        if min(self.batch_size, self.width, self.n_ids) < 1 or not 0 <= self.alpha <= 1:
            raise UserError("batch_size, width and n_ids are at least 1, alpha lies in 0 ... 1")
        if min(self.stage1_share, self.stage2_share) < 0 or self.stage1_share + self.stage2_share > 1:
            raise UserError("stage1_share and stage2_share are shares of the training; together at most 1")
        step, least = (32, 64) if self.arch == "vgg" else (16, 32)
        if self.resolution % step or self.resolution < least:
            raise Unfit(
                f"M&MNets ({self.arch}) cannot take resolution {self.resolution}; choose a multiple of {step}, "
                f"at least {least}"
            )

    def stage(self, share: float) -> int:
        """0, 1 or 2; share: how much of the training is over, 0 ... 1."""
        return 0 if share < self.stage1_share else 1 if share < self.stage1_share + self.stage2_share else 2

    def weights(self, stage: int) -> Weights:
        """The stage's, without what an ablation turns off."""
        w = WEIGHTS[self.loss_preset][stage]
        return Weights(
            w.gan, w.l2, w.labels, w.depth,
            w.autoencoder if self.autoencoders else "off",
            w.latent if self.latent_consistency else 0.0,
            w.pseudo if self.pseudo_pairs else 0.0,
        )  # fmt: skip
