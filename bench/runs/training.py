"""The training of one run: its method is built from its seed, prepared, trained, and asked for its translations."""

import time
from collections.abc import Callable

import numpy as np
import torch

from bench.core.registry import find
from bench.data.task import TaskData
from bench.runs.context import RunContext
from bench.runs.outputs import OutputFiles
from bench.runs.record import Cost
from bench.runs.samples import write_samples
from bench.runs.spec import RunSpec
from bench.runs.translate import Translator
from bench.training.compute import Compute
from bench.training.config import from_json
from bench.training.loop import Diverged, Loop
from bench.training.method import Method, Task
from bench.training.pace import Pace
from bench.training.prefetch import batches
from bench.training.sampler import Sampler


def train_and_translate(context: RunContext, outputs: OutputFiles) -> Cost:
    """Trains the method of the run, or goes on with its training, and stores what it makes of the held-out images.

    Raises Interrupted after a signal (state saved) and Diverged where the training fails.
    """
    spec, data, compute = context.spec, context.data, context.compute
    method = build_method(spec, data, compute)
    artifacts = context.artifacts()
    began = time.perf_counter()
    method.prepare(data, artifacts)
    prepared, peak = time.perf_counter() - began, compute.peak_memory()
    translator, sampler = (Translator(method, data, spec.seed, compute, context.reporter) for _ in range(2))
    pace = Pace(compute)

    def sample(step: int) -> None:
        with pace.pause(step * method.images_per_step):
            write_samples(context.folder, sampler, data)

    with compute.memory_growth() as growth:
        trained = _train(context, artifacts.loop, method, sample)
    method.train(False)
    check_weights(method)
    outputs.write(translator.everything())
    write_samples(context.folder, sampler, data)
    images = method.total_steps * method.images_per_step
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in method.networks.items()}
    return Cost(
        prepare_seconds=prepared,
        train_seconds=trained,
        translate_seconds=translator.seconds,
        images_seen=images,
        images_per_second=images / max(trained, 1e-9),
        parameters=sum(counts.values()),
        peak_memory_bytes=max(peak, compute.peak_memory()),
        train_memory_bytes=growth[0],
        images_per_calibration=pace.images_per_calibration,
        multiply_adds=sampler.multiply_adds(),
        parameters_by_network=counts,
    )


def build_method(spec: RunSpec, data: TaskData, compute: Compute) -> Method:
    """The method of a run with its networks initialised from the run's seed, on its device."""
    cls = find("methods", spec.method).load()
    seeds = np.random.SeedSequence(spec.seed).generate_state(2, np.uint64)
    torch.manual_seed(int(seeds[0]))
    method: Method = cls(task_of(data), from_json(cls.Config, spec.config or {}))
    method.to(compute.device, compute.channels_last)
    method.scaler = compute.scaler()
    method.rng.manual_seed(int(seeds[1]))
    method.augment_discriminators()
    compute.compile_networks(
        {**method.networks, **{f"average of {n}": net for n, net in method.ema.items()}}, cls.second_order
    )
    return method


def check_weights(method: Method) -> None:
    """Raises Diverged where a network holds weights or statistics that are not finite: the last step may have made
    them, and no loss has seen them."""
    networks = {**method.networks, **{f"the average of {name}": network for name, network in method.ema.items()}}
    for name, network in networks.items():
        for part, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise Diverged(f"after the last step {part} of {name} is not finite")


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


def _train(context: RunContext, loop: Loop, method: Method, sample: Callable[[int], None]) -> float:
    """All steps of the training; returns the seconds spent in them, over all processes that worked on the run."""
    sampler = Sampler(method.streams(context.data), context.data, context.spec.seed, context.compute)
    method.train()

    def sample_and_go_on(number: int) -> None:
        method.train(False)
        sample(number)
        method.train()

    total, images = method.total_steps, method.images_per_step
    with batches(sampler, total, context.compute) as drawn:

        def step(number: int) -> dict[str, torch.Tensor]:
            return method.iterate(drawn.batch(number))

        return loop.run("train", context.folder, method, step, total, images, sample_and_go_on)
