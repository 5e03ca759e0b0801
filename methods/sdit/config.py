"""SDIT's settings, and where paper and code differ."""

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

from bench import Config, DiscriminatorFields, Unfit, UserError, setting
from bench.methods import modes
from bench.methods.nn.stargan_training import StarGANFields

SHARED_NUMBERS = 1024  # what the code's MLP gives: made for 8 norms of 64 channels, whatever the width is


@dataclass(frozen=True)
class Variant:
    """Where paper and code differ (see VARIANTS)."""

    mixing: Literal["masked", "blended"]  # masked: attention * branch; blended: that + (1 - attention) * encoding
    cin_blocks: int  # residual blocks of the CIN branch
    cin_slices: Literal["shared", "own"]  # shared: the MLP gives 1024 numbers, enough for 128 / width norms; the
    # others use the last slice again (a bug of the code). own: each norm has its own numbers. The paper's 4096 are
    # those of 8 norms at width 64, but with 6 blocks it has 12 norms
    mlp_layers: int  # linear layers of the MLP
    attention_blocks: int  # residual blocks of the attention branch
    lat_in_d: bool  # the discriminator's step trains the latent head; False: it keeps its random weights
    gan: Literal["wgan-gp", "log"]  # log: equation 6.1 with the minimax game of 6.2, no penalty
    cycle_code: Literal["new", "same"]  # of the reconstruction
    init: Literal["default", "gaussian"]  # default: the framework's


VARIANTS = {
    "code": Variant("masked", 4, "shared", 3, 5, False, "wgan-gp", "new", "default"),
    "paper": Variant("blended", 6, "own", 2, 6, True, "log", "same", "gaussian"),
}


@dataclass(frozen=True)
class SDITConfig(Config, StarGANFields, DiscriminatorFields, modes.Fields):
    """SDIT's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = setting(16, "images of each step of the discriminator; the paper has 4 for data other than faces")
    budget_kimg: float = setting(
        3200.0, "thousands of source images seen in training; 200,000 steps of the discriminator"
    )
    classes: str = "domain"
    variant: Literal["code", "paper"] = setting(
        "code", "all the differences of paper and code at once; each of the next nine fields overrides it"
    )
    mixing: Literal["masked", "blended"] | None = setting(
        None,
        "masked (code): attention * branch; blended (paper): that + (1 - attention) * encoding; none: as the variant",
    )
    cin_blocks: int | None = setting(
        None, "residual blocks of the CIN branch; none: as the variant, 4 (code) or 6 (paper)", low=1
    )
    cin_slices: Literal["shared", "own"] | None = setting(
        None,
        "shared (code): the MLP gives 1024 numbers, and norms that find none left share the last ones; own (paper): "
        "each norm has its own; none: as the variant",
    )
    mlp_layers: int | None = setting(
        None, "linear layers of the MLP; none: as the variant, 3 (code) or 2 (paper)", low=2
    )
    attention_blocks: int | None = setting(
        None, "residual blocks of the attention branch; none: as the variant, 5 (code) or 6 (paper)"
    )
    lat_in_d: bool | None = setting(
        None,
        "the discriminator's step trains the latent head; false (code): it keeps its random weights; none: as the "
        "variant",
    )
    gan: Literal["wgan-gp", "log"] | None = setting(
        None,
        "wgan-gp (code); log (paper): equation 6.1 with the minimax game of 6.2, no penalty; none: as the variant",
    )
    cycle_code: Literal["new", "same"] | None = setting(
        None,
        "noise of the reconstruction; new (code): drawn again; same (paper): that of the translation; none: as the "
        "variant",
    )
    init: Literal["default", "gaussian"] | None = setting(
        None, "first weights; default (code): the framework's; gaussian (paper): N(0, 0.02^2); none: as the variant"
    )

    cin: bool = setting(True, "false: the branch has plain instance norms, no noise and no latent loss")
    attention: bool = setting(True, "false: encoder, CIN branch and decoder are chained, as the paper does for scenes")
    width: int = setting(64, "channels after the first conv of both networks", low=1)
    encoder_blocks: int = setting(6, "residual blocks of the encoder")
    latent: int = setting(8, "length of the noise code", low=1)
    discriminator_layers: int | None = setting(
        None, "halvings of the discriminator; none: down to 2x2 (6 at 128 pixels)", low=1
    )

    gan_weight: float = setting(1.0, "weight of the adversarial loss; the paper prints 10, its author says 1")
    cls_weight: float = setting(1.0, "weight of the classification")
    gp_weight: float = setting(10.0, "weight of the gradient penalty")
    rec_weight: float = setting(10.0, "weight of the reconstruction; the paper prints 800, swapped with lat_weight")
    lat_weight: float = setting(
        800.0, "weight of the regression of the noise; that of the README's command, the code's own default is 10"
    )

    lat_slope: float = setting(
        0.0,
        "slope below 0 of the activation in the latent head; 0 (code): a ReLU, whose few units can all die, after "
        "which nothing makes the outputs depend on the noise",
        high=1,
    )

    @property
    def boundary(self) -> float | None:
        return None if self.settled.gan == "wgan-gp" else 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution % 4 or self.resolution < 8 or self.resolution % 2**self.halvings:
            raise Unfit(
                f"SDIT at resolution {self.resolution} cannot halve the image {max(2, self.halvings)} times; choose a "
                "multiple of 8 such as 32, 64 or 128, or lower discriminator_layers"
            )
        variant = self.settled
        if self.cin and variant.cin_slices == "shared" and 8 * self.width > SHARED_NUMBERS:
            raise UserError(f"width={self.width} is too wide for cin_slices=shared; choose 128 or less, or own")

    @property
    def halvings(self) -> int:
        return self.discriminator_layers or max(1, int(math.log2(max(self.resolution, 1))) - 1)

    @property
    def settled(self) -> Variant:
        """The variant with the fields that override it."""
        chosen = {field.name: getattr(self, field.name) for field in fields(Variant)}
        return replace(VARIANTS[self.variant], **{name: value for name, value in chosen.items() if value is not None})
