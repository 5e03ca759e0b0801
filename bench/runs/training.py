"""The training of one run: its method is built from its seed, prepared, trained, and asked for its translations."""

import time

import torch

from bench.runs import budget
from bench.runs.build import build_method
from bench.runs.context import RunContext
from bench.runs.observe import Watch
from bench.runs.outputs import OutputFiles
from bench.runs.record import Cost
from bench.runs.samples import write_samples
from bench.runs.translate import Translator
from bench.training.artifacts import Artifacts
from bench.training.loop import Diverged, Observer, Spent
from bench.training.method import Method
from bench.training.pace import Pace
from bench.training.prefetch import batches
from bench.training.sampler import Sampler
from bench.training.share import Share


def train_and_translate(context: RunContext, outputs: OutputFiles) -> Cost:
    """Trains the method of the run, or goes on with its training, and stores what it makes of the held-out images.

    Raises Interrupted after a signal (state saved) and Diverged where the training fails.
    """
    spec, data, compute = context.spec, context.data, context.compute
    artifacts = context.artifacts()
    began = time.perf_counter()
    kimg = images_to_see(context, artifacts)
    sized = time.perf_counter()
    method = build_method(spec, data, compute, kimg)
    built = time.perf_counter()
    method.prepare(data, artifacts)
    prepared, peak = time.perf_counter() - built + sized - began, compute.peak_memory()
    translator, sampler = (Translator(method, data, spec.seed, compute, context.reporter) for _ in range(2))
    pace = Pace(compute)
    watch = Watch(context, method, sampler, pace)
    total, images = method.total_steps, method.images_per_step
    with compute.memory_growth() as growth:
        trained = train(context, method, watch)
    method.train(False)
    check_weights(method)
    outputs.write(translator.everything())
    write_samples(context.folder, sampler, data)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in method.networks.items()}
    return Cost(
        prepare_seconds=prepared,
        train_seconds=trained.seconds,
        translate_seconds=translator.seconds,
        images_seen=total * images,
        images_per_second=total * images / max(trained.seconds, 1e-9),
        parameters=sum(counts.values()),
        peak_memory_bytes=max(peak, compute.peak_memory()),
        train_memory_bytes=growth[0],
        images_per_calibration=pace.images_per_calibration,
        multiply_adds=sampler.multiply_adds(),
        parameters_by_network=counts,
        train_cpu_seconds=trained.cpu_seconds,
        train_flop=trained.flop,
        prepare_flop=artifacts.flop,
    )


def check_weights(method: Method) -> None:
    """Raises Diverged where a network holds weights or statistics that are not finite: the last step may have made
    them, and no loss has seen them."""
    networks = {**method.networks, **{f"the average of {name}": network for name, network in method.ema.items()}}
    for name, network in networks.items():
        for part, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise Diverged(f"after the last step {part} of {name} is not finite")


def images_to_see(context: RunContext, artifacts: Artifacts) -> float | None:
    """As budget.kimg; of several processes the first one finds it out."""
    ranks = context.compute.ranks
    kimg = budget.kimg(context, artifacts) if ranks.leads else None
    images = ranks.told(-1 if kimg is None else round(1000 * kimg))
    return None if images < 0 else images / 1000


def train(context: RunContext, method: Method, observer: Observer | None = None) -> Spent:
    """All steps of the training; returns what they took, over all starts of the run."""
    compute = context.compute
    method.share, method.accumulate = Share(compute.ranks), context.settings.accumulate
    method.train()
    streams = Sampler(method.streams(context.data), context.data, context.spec.seed, compute)
    total, images = method.total_steps, method.images_per_step
    with batches(streams, total, compute) as drawn:

        def step(number: int) -> dict[str, torch.Tensor]:
            return method.iterate(drawn.batch(number))

        return context.loop(compute).run("train", context.folder, method, step, total, images, observer)
