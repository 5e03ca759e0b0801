"""What DeepI2I starts from: a pre-trained BigGAN's weights, and how its networks take them over."""

import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import UserError
from bench.methods.deepi2i.pretraining import State


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
