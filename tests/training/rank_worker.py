"""One of two processes that train together (test_parts_of_batches.py). Arguments: a folder, names of methods."""

import sys
from pathlib import Path

import torch

from bench.core.registry import entries
from bench.testing import CPU, Case
from bench.testing.learning import train_by_plain_descent
from bench.training.sampler import Sampler
from bench.training.share import Share

if __name__ == "__main__":
    folder, compute = Path(sys.argv[1]), CPU.joined()
    for name in sys.argv[2:]:
        case = Case(entries("methods")[name].load(), folder, {"batch_size": 4})
        case.method.share = Share(compute.ranks)
        case.sampler = Sampler(case.method.streams(case.data), case.data, 0, compute)
        losses = train_by_plain_descent(case)
        state = {"losses": losses, "weights": case.parameters(), "rng": case.method.rng.get_state()}
        torch.save(state, folder / f"{name}-{compute.ranks.number}.pt")
