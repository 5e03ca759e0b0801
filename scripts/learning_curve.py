"""Draws the learning curve of one method at several sizes of the target set: how good it is after how many images.

    python scripts/learning_curve.py cyclegan fashion --sizes 25,1000 --kimg 56 --points 8 --out curves.csv

One training a size with the `cpu` preset, all to the same budget, so that a schedule of the learning rate ends where
the curve ends. At every point the held-out sources are translated and measured, and the network --discriminator, which
takes nothing but images, is asked about training and held-out images of the target: where it knows the first and not
the second, it has learned its few images by heart. Lines are appended as they are measured. These curves choose the
budget of a grid; nothing that is ranked comes from them.
"""

import argparse
import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.paths import artifacts_folder
from bench.core.progress import Quiet
from bench.data.task import Domain, TaskData, load_task
from bench.metrics.evaluate import evaluate
from bench.runs.build import build_method
from bench.runs.measure import reference_of
from bench.runs.request import RunRequest, specify
from bench.runs.translate import Translator
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop
from bench.training.method import Method
from bench.training.sampler import Sampler

ASKED = 200  # images of each kind that a discriminator is asked about


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    for size in map(int, arguments.sizes.split(",")):
        for line in curve(arguments, size):
            append(arguments.out, line)


def parsed() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("dataset")
    parser.add_argument("--sizes", default="25,1000", help="sizes of the target set, comma-separated")
    parser.add_argument("--kimg", type=float, default=16.0, help="thousands of images seen at the end")
    parser.add_argument("--points", type=int, default=8, help="measurements of one training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="FIELD=VALUE of the method's Config")
    parser.add_argument("--metrics", default="translated,class_kept,translated_real")
    parser.add_argument("--discriminator", help="name of the network that judges target images: D_A of cyclegan")
    parser.add_argument("--out", type=Path, required=True, help="a CSV file, to which lines are added")
    return parser.parse_args()


def curve(arguments: Any, size: int) -> Any:
    """One line for each measured point of one training."""
    request = RunRequest(
        method=arguments.method,
        dataset=arguments.dataset,
        target_size=size,
        seed=arguments.seed,
        preset="cpu",
        settings=tuple(arguments.set),
        budget_kimg=arguments.kimg,
    )
    spec = specify(request, False, print)
    data, compute = load_task(spec.dataset, size, spec.resolution, 0), Compute.choose("cpu")
    method = build_method(spec, data, compute)
    method.prepare(data, Artifacts(artifacts_folder(), Loop(compute, Quiet())))
    method.train()
    sampler, reference = Sampler(method.streams(data), data, spec.seed, compute), reference_of(data)
    total, began, trained = method.total_steps, time.process_time(), 0.0
    for step in range(total):
        method.iterate(sampler.batch(step))
        if (step + 1) * arguments.points // total > step * arguments.points // total:
            trained += time.process_time() - began
            method.train(False)
            outputs = Translator(method, data, spec.seed, compute, Quiet()).everything()
            values = evaluate(outputs, reference, arguments.metrics.split(","))
            line = {
                "method": spec.method,
                "dataset": spec.dataset,
                "target_size": size,
                "seed": spec.seed,
                "set": " ".join(arguments.set),
                "kimg": (step + 1) * method.images_per_step / 1000,
                "cpu_seconds": round(trained, 1),
                **{name: value.value for name, value in values.items()},
                **(asked(method, data, arguments.discriminator) if arguments.discriminator else {}),
            }
            print(line, flush=True)
            yield line
            method.train()
            began = time.process_time()


@torch.no_grad()
def asked(method: Method, data: TaskData, name: str) -> dict[str, float]:
    """The mean score that a discriminator of the target gives to training and to held-out images of the target."""
    domains = {"train": data.target_train, "held_out": data.target_test}
    return {f"score_{n}": mean_score(method.networks[name](first_images(d))) for n, d in domains.items()}


def first_images(domain: Domain) -> Tensor:
    pixels = domain.images(np.arange(min(ASKED, len(domain))))
    return torch.from_numpy(pixels).float() / 127.5 - 1


def mean_score(scores: Any) -> float:
    parts = [scores] if isinstance(scores, Tensor) else list(scores)
    return float(torch.stack([part.float().mean() for part in parts]).mean())


def append(path: Path, line: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(line))
        if new:
            writer.writeheader()
        writer.writerow(line)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
