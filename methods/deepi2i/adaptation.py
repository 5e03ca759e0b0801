"""A pre-trained BigGAN made ready for a small target, before the translator starts from it.

TransferGAN (Wang et al., ECCV 2018, arXiv 1805.01677): generator and discriminator go on with the target's images
alone. MineGAN (Wang et al., CVPR 2020, arXiv 1912.05270): a miner M turns noise u into codes for which the frozen
generator makes images like the target's, while the discriminator goes on; at last miner and generator learn together.

Both go on with BigGAN's own losses and optimizers. Classes are those of the target images, equally often among
generated ones: MineGAN's second miner, which looks for a class, has no place where a translation is asked for one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from bench import Artifacts, Loop, TaskData
from bench.methods.deepi2i.pretraining import ADAM_EPS, BETAS, BigGANOptions, BigGANTraining, State, save
from bench.methods.modes import representation
from bench.methods.nn.miner import Miner

VERSION = 1  # raise it when the code gives other networks


@dataclass(frozen=True)
class Recipe:
    """Everything but images, classes and starting weights that the adapted networks depend on.

    options      of the BigGAN, with the steps and batches on the target
    miner        the widths of the miner, its codes included; empty: TransferGAN
    miner_steps  steps in which G is frozen
    """

    options: BigGANOptions
    miner: tuple[int, ...] = ()
    miner_steps: int = 0


def adapt(
    recipe: Recipe, start: tuple[State, State], data: TaskData, classes: np.ndarray, artifacts: Artifacts
) -> dict[str, State]:
    """States of G, D and, with a miner, M. `start` are those of G and D, `classes` those of all training images."""
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": representation.identity(data.target_train),
        "classes": classes[len(data.source_train) :].tolist(),
        "start": [_sha256(state) for state in start],
        "amp": artifacts.loop.compute.amp,
        **asdict(recipe),
    }
    names = ["G", "D", *(["M"] if recipe.miner else [])]

    def build(folder: Path) -> None:
        loop = artifacts.loop
        adaptation = Adaptation(recipe, start, data, classes, loop)
        devices = [loop.compute.device] if loop.compute.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # resuming restores those of the run that made the checkpoint
            loop.run("adapt", folder, adaptation, adaptation.step, recipe.options.steps, recipe.options.batch)
        networks = {"G": adaptation.generator, "D": adaptation.discriminator, "M": adaptation.miner}
        save(folder, {name: networks[name] for name in names})

    folder = artifacts.make("adapted-biggan", key, build)
    return {name: load_file(folder / f"{name}.safetensors") for name in names}


class Adaptation(BigGANTraining):
    """BigGAN's training, gone on with on the target alone. Batch and draws of a step depend on (seed, step) alone."""

    def __init__(
        self, recipe: Recipe, start: tuple[State, State], data: TaskData, classes: np.ndarray, loop: Loop
    ) -> None:
        super().__init__(replace(recipe.options, ema_from=recipe.options.steps), data, classes, loop)  # no average
        self.generator.load_state_dict(start[0])
        self.discriminator.load_state_dict(start[1])
        self.recipe = recipe
        self.target = np.arange(len(data.source_train), len(classes))
        self.wanted = np.unique(classes[self.target])
        self.miner: Miner | None = None
        if recipe.miner:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(recipe.options.seed)
                self.miner = Miner(recipe.miner).to(loop.compute.device)
            lr = recipe.options.lr_g
            self.optimizers["M"] = torch.optim.Adam(self.miner.parameters(), lr, BETAS, ADAM_EPS, fused=True)

    def step(self, step: int) -> Mapping[str, Tensor]:
        mining = self.miner is not None and step < self.recipe.miner_steps
        self.generator.train(not mining)  # a frozen generator keeps its statistics
        return super().step(step)

    def _generating(self, step: int) -> tuple[str, ...]:
        if self.miner is None:
            return ("G",)
        return ("M",) if step < self.recipe.miner_steps else ("M", "G")

    def _fakes(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        label = self._device(rng.choice(self.wanted, n))
        length = self.generator.latent if self.miner is None else self.miner.inputs
        z = self._device(rng.standard_normal((n, length), dtype=np.float32))
        return self.generator(z if self.miner is None else self.miner(z), label), label

    def _index(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(self.target, n)

    def _parts(self) -> dict[str, Any]:
        return {**super()._parts(), **({} if self.miner is None else {"miner": self.miner})}


def _sha256(state: State) -> str:
    content = hashlib.sha256()
    for name, value in sorted(state.items()):
        content.update(name.encode())
        content.update(value.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
