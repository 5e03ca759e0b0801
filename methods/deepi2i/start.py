"""What DeepI2I starts from: a BigGAN of public weights or of a training, and how the networks take its weights over."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench import Artifacts, TaskData, UserError, expand_home, load_task, weights_folder
from bench.methods.deepi2i.adaptation import Recipe
from bench.methods.deepi2i.config import DeepI2IConfig
from bench.methods.deepi2i.pretraining import BigGANOptions, State, learn


def pretrained(
    c: DeepI2IConfig, rows: int, data: TaskData, classes: np.ndarray, artifacts: Artifacts
) -> tuple[State, State, str]:
    """States of G and D, and where they are from. `rows` are the translator's class embeddings, `classes` those of all
    training images."""
    if c.pretrained == "file":
        folder = weights_folder() / expand_home(Path(c.weights), "weights=")
        return *read(folder), str(folder)
    images, classes = base_images(c, data, classes, artifacts)
    options = base_options(c, _channels(data), max(rows, int(classes.max()) + 1))
    return *learn(options, images, classes, artifacts), "the pre-trained BigGAN"


def base_images(
    c: DeepI2IConfig, data: TaskData, classes: np.ndarray, artifacts: Artifacts
) -> tuple[TaskData, np.ndarray]:
    """The task that the BigGAN learns, and the class of each of its training images, the source's first."""
    name = c.base_dataset
    if name == "own":
        return data, classes
    other = load_task(name, 1, c.resolution, report=artifacts.loop.reporter.tick)
    pool = other.target_train.bank.rows(other.target_train.name, "train")
    other = replace(other, target_train=replace(other.target_train, rows=pool))
    if _channels(other) != _channels(data):
        raise UserError(
            f"base_dataset={name} has {_channels(other)} channels, this task {_channels(data)}; choose another or own"
        )
    domains = other.source_train, other.target_train
    labels = np.concatenate([domain.labels for domain in domains])
    return other, labels if (labels >= 0).all() else np.repeat([0, 1], [len(domain) for domain in domains])


def _channels(data: TaskData) -> int:
    return data.source_train.bank.images.shape[1]


def base_options(c: DeepI2IConfig, channels: int, rows: int) -> BigGANOptions:
    """The BigGAN with `rows` class embeddings, as this translator wants it."""
    return BigGANOptions(
        resolution=c.resolution,
        channels=channels,
        rows=rows,
        width=c.width,
        latent=c.latent,
        shared=c.shared,
        steps=c.base_steps,
        batch=c.base_batch,
        accumulations=c.base_accumulations,
        ema_decay=c.base_ema_decay,
        ema_from=c.base_ema_from,
        lr_g=c.lr_g,
        lr_d=c.lr_d,
        balanced=c.balanced,
        seed=c.base_seed,
    )


def adapting(c: DeepI2IConfig, channels: int, rows: int, latent: int) -> Recipe:
    """How init_from=transfergan or minegan goes on with the BigGAN; a miner makes `latent` numbers."""
    base = base_options(c, channels, rows)
    options = replace(base, steps=c.init_steps, batch=c.batch_size, accumulations=c.accumulations)
    miner = (*c.miner, latent) if c.init_from == "minegan" else ()
    return Recipe(options, miner, c.miner_steps if miner else 0)


def read(folder: Path) -> tuple[State, State]:
    """States of G and D from a folder with the public files G_ema.pth and D.pth."""
    return _read(folder / "G_ema.pth"), _read(folder / "D.pth")


def _read(path: Path) -> State:
    if not path.is_file():
        raise UserError(
            f"there is no {path}; put BigGAN-PyTorch's G_ema.pth and D.pth there, name their folder with "
            "--set weights=DIR, or pre-train on the data with --set pretrained=data"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}); copy it again") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a dictionary of tensors; use BigGAN-PyTorch's G_ema.pth and D.pth")
    return {name: value for name, value in state.items() if not name.endswith(".sv0")}


def transfer(network: nn.Module, state: State, take: Callable[[int], int], origin: str) -> None:
    """Loads a pre-trained state. The first take(rows) class embeddings are taken over, the network's others stay.

    Parameters that the network does not have (the head of D in an encoder) are left out.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    if missing:
        raise UserError(f"{origin} does not fit: it has no {missing[0]}; set the width and the resolution it has")
    chosen = {name: state[name] for name in own}
    for name in ("shared.weight", "embed.weight"):
        if name in own:
            rows = take(len(state[name]))
            chosen[name] = own[name].clone()
            chosen[name][:rows] = state[name][:rows]
    if "embed.u0" in own and own["embed.u0"].shape != state["embed.u0"].shape:
        chosen["embed.u0"] = own["embed.u0"]
    wrong = [name for name in own if own[name].shape != chosen[name].shape]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{origin} does not fit: {name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}; set the "
            "width, the resolution, latent and shared that it has"
        )
    network.load_state_dict(chosen)
