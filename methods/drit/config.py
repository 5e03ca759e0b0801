"""DRIT's settings."""

from dataclasses import dataclass
from typing import Literal

from bench import Config, DiscriminatorFields, UserError, setting


@dataclass(frozen=True)
class DRITConfig(Config, DiscriminatorFields):
    """DRIT's settings, with the defaults of DRIT++."""

    resolution: int = 128
    batch_size: int = setting(
        2,
        "images of a domain, an even number: one half is encoded, the other is real for the discriminators of drawn "
        "attributes",
        low=2,
    )
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None,
        "thousands of source images seen in training; none: `epochs` times the larger domain, at most `most_updates` "
        "iterations",
    )
    epochs: int = setting(
        1200, "passes over the larger domain where budget_kimg is none; the rate falls in the second half", low=2
    )
    most_updates: int = setting(500_000, "iterations at most where budget_kimg is none", low=1)
    content_iterations: int = setting(
        3,
        "iterations of the code in one here: the last trains everything, the others the content discriminator alone",
        low=1,
    )
    load_ratio: float = setting(256 / 216, "images are enlarged by this much, then cropped at random", low=1, high=16)
    guide: Literal["noise", "reference"] = setting("noise", "where the attribute of a translation comes from")

    concat: bool = setting(
        True, "attributes join as constant channels; false: the networks for pairs that change shapes"
    )
    mode_seeking: bool = setting(True, "two drawn attributes must give two images (DRIT++); false: DRIT")
    width: int = setting(64, "channels after the first conv of encoders and image discriminators", low=1)
    downs: int = setting(2, "stride-2 convs of the content encoder", high=8)
    blocks: int = setting(
        3, "residual blocks of a content encoder and of a generator that the domains do not share", low=1
    )
    latent: int = setting(8, "length of the attribute", low=1)
    discriminator_downs: int = setting(4, "stride-2 convs of each image discriminator", low=1, high=16)
    n_scales: int = setting(
        3, "image discriminators of one kind, each at half the resolution of the one before", low=1, high=16
    )
    content_layers: int | None = setting(
        None,
        "7x7 convs of the content discriminator, each of which halves the map; none: the paper's 3, fewer where the "
        "content map is too small for them (below 212 pixels with downs=2)",
    )

    adv_weight: float = setting(1.0, "weight of the image discriminators' losses")
    content_adv_weight: float = setting(1.0, "weight of the content discriminator's loss for the encoders")
    cross_cycle_weight: float = setting(10.0, "weight of the L1 distance of the image after two translations")
    reconstruction_weight: float = setting(10.0, "weight of the L1 distance of the image from its own codes")
    kl_weight: float = setting(
        0.01,
        "weight of the divergence of encoded attributes, summed over numbers and images; of their mean square with "
        "concat=false",
    )
    content_weight: float = setting(0.01, "weight of the mean square of contents")
    latent_weight: float = setting(10.0, "weight of the L1 distance of the attribute found in a translation from noise")

    lr: float = setting(1e-4, "learning rate of all networks but the content discriminator", above=0)
    content_lr: float = setting(4e-5, "learning rate of the content discriminator", above=0)
    weight_decay: float = setting(1e-4, "L2 penalty, added to the gradient")
    ema_decay: float | None = setting(
        None,
        "decay of an average of encoders and generators that translates; none: no average, as in the paper",
        below=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % 2:
            raise UserError(f"batch_size={self.batch_size} cannot be halved; choose an even number")
