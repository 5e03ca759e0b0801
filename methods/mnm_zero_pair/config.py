"""M&MNets between modalities: the settings, and what the terms of the loss weigh in each stage."""

from dataclasses import dataclass
from typing import Literal

from bench import Config, DiscriminatorFields, Unfit, UserError, setting
from bench.methods.nn.mnm_networks import SideInformation


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
WEIGHTS = {  # of stages 1 to 3
    "thesis": (_FIRST, Weights(10, 100, 100, 10, "same", 10), Weights(10, 100, 100, 10, "same", 10, 100)),
    "code": (_FIRST, Weights(10, 100, 100, 10, "ten", 10), Weights(10, 100, 100, 10, "ten", 10, 100)),
}


@dataclass(frozen=True)
class ZeroPairConfig(Config, DiscriminatorFields):
    """M&MNets' settings between modalities."""

    resolution: int = 256
    batch_size: int = setting(6, "scenes of each pair of modalities in one step")
    budget_kimg: float = setting(3000.0, "thousands of scenes of each pair seen in training; 500,000 steps")

    arch: Literal["vgg", "thesis"] = setting(
        "vgg", "vgg: for cross-modal translation; thesis: the networks for opponent channels (tables A.7, A.11, A.12)"
    )
    width: int = setting(64, "channels of the first convs", low=1)
    blocks: int = setting(6, "residual blocks of a thesis encoder or decoder")
    side: SideInformation = setting(
        "pooling_indices", "what decoders get from the encoder; RGB decoders of vgg get nothing"
    )
    init_std: float = setting(
        0.02,
        "standard deviation of all convs' first weights; the thesis prints 1 (a standard Gaussian), and 0.5 for "
        "opponent channels",
        above=0,
    )
    rgb_init: Literal["vgg16", "random"] = setting(
        "vgg16", "first weights of the RGB encoder; vgg16: those of ImageNet's VGG-16 (arch vgg, width 64)"
    )
    seg_head: Literal["linear", "bn_relu"] = setting(
        "linear", "last layers of a segmentation decoder; bn_relu: batch norm and ReLU on the logits, as in the code"
    )
    d_head: Literal["none", "conv1"] = setting(
        "none", "none: all 512 channels of the discriminator are scores, as printed; conv1: one channel"
    )
    d_last_stride: Literal[1, 2] = setting(1, "stride of the discriminator's last conv; 1: the code; 2: the thesis")
    n_ids: int = setting(14, "label ids of a segmentation", low=1)
    far: float = setting(20.0, "metres that the data set's depth can reach", above=0)
    grey_loss: Literal["berhu", "l2"] = setting("berhu", "loss of depth and grey images; l2 for opponent channels")

    loss_preset: Literal["thesis", "code"] = setting(
        "thesis",
        "code: autoencoders weigh 10; the discriminator's loss is 10 times as large, halved, in each second step; the "
        "noise is |n|, on the anchor's latent and only into other modalities",
    )
    stage1_share: float = setting(0.4, "share of the training that learns the seen translations only", high=1)
    stage2_share: float = setting(
        0.4,
        "share of the training that then adds autoencoders, latents and noise; the rest is the third stage, with "
        "pseudo-pairs",
        high=1,
    )
    freeze_rgb: bool = setting(True, "the RGB encoder stands still after stage 1")
    autoencoders: bool = setting(True, "each modality is also reconstructed, from stage 2 on")
    latent_consistency: bool = setting(True, "latents of one scene are drawn together, from stage 2 on")
    latent_levels: Literal["bottleneck", "pools"] = setting(
        "bottleneck", "maps whose distance is that of the latents; pools: the code's, poolings 3 to 5 (arch vgg)"
    )
    latent_noise_std: float = setting(0.5, "standard deviation of the noise on latents, from stage 2 on")
    pseudo_pairs: bool = setting(True, "stage 3 trains the unseen translations on pseudo-pairs")
    pp_labels: Literal["hard", "soft"] = setting(
        "hard", "labels of pseudo-pairs; hard: the most likely one; soft: the probabilities"
    )
    flip: bool = setting(True, "mirror scenes at random, all modalities alike, where the data set allows it")
    zoom: float = setting(0.1, "scenes are enlarged by 1 - zoom ... 1 + zoom, as in the code; 0: not", below=1)

    companion: bool = setting(False, "translate from source and anchor together (the thesis's multi-modal translation)")
    alpha: float = setting(0.2, "weight of the source's latent where companion is true", high=1)

    lr: float = setting(2e-4, "learning rate of all networks", above=0)
    last_lr_factor: float = setting(0.1, "factor of lr in the third stage")
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage1_share + self.stage2_share > 1:
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
