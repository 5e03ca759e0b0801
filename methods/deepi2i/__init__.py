"""DeepI2I (Wang et al., NeurIPS 2020, arXiv 2011.05867; code yaxingwang/DeepI2I at 9eb03b7, the BigGAN variant).

A BigGAN becomes a translator: its discriminator is also the encoder E, adaptors A fit E's maps to the generator's, and
the generator adds them to its own. y = G(z, c, A(E(x))). First the adaptors and D learn, then G too; E stays frozen.

Where paper and code differ, the defaults follow the code; each such difference is a field. Ablations: preset `scratch`;
adaptor=concat (no adaptors); adaptor_sides=32 (or 16, 8, 4: a single one), 32,16 (fewer halvings); transfer_e=false and
so on (partial transfer).

With init_from=transfergan or minegan the BigGAN is first made ready for the target as those papers do it; G, D and
the miner start from the result, E from the BigGAN as it was.

Right instead of faithful: the reconstruction compares each translation with its own source (the code compares the first
two entries of the batch), phase 1 counts from the transfer, A and E have no unused heads, a network E that is not
transferred is trained. The optimizers start anew.

Computed once: A(E(x)) serves the steps of D and G, which do not change it in between; the sources' features in D
need no graph; the parts of a batch, between which no weight changes, share one power iteration of each spectral norm,
where the code makes one a part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Artifacts, Batch, Guidance, Method, Stream, Task, TaskData, Unfit, register
from bench.methods import modes
from bench.methods.deepi2i import biggan
from bench.methods.deepi2i.adaptation import adapt
from bench.methods.deepi2i.biggan import DownBlock, orthogonal_init
from bench.methods.deepi2i.config import DeepI2IConfig
from bench.methods.deepi2i.pretraining import ADAM_EPS, BETAS
from bench.methods.deepi2i.start import adapting, pretrained, transfer
from bench.methods.nn import losses
from bench.methods.nn.counter import Counter
from bench.methods.nn.miner import Miner
from bench.methods.nn.spectral import held

Maps = dict[int, Tensor]


class Adaptors(nn.Module):
    """A: E's maps -> maps of G's channels, one residual block a side, without attention."""

    def __init__(self, sides: list[int], inputs: dict[int, int], outputs: dict[int, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({str(side): DownBlock(inputs[side], outputs[side], down=False) for side in sides})

    def forward(self, maps: Maps) -> Maps:
        return {int(side): block(maps[int(side)]) for side, block in self.blocks.items()}


@register
class DeepI2I(modes.MultiClass, Method):
    """Deep hierarchical translation between many classes, transferred from a BigGAN."""

    name = "deepi2i"
    aliases = ("deep-i2i",)
    paper = (
        "Wang et al., DeepI2I: Enabling Deep Hierarchical Image-to-Image Translation, NeurIPS 2020, arXiv 2011.05867"
    )
    year = 2020
    kind = "unpaired"
    needs = ("labels", "weights")
    class_conditional = True
    Config = DeepI2IConfig
    discriminators = ("D",)
    presets = {
        "paper": {},
        "scratch": {"pretrained": "none", "sum_weight": 1.0, "sum_weight_fine": 0.1},
        "smoke": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 0.02,
            "accumulations": 2,
            "classes": "domain",
            "width": 2,
            "latent": 8,
            "shared": 4,
            "embeddings": None,
            "pretrained": "data",
            "adaptor_steps": 1,
            "base_steps": 2,
            "base_batch": 4,
            "base_accumulations": 1,
            "base_ema_from": 1,
        },
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "accumulations": 1,
            "budget_kimg": 8.0,
            "classes": "domain",
            "balanced": True,
            "width": 6,
            "latent": 32,
            "shared": 16,
            "embeddings": None,
            "sum_weight": 1.0,  # minutes of training do not make up for maps that are hardly heard
            "sum_weight_fine": 1.0,
            "match_weight": 0.5,
            "match_weight_fine": 0.5,
            "pretrained": "data",
            "adaptor_steps": 50,
            "base_steps": 500,
            "base_batch": 16,
            "base_accumulations": 1,
            "base_ema_decay": 0.98,
            "base_ema_from": 50,
            "lr_g": 8e-4,
            "lr_d": 8e-4,
        },
    }
    guidance: Guidance = "noise"

    @classmethod
    def whole_batch(cls, config: DeepI2IConfig) -> str | None:
        return "G has batch norm; the field accumulations cuts a batch as the paper does"

    def __init__(self, task: Task, config: DeepI2IConfig) -> None:
        super().__init__(task, config)
        self.config: DeepI2IConfig = config
        c = config
        self.n_classes = sum(modes.counts(c, task))
        self.rows = self.n_classes if c.embeddings is None else c.embeddings
        self.sides = c.sides(c.adaptor_sides)  # where G adds maps
        self.matched = c.sides()  # where D's features are compared
        self.generator = biggan.Generator(task.channels, self.rows, c.width, c.resolution, c.latent, c.shared)
        self.discriminator = biggan.Discriminator(task.channels, self.rows, c.width, c.resolution)
        self.encoder = biggan.Encoder(task.channels, c.width, c.resolution)
        self.adaptors = Adaptors(self.sides if c.adaptor == "block" else [], self.encoder.widths, self.generator.widths)
        self.networks = {"G": self.generator, "D": self.discriminator, "E": self.encoder, "A": self.adaptors}
        for name, network in self.networks.items():
            if name != "A" or c.pretrained == "none":  # the code's init skips A where it transfers
                orthogonal_init(network)
        self.miner: Miner | None = None
        if c.init_from == "minegan":
            self.miner = self.networks["M"] = Miner([*c.miner, self.generator.latent])
        self.trains_encoder = c.pretrained == "none" or not c.transfer_e
        self.encoder.requires_grad_(self.trains_encoder)
        trained = {
            "G": c.finetune == "all",
            "M": self.miner is not None,
            "D": True,
            "E": self.trains_encoder,
            "A": c.adaptor == "block",
        }
        for name in (name for name, wanted in trained.items() if wanted):
            lr = c.lr_g if name in ("G", "M") else c.lr_d
            self.optimizers[name] = torch.optim.Adam(self.networks[name].parameters(), lr, BETAS, ADAM_EPS, fused=True)
        self.counter = Counter()  # since the transfer
        self.memory = {"counter": self.counter}

    @classmethod
    def check(cls, task: Task, config: DeepI2IConfig, data: TaskData | None = None) -> None:
        super().check(task, config, data)
        classes = sum(modes.counts(config, task))
        if config.embeddings is not None and config.embeddings < classes:
            raise Unfit(f"embeddings={config.embeddings} are too few for {classes} classes; choose none or more")

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        c = self.config
        super().prepare(data, artifacts)
        if c.pretrained == "none":
            return
        g, d, origin = pretrained(c, self.rows, data, self._all_classes(), artifacts)
        rows = len(g["shared.weight"]) if "shared.weight" in g else 0
        for name, state in (("G", g), ("D", d), ("E", d)):
            if getattr(c, f"transfer_{name.lower()}"):
                transfer(self.networks[name], state, self._taken, origin)
        taken = min(self._taken(rows), self.n_classes)
        used = f"classes 0 to {taken - 1} use the rows of the same numbers" if taken else "none is used"
        new = f"; the other {self.n_classes - taken} are new" if taken < self.n_classes else ""
        artifacts.loop.reporter.say(f"deepi2i: of {rows} pre-trained class embeddings {used}{new}")

        if c.init_from != "biggan":
            self._adapt(data, artifacts)

    def _adapt(self, data: TaskData, artifacts: Artifacts) -> None:
        """G, D and the miner are those that were made ready for the target; E stays what the BigGAN's D was."""
        recipe = adapting(self.config, self.task.channels, self.rows, self.generator.latent)
        start = self.generator.state_dict(), self.discriminator.state_dict()
        for name, state in adapt(recipe, start, data, self._all_classes(), artifacts).items():
            self.networks[name].load_state_dict(state)

    def _taken(self, rows: int) -> int:
        """How many of the pre-trained embeddings are taken over."""
        return 0 if self.config.class_rows == "new" else min(rows, self.rows)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Two independent orders of the same images: the sources, and what D sees as real."""
        order = "balanced" if self.config.balanced else "shuffled"
        stream = Stream("all", self.config.batch_size, order, classes=self._all_classes())
        return {"source": stream, "real": stream}

    @property
    def opening(self) -> int:
        """Phase 1, in which G is frozen; a G that was not pre-trained has none."""
        return 0 if self.config.pretrained == "none" else self.config.adaptor_steps

    def skip_opening(self) -> None:
        self.counter.done = self.opening

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        c = self.config
        sources = batch["source"].image.chunk(c.accumulations)
        reals = zip(batch["real"].image.chunk(c.accumulations), batch["real"].label.chunk(c.accumulations))
        with held(self.encoder, self.adaptors):
            sums = [self.sums(x) for x in sources]
        logged: dict[str, Tensor] = {}
        self._descend(["D"], (self.discriminator_loss(*real, maps) for real, maps in zip(reals, sums)), logged)
        phase1 = self.counter.done < self.opening
        trained = [name for name in self.optimizers if name != "D" and not (phase1 and name in ("G", "M"))]
        self._descend(trained, (self.generator_loss(x, maps) for x, maps in zip(sources, sums)), logged)
        self.counter.done += 1
        return logged

    def _descend(
        self, names: Sequence[str], parts: Iterable[tuple[Tensor, dict[str, Tensor]]], logged: dict[str, Tensor]
    ) -> None:
        """`minimise` with the mean of the parts; adds the means of their losses to `logged`."""
        n = self.config.accumulations

        def shares() -> Iterator[Tensor]:
            for loss, values in parts:
                for name, value in values.items():
                    logged[name] = logged.get(name, torch.zeros_like(value)) + value.detach() / n
                yield loss / n

        with held(*self.networks.values()):
            self.minimise(names, shares())

    def sums(self, x: Tensor) -> Maps:
        """w_l A_l(E(x)): what G adds at each side."""
        maps = self.encoder(x)
        if self.config.adaptor == "block":
            adapted = self.adaptors(maps)
        else:
            widths = self.generator.widths
            adapted = {s: maps[s].repeat(1, widths[s] // maps[s].shape[1], 1, 1) for s in self.sides}
        return {s: self._of_side(s, "sum_weight") * value for s, value in adapted.items()}

    def discriminator_loss(self, real: Tensor, label: Tensor, sums: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        n = len(real)
        with torch.no_grad():
            fake, wanted = self._fake(n, {side: value.detach() for side, value in sums.items()})
        logits, _ = self.discriminator.judge(torch.cat([fake, real]), torch.cat([wanted, label]))
        self.saw_real(self.discriminator, logits[n:])
        if self.config.gan == "hinge":
            parts = {"d_real": losses.hinge_real(logits[n:]), "d_fake": losses.hinge_fake(logits[:n])}
        else:
            parts = {"d_real": F.softplus(-logits[n:]).mean(), "d_fake": F.softplus(logits[:n]).mean()}
        return parts["d_real"] + parts["d_fake"], parts

    def generator_loss(self, x: Tensor, sums: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """-mean D(y, c) + sum_l alpha_l mean (D_l(y) - D_l(x))^2."""
        with torch.no_grad():
            wanted_maps = self._still_maps(x)
        fake, wanted = self._fake(len(x), sums)
        plain_maps = None if self.augmentation is None else self._still_maps(fake)
        logits, judged_maps = self.discriminator.judge(fake, wanted)
        maps = plain_maps or judged_maps
        distance = F.mse_loss if self.config.match == "mse" else F.l1_loss
        parts = {"g_adv": -logits.mean() if self.config.gan == "hinge" else -F.softplus(logits).mean()}
        total = parts["g_adv"]
        for side in self.matched:
            parts[f"g_match{side}"] = distance(maps[side], wanted_maps[side])
            total = total + self._of_side(side, "match_weight") * parts[f"g_match{side}"]
        return total, parts

    def _still_maps(self, x: Tensor) -> Maps:
        """D's maps of images as they are, without moving the vectors of its spectral norm: the same weights as in one
        batch with the images that are judged next."""
        self.discriminator.eval()
        maps = self.discriminator(x)
        self.discriminator.train()
        return maps

    def _fake(self, n: int, sums: Maps) -> tuple[Tensor, Tensor]:
        """Translations to random classes, and those classes."""
        label = torch.randint(self.n_classes, (n,), generator=self.rng, device=self.device)
        return self.generator(self._codes(n, self.rng), label, sums), label

    def _codes(self, n: int, rng: torch.Generator | None) -> Tensor:
        """Noise (n, latent), or what the miner makes of its own."""
        if self.miner is None:
            return torch.randn(n, self.generator.latent, generator=rng, device=self.device)
        return self.miner(torch.randn(n, self.miner.inputs, generator=rng, device=self.device))

    def _of_side(self, side: int, field: str) -> float:
        return float(getattr(self.config, f"{field}_fine" if side == self.matched[-1] else field))

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if label is None:
            raise ValueError("DeepI2I translates to a class; pass label=")
        return self.generator(self._codes(len(source), rng), label, self.sums(source))

    def _all_classes(self) -> np.ndarray:
        return np.concatenate([self.class_ids.source, self.class_ids.target])
