"""Random numbers that decide what a step does, drawn without a device so that nobody waits for a GPU."""

from typing import Any

import numpy as np
import torch


class HostRandom:
    """Draws that depend on the run's seed and on how many were made before; part of a method's `memory`."""

    def __init__(self) -> None:
        self.count = 0  # draws that were made

    def integer(self, below: int, rng: torch.Generator) -> int:
        """A whole number from 0 to below - 1. `rng` is the method's generator, of which the seed alone is used."""
        drawn = np.random.default_rng([rng.initial_seed(), self.count]).integers(below)
        self.count += 1
        return int(drawn)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
