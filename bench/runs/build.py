"""From a run's specification to its method, with networks as they are before the first step."""

import numpy as np
import torch

from bench.core.registry import find
from bench.data.task import TaskData
from bench.runs.spec import RunSpec
from bench.training.compute import Compute
from bench.training.config import from_json
from bench.training.limits import bounded
from bench.training.method import Method, Task
from bench.training.recompute import recompute_blocks


def build_method(spec: RunSpec, data: TaskData, compute: Compute, kimg: float | None = None) -> Method:
    """The method of a run with its networks initialised from the run's seed, on its device.

    kimg  thousands of images that it trains on; None: as its config says
    """
    return init_method(spec, task_of(data), compute, kimg)


def init_method(spec: RunSpec, task: Task, compute: Compute, kimg: float | None = None) -> Method:
    """`build_method` where no images are at hand."""
    cls = find("methods", spec.method).load()
    seeds = np.random.SeedSequence(spec.seed).generate_state(2, np.uint64)
    torch.manual_seed(int(seeds[0]))
    config = {**(spec.config or {}), **({} if kimg is None else {"budget_kimg": kimg})}
    with bounded():
        method: Method = cls(task, from_json(cls.Config, config))
    method.to(compute.device, compute.channels_last)
    method.scaler = compute.scaler()
    method.rng.manual_seed(int(seeds[1]))
    method.augment_discriminators()
    for network in method.networks.values() if compute.recompute else ():
        recompute_blocks(network)
    compute.compile_networks(
        {**method.networks, **{f"average of {n}": net for n, net in method.ema.items()}}, cls.second_order
    )
    return method


def task_of(data: TaskData) -> Task:
    """What a method may know before it sees images."""
    domains = [data.source_train, data.target_train, *data.others.values()]
    return Task(
        resolution=data.resolution,
        n_source=len(data.source_train),
        n_target=len(data.target_train),
        n_labels=len(data.label_names),
        channels=data.source_train.bank.images.shape[1],
        names=tuple(domain.name for domain in domains),
        kinds=tuple(domain.kind for domain in domains),
        label_names=data.label_names,
        mirror=data.mirror,
    )
