"""What the gpu scripts share: a method as `bench run` builds it, on a tiny task, and what one of its steps does."""

import collections
import tempfile
import time
import warnings
from pathlib import Path


def sync(a):
    if a.device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()


def flags(tf32=True, benchmark=False, deterministic=True):
    """What `bench run` sets on a GPU, or something else."""
    import torch

    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = deterministic
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def data_of(config, small=False, paired=False):
    from bench.testing import tiny_task

    sizes = {"n_source": 48, "n_target": 16} if small else {"n_source": 256, "n_target": 64}
    return tiny_task(**sizes, resolution=config.resolution, n_labels=3, paired=paired)


def config_of(cls, preset, **over):
    return cls.Config(**{**cls.presets[preset], **over})


def build(name, config, data, compute, cpu_noise=False, train=True):
    """Builds like bench.runs.training.build_method, without a bank and without mode finding: classes go round."""
    import numpy as np
    import torch

    from bench.core.progress import Quiet
    from bench.core.registry import find
    from bench.methods import deepi2i, modes
    from bench.runs.build import task_of
    from bench.training.artifacts import Artifacts
    from bench.training.loop import Loop

    cls = find("methods", name).load()
    task = task_of(data)

    def classes(c, d, artifacts):
        n_source, n_target = modes.counts(c, task)
        ids = [np.arange(len(x)) % n for x, n in ((d.source_train, n_source), (d.target_train, n_target))]
        return modes.Classes(ids[0].astype(np.int64), (n_source + ids[1]).astype(np.int64), n_source, n_target)

    modes.find = classes
    deepi2i.orthogonal_init = lambda network: None  # half a minute on a CPU, and of no interest here
    torch.manual_seed(1)
    method = cls(task, config)
    method.to(compute.device, compute.channels_last)
    method.scaler = compute.scaler()
    if cpu_noise:
        method.rng = torch.Generator()
    method.rng.manual_seed(2)
    compute.compile_networks(
        {**method.networks, **{f"average of {n}": net for n, net in method.ema.items()}}, cls.second_order
    )
    if name == "deepi2i":  # no pre-trained weights here: the second phase, from random ones
        method.classes = classes(config, data, None)
        method.counter.done = config.adaptor_steps
    else:
        method.prepare(data, Artifacts(Path(tempfile.mkdtemp()), Loop(compute, Quiet())))
    if train:
        method.train()
    return method


def stepper(method, data, compute):
    from bench.training.prefetch import batches
    from bench.training.sampler import Sampler

    sampler = Sampler(method.streams(data), data, 0, compute)
    drawn = batches(sampler, 1 << 30, compute).__enter__()  # as `bench run` has them: a step ahead on a GPU

    def step(t, batch=None):
        with compute.passes():
            losses = method.train_step(drawn.batch(t) if batch is None else batch)
            method.end_iteration()
        return losses

    return sampler, step


def profile(step, a):
    """GPU-busy share, kernels and memory copies a step, and the lines that wait for the device."""
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    if not a.device.startswith("cuda"):
        with profiler(activities=[ProfilerActivity.CPU]) as p:
            step(50)
        return {"kernels": len(p.events()), "gpu_busy": None}
    n = 1  # of DeepI2I one step has tens of thousands of events
    step(50)
    sync(a)
    with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as p:
        began = time.perf_counter()
        for t in range(51, 51 + n):
            step(t)
        sync(a)
        wall = time.perf_counter() - began
    spans, counts, names = [], collections.Counter(), collections.Counter()
    for e in p.events():
        if e.device_type == torch.autograd.DeviceType.CUDA:
            spans.append((e.time_range.start, e.time_range.end))
            counts["memcpy" if "Memcpy" in e.name else "memset" if "Memset" in e.name else "kernels"] += 1
            names[e.name[:90]] += e.time_range.end - e.time_range.start
        elif "Synchronize" in e.name:
            counts[e.name] += 1
    busy, end = 0.0, -1.0
    for s, e in sorted(spans):  # the union of the spans
        busy += max(0.0, e - max(s, end))
        end = max(end, e)
    figures = {"gpu_busy": round(busy / 1e6 / wall, 3), "profiled_ms": round(1000 * wall / n, 2)}
    figures |= {k: round(v / n, 1) for k, v in counts.items()}
    figures["top"] = [(k, round(v / n / 1000, 2)) for k, v in names.most_common(10)]
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step(60)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    places = collections.Counter(
        f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message).lower()
    )
    figures |= {"syncs": sum(places.values()), "sync_lines": places.most_common(12)}
    return figures
