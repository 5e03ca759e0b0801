"""StarGAN v2's settings."""

from dataclasses import dataclass
from typing import Literal

from bench import Config, DiscriminatorFields, Unfit, setting
from bench.methods import modes


@dataclass(frozen=True)
class StarGANv2Config(Config, DiscriminatorFields, modes.Fields):
    """StarGAN v2's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = setting(8, "images of one iteration; below 8 it degrades strongly (public issues 40, 101)")
    budget_kimg: float = setting(800.0, "thousands of source images seen in training; 100,000 iterations")
    classes: str = "domain"
    balanced: bool = setting(True, "true: every class equally often in both batches; false: every image")
    guide: Literal["noise", "reference"] = setting(
        "noise", "what chooses the style when it translates; training uses both"
    )

    width: int | None = setting(None, "channels after the first conv; none: 2^14 / resolution", low=1)
    max_width: int = setting(512, "widths double with every halving, up to this", low=1)
    mapping_width: int = setting(512, "hidden width of the mapping network", low=1)
    latent: int = setting(16, "length of the noise", low=1)
    style: int = setting(64, "length of the style", low=1)
    w_hpf: float = setting(
        0.0,
        "1 for faces: above 0 one more halving and decoder blocks without shortcut; the masks of the high-pass path "
        "are left out",
    )

    style_weight: float = setting(1.0, "weight of the style reconstruction (lambda_sty)")
    diversity_weight: float = setting(
        2.0, "weight of the diversity at the start (lambda_ds): 2 for AFHQ, 1 for CelebA-HQ"
    )
    diversity_steps: int | None = setting(
        100_000, "iterations over which it falls to 0; none: the whole training", low=1
    )
    cycle_weight: float = setting(1.0, "weight of the cycle loss (lambda_cyc)")
    r1_weight: float = setting(1.0, "weight of the R1 penalty (lambda_reg)")

    lr: float = setting(1e-4, "learning rate of all networks but the mapping network", above=0)
    mapping_lr: float = setting(1e-6, "learning rate of the mapping network", above=0)
    weight_decay: float = setting(1e-4, "L2 penalty, added to the gradient")
    ema_decay: float = setting(0.999, "decay of the averages that translate", high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution < 16 or self.resolution & (self.resolution - 1):
            raise Unfit(
                f"StarGAN v2 at resolution {self.resolution} cannot halve the image down to 4x4; choose 16, 32, 64, "
                "128, 256 or another power of two"
            )

    @property
    def first_width(self) -> int:
        return self.width or 2**14 // self.resolution

    def widths(self, halvings: int) -> list[int]:
        """The widths of the maps from full size on, one for each halving after that."""
        widths = [self.first_width]
        for _ in range(halvings):
            widths.append(min(2 * widths[-1], self.max_width))
        return widths
