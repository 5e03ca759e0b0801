"""DeepI2I's settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench import Config, DiscriminatorFields, UserError, setting
from bench.methods import modes
from bench.methods.deepi2i import biggan


@dataclass(frozen=True)
class DeepI2IConfig(Config, DiscriminatorFields, modes.Fields):
    """DeepI2I's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = 32
    accumulations: int = setting(8, "parts of a batch, each with batch statistics of its own", low=1)
    budget_kimg: float = setting(
        960.0, "thousands of source images seen in training; 30,000 iterations, where the scripts evaluate"
    )
    classes: str = "labels"
    balanced: bool = setting(
        False,
        "true: every class equally often; false (code): every image, although translations have uniform classes",
    )

    width: int = setting(96, "channels of the last maps of G and the first of D", low=1)
    latent: int = setting(120, "length of the noise code, cut into equal chunks", low=1)
    shared: int = setting(128, "length of G's class embedding", low=1)
    embeddings: int | None = setting(
        1000, "rows of the class embeddings, ImageNet's by default; none: one a class", low=1
    )
    class_rows: Literal["first", "new"] = setting(
        "first", "first (code): class i takes over the pre-trained row i; new: no class does"
    )
    adaptor: Literal["block", "concat"] = setting(
        "block", "block: a residual block a side; concat: no adaptors, E's maps are repeated to G's channels"
    )
    adaptor_sides: tuple[int, ...] = setting(
        (4, 8, 16, 32),
        "sides of the maps that G adds, of those that its network has; one of them: a single adaptor; without the "
        "smallest ones: fewer down-sampling blocks (figure 6)",
        low=1,
    )
    sum_weight: float = setting(0.1, "w of the adapted maps")
    sum_weight_fine: float = setting(0.1, "w of the finest adapted maps, 32 at 128 pixels")

    pretrained: Literal["file", "data", "none"] = setting(
        "file",
        "file: public weights; data: a BigGAN is trained on the task's own images first; none: from scratch, without "
        "phase 1",
    )
    weights: str = setting("biggan128", "folder with G_ema.pth and D.pth; relative to the weights folder")
    transfer_e: bool = setting(True, "E takes over pre-trained weights; false: E starts anew, and is trained")
    transfer_g: bool = setting(True, "G takes over pre-trained weights")
    transfer_d: bool = setting(True, "D takes over pre-trained weights")
    adaptor_steps: int = setting(500, "iterations of phase 1, in which G is frozen")

    init_from: Literal["biggan", "transfergan", "minegan"] = setting(
        "biggan",
        "what the translator starts from; biggan: the pre-trained network; transfergan: that network's G and D after "
        "they went on with the target's images alone; minegan: with a miner of its noise found on the target",
    )
    init_steps: int = setting(25_000, "init_from=transfergan or minegan: iterations on the target", low=1)
    miner: tuple[int, ...] = setting(
        (128, 128, 128, 128), "init_from=minegan: widths of the miner, from its noise on; `latent` is the last", low=1
    )
    miner_steps: int = setting(1000, "init_from=minegan: how many of init_steps leave G as it is")
    finetune: Literal["all", "miner"] = setting(
        "all", "what phase 2 trains beside the adaptors; all: G, and its miner if it has one; miner: the miner alone"
    )

    base_dataset: str = setting(
        "own",
        "images of the BigGAN of pretrained=data; own: the task's, with its classes; else a registered data set, both "
        "domains and all their training images, with its labels where it has them",
    )
    base_steps: int = setting(138_000, "iterations of that BigGAN, in its own recipe", low=1)
    base_batch: int = setting(2048, "images of an iteration of that BigGAN", low=1)
    base_accumulations: int = setting(8, "parts of its batch", low=1)
    base_ema_decay: float = setting(0.9999, "decay of the average of its generator", high=1)
    base_ema_from: int = setting(20_000, "iterations before that average begins")
    base_seed: int = setting(
        1234, "seed of that BigGAN, apart from the run's, so that runs share the network", high=2**63 - 1
    )

    gan: Literal["hinge", "log"] = setting(
        "hinge",
        "adversarial loss; hinge: code; log: the minimax game that the paper writes, in which G minimises "
        "log(1 - D(fake)), not -log D(fake)",
    )
    match: Literal["mse", "l1"] = setting("mse", "distance of D's features of output and source; mse: code; l1: paper")
    match_weight: float = setting(0.1, "alpha, the weight of that distance")
    match_weight_fine: float = setting(0.01, "alpha of the finest maps")

    lr_g: float = setting(1e-4, "learning rate of G", above=0)
    lr_d: float = setting(4e-4, "learning rate of D, E and A", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        biggan.check(self.resolution, self.latent)
        for batch, parts in ((self.batch_size, self.accumulations), (self.base_batch, self.base_accumulations)):
            if batch % parts:
                raise UserError(f"a batch of {batch} cannot be cut into {parts} accumulations; choose a divisor")
        if not set(self.adaptor_sides) <= {4, 8, 16, 32} or not self.sides(self.adaptor_sides):
            raise UserError(f"adaptor_sides are some of 4, 8, 16, 32, at most half of resolution={self.resolution}")

        if self.init_from != "biggan" and self.pretrained == "none":
            raise UserError(f"init_from={self.init_from} needs a pre-trained network; set pretrained=data or file")
        if self.finetune == "miner" and self.init_from != "minegan":
            raise UserError("finetune=miner needs a miner; set init_from=minegan")
        if not self.miner:
            raise UserError("miner is empty; choose at least the length of its noise")

    @property
    def unread(self) -> frozenset[str]:
        """All settings of adaptation where nothing is adapted: the run is the one that it was before there were any."""
        adapting = {"init_from", "init_steps", "miner", "miner_steps", "finetune"}
        return super().unread | (adapting if self.init_from == "biggan" else frozenset())

    def sides(self, wanted: Iterable[int] = (4, 8, 16, 32)) -> list[int]:
        return [side for side in sorted(wanted) if side <= self.resolution // 2]
