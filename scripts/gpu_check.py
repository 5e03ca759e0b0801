"""One short look at the product on a GPU: speed, memory, syncs, parity with the CPU, resume, evaluation. Writes JSON.

    python scripts/gpu_check.py --out DIR [--device cuda|cpu] [--tiny] [--seconds 480] [--methods a,b] [--stages a,b]
                                [--modes a,b]

Runs in the root of a checkout. The parent hands jobs to one child that appends a line a job to results.jsonl; a job
that dies or hangs is marked and the child begins anew with the next, so no failure ends the rest. summary.json is
written after every job.
"""

import argparse
import collections
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

METHODS = ["cyclegan", "munit", "mnm", "balagan", "jdbw", "starganv2", "sdit", "deepi2i", "funit"]
LIMIT = {
    "compile": 110,
    "compile-bf16": 110,
    "evaluate": 90,
    "cli": 75,
    "parity": 60,
    "rounding": 400,
    "speed": 60,
}  # seconds; others 40
MODES = {  # name -> fields of Compute, and switches of torch that are not those of `bench run`
    "fp32": {},  # as `bench run` has it: float32 with TF32, sums in a fixed order, no autotuning
    "strict": {"tf32": False},
    "tuned": {"benchmark": True, "deterministic": False},
    "bf16": {"amp": "bf16"},
    "fp16": {"amp": "fp16"},
    "channels-last": {"channels_last": True},
    "bf16-channels-last": {"amp": "bf16", "channels_last": True},
    "bf16-tuned": {"amp": "bf16", "benchmark": True, "deterministic": False},
    "compile": {"compile": True},
    "compile-bf16": {"amp": "bf16", "compile": True},
}


def plan(methods, stages):
    """Jobs (stage, method) in the order of their worth."""
    jobs = [("env", "-")]
    jobs += [(s, m) for s in ("resume", "parity", "speed") for m in methods]
    jobs += [("evaluate", "-"), ("cli", "-")]
    jobs += [(s, m) for s in ("compile", "compile-bf16", "rounding") for m in methods]
    return [j for j in jobs if not stages or j[0] in stages]


def finished(results):
    """Jobs with a line of their own; lines of parts come before it."""
    return sum('"part": true' not in line for line in results.read_text().splitlines())


# ---------------------------------------------------------------- parent


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=os.environ.get("OUT", "gpu_check_out"))
    p.add_argument("--device", default="cuda")
    p.add_argument("--tiny", action="store_true", help="smoke presets and few steps: to try this script on a CPU")
    p.add_argument("--seconds", type=float, default=480.0)
    p.add_argument("--methods", default=",".join(METHODS))
    p.add_argument("--stages", default="")
    p.add_argument("--span", type=float, default=2.0, help="about this many seconds are timed")
    p.add_argument("--modes", default=",".join(MODES))
    p.add_argument("--dataset", default="emoji", help="of the run from the command line")
    p.add_argument("--child", default="")
    a = p.parse_args()
    out = Path(a.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    if a.child:
        child(a, out)
        return
    started, results = time.monotonic(), out / "results.jsonl"
    results.write_text("")
    jobs = plan(a.methods.split(","), [s for s in a.stages.split(",") if s])
    done = 0
    while done < len(jobs) and time.monotonic() - started < a.seconds:
        todo = out / "todo.json"
        todo.write_text(json.dumps(jobs[done:]))
        words = [sys.executable, __file__, "--out", str(out), "--device", a.device, "--child", str(todo)]
        words += ["--modes", a.modes, "--dataset", a.dataset, "--span", str(a.span)]
        with (out / "child.log").open("a") as log:
            proc = subprocess.Popen(words + ["--tiny"] * a.tiny, stdout=log, stderr=log, start_new_session=True)
        last, began = done, time.monotonic()
        why = "died"
        while proc.poll() is None:
            time.sleep(0.1)
            done = finished(results)
            if done > last:
                last, began = done, time.monotonic()
                summarise(out, a, time.monotonic() - started, jobs)
            limit = LIMIT.get(jobs[min(done, len(jobs) - 1)][0], 40) + 15 * (done == 0)
            if time.monotonic() - started > a.seconds or time.monotonic() - began > limit:
                why = "no time left" if time.monotonic() - started > a.seconds else f"over {limit} s"
                os.killpg(proc.pid, signal.SIGKILL)  # our own child and what it started
                proc.wait()
        done = finished(results)
        if done < len(jobs):
            with results.open("a") as f:
                f.write(json.dumps({"stage": jobs[done][0], "method": jobs[done][1], "error": why}) + "\n")
            done += 1
    summarise(out, a, time.monotonic() - started, jobs)
    print((out / "table.txt").read_text())


def summarise(out, a, seconds, jobs):
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    table = collections.defaultdict(dict)
    for r in rows:
        table[r["method"]][r["stage"]] = r
    (out / "summary.json").write_text(
        json.dumps({"seconds": round(seconds), "tiny": a.tiny, "device": a.device, "jobs": len(jobs), "rows": rows})
    )
    lines = []
    for method, stages in table.items():
        for stage, r in stages.items():
            if r.get("error"):
                text = "ERROR " + r["error"][:160]
            else:
                text = "  ".join(f"{k} {v}" for k, v in r.items() if k in SHOWN)
            lines.append(f"{method:10} {stage:18} {text}")
    ended = sum("part" not in r for r in rows)
    (out / "table.txt").write_text("\n".join(lines) + f"\n{ended} of {len(jobs)} jobs in {seconds:.0f} s\n")


SHOWN = {
    "images_s", "peak_GB", "ms_step", "host_ms", "batch_ms", "gpu_busy", "kernels", "syncs", "compile_s", "batch",
    "loss_error", "grad_error", "batch_error", "equal", "held_s", "save_s", "save_MB", "total_s", "gpu", "torch",
    "note", "codes", "seconds",
}  # fmt: skip


# ---------------------------------------------------------------- child


def child(a, out):
    import torch

    sys.path.insert(0, str(Path.cwd()))
    os.environ.setdefault("I2I_BENCH_CACHE", str(out / "cache"))
    warnings.filterwarnings("ignore")
    jobs = json.loads(Path(a.child).read_text())
    for stage, method in jobs:
        row = {"stage": stage, "method": method}
        began = time.monotonic()
        try:
            row |= run_job(stage, method, a, out)
        except BaseException as e:
            row["error"] = f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"[:300]
            row["trace"] = [line.strip() for line in traceback.format_exc(limit=-5).splitlines()][-12:]
        row["job_s"] = round(time.monotonic() - began, 1)
        with (out / "results.jsonl").open("a") as f:
            f.write(json.dumps(row) + "\n")
        fatal = "CUDA error" in row.get("error", "") or "cuBLAS" in row.get("error", "")
        row = None
        torch._dynamo.reset()
        gc.collect()
        if a.device.startswith("cuda"):
            if fatal:
                os._exit(3)  # a poisoned context; the parent goes on with the next job
            torch.cuda.empty_cache()


def run_job(stage, method, a, out):
    if stage == "env":
        return env(a)
    if stage == "evaluate":
        return evaluation(a, out)
    if stage == "cli":
        return cli(a, out)
    if stage == "resume":
        return resume(method, a, out)
    if stage in ("parity", "rounding"):
        return parity(method, a, rounding=stage == "rounding")
    return speeds(method, a, out) if stage == "speed" else compiled(stage, method, a, out)


def env(a):
    import torch

    import bench

    facts = {"torch": torch.__version__, "bench": bench.__version__, "cuda": torch.version.cuda}
    facts |= {"cudnn": torch.backends.cudnn.version(), "cores": os.cpu_count()}
    if a.device.startswith("cuda"):
        facts |= {
            "gpu": torch.cuda.get_device_name(),
            "memory_GB": torch.cuda.get_device_properties(0).total_memory / 1e9,
        }
    facts |= {"conv_tf32": torch.backends.cudnn.allow_tf32, "matmul_tf32": torch.backends.cuda.matmul.allow_tf32}
    return facts


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


def fitting(name, a, compute):
    """The method at its paper preset, after one step; the batch is halved until it fits."""
    import torch

    from bench.core.registry import find

    cls = find("methods", name).load()
    preset = "smoke" if a.tiny else "paper"
    default, notes = config_of(cls, preset), []
    batch = default.batch_size
    while batch:
        over = {"batch_size": batch}
        if hasattr(default, "accumulations") and batch % default.accumulations:
            over["accumulations"] = 1
        if name == "funit":
            over["replicas"] = max(1, min(default.replicas, batch))
        config = config_of(cls, preset, **over)
        data = data_of(config, a.tiny, "pairs" in cls.needs)
        try:
            method = build(name, config, data, compute)
            _, step = stepper(method, data, compute)
            began = time.perf_counter()
            step(0)
            sync(a)
            return (
                method,
                data,
                {"batch": batch, "first_s": round(time.perf_counter() - began, 2), "note": "; ".join(notes)},
            )
        except torch.cuda.OutOfMemoryError:
            notes.append(f"OOM at batch {batch}")
            method = step = None
            gc.collect()
            torch.cuda.empty_cache()
            batch //= 2
    raise RuntimeError(", ".join(notes))


def speeds(name, a, out):
    """One build, all modes that need no compiler: each a line of its own."""
    from bench.training.compute import Compute

    flags()
    method, data, row = fitting(name, a, Compute.choose(a.device))
    for mode, fields in MODES.items():
        if mode not in a.modes.split(",") or "compile" in mode or (mode == "fp16" and a.device == "cpu"):
            continue
        part = {"stage": mode, "method": name, "part": True, **({"batch": row["batch"]} if mode == "fp32" else {})}
        try:
            part |= measured(mode, fields, method, data, a, out)
        except Exception as e:
            part["error"] = f"{type(e).__name__}: {str(e).strip()[:200]}"
            part["trace"] = [line.strip() for line in traceback.format_exc(limit=-4).splitlines()][-10:]
        with (out / "results.jsonl").open("a") as f:
            f.write(json.dumps(part) + "\n")
    return row


def compiled(mode, name, a, out):
    from bench.training.compute import Compute

    flags()
    began = time.perf_counter()
    method, data, row = fitting(name, a, Compute.choose(a.device, **MODES[mode]))
    _, step = stepper(method, data, Compute.choose(a.device, **MODES[mode]))
    for t in range(1, 4):
        step(t)
    sync(a)
    row["compile_s"] = round(time.perf_counter() - began, 1)
    return row | measured(mode, MODES[mode], method, data, a, out)


def measured(mode, fields, method, data, a, out):
    """A mode of an existing method: images a second, memory, the host's share."""
    import torch

    from bench.training import checkpoint
    from bench.training.compute import Compute

    fields = dict(fields)
    switches = {key: fields.pop(key) for key in ("tf32", "benchmark", "deterministic") if key in fields}
    compute = Compute.choose(a.device, **fields)
    flags(**switches)
    on_gpu = a.device.startswith("cuda")
    for module in method.modules():
        module.to(memory_format=torch.channels_last if compute.channels_last else torch.contiguous_format)
    method.scaler = compute.scaler()
    for optimizer in method.optimizers.values():
        optimizer.state.clear()  # it has the layout of the mode before
    sampler, step = stepper(method, data, compute)
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    warm = 1 if a.tiny else 3
    began = time.perf_counter()
    for t in range(1, 1 + warm):
        step(t)
    sync(a)
    one = (time.perf_counter() - began) / warm
    steps = 2 if a.tiny else max(3, min(20, int(a.span / max(one, 1e-3))))
    host, began = 0.0, time.perf_counter()
    for t in range(10, 10 + steps):
        clock = time.perf_counter()
        losses = step(t)
        host += time.perf_counter() - clock  # until the step returns
    sync(a)
    wall = time.perf_counter() - began
    row = {"images_s": round(steps * method.images_per_step / wall, 2), "ms_step": round(1000 * wall / steps, 2)}
    row |= {"host_ms": round(1000 * host / steps, 2), "steps": steps}
    row["finite"] = all(bool(torch.isfinite(v).all()) for v in losses.values())
    if on_gpu:
        row["peak_GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        row["reserved_GB"] = round(torch.cuda.max_memory_reserved() / 1e9, 2)
    if mode == "fp32":
        began = time.perf_counter()
        for t in range(40, 45):
            sampler.batch(t)
        sync(a)
        row["batch_ms"] = round(200 * (time.perf_counter() - began), 2)  # what a prefetching thread would hide
        began = time.perf_counter()
        with checkpoint.Writer(out / "ckpt") as writer:
            writer.submit(1, {"state": method.state_dict()})
            row["held_s"] = round(time.perf_counter() - began, 2)  # training waits so long
        (path,) = (out / "ckpt").glob("checkpoint-*.pt")
        row |= {"save_s": round(time.perf_counter() - began, 2), "save_MB": round(path.stat().st_size / 1e6)}
        path.unlink()
    if mode in ("fp32", "compile"):
        row |= profile(step, a)
    if mode in ("bf16", "fp16") and method.name == "jdbw" and on_gpu:
        row["sigma"] = sigma_error(method, compute)
    return row


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


def sigma_error(method, compute):
    """How far the spectral norm of D's first layer is off under autocast (torch.mv is on autocast's list)."""
    import torch

    layer = next(m for m in method.networks["D"].modules() if hasattr(m, "parametrizations"))
    original = layer.parametrizations.weight.original
    with torch.no_grad():
        layer.eval()
        exact = layer.weight.float()
        with compute.autocast():
            seen = layer.weight.float()
        layer.train()
    return {"relative": float((exact - seen).norm() / exact.norm()), "shape": list(original.shape)}


def resume(name, a, out):
    """Four steps in one go against two, a checkpoint on disk, a fresh method and two more: on the device."""
    import torch

    from bench.core.registry import find
    from bench.training import checkpoint
    from bench.training.compute import Compute

    compute = Compute.choose(a.device)
    flags()
    cls = find("methods", name).load()
    config = config_of(cls, "smoke")
    data = data_of(config, True, "pairs" in cls.needs)
    folder = out / "resume" / name

    def params(m):
        return [p.detach().float().cpu() for net in m.modules() for p in net.parameters()]

    whole = build(name, config, data, compute)
    _, step = stepper(whole, data, compute)
    for t in range(2):
        step(t)
    path = checkpoint.save(folder, 2, {"state": whole.state_dict()})
    for t in range(2, 4):
        step(t)
    again = build(name, config, data, compute)
    payload = checkpoint.load_latest(folder, print)
    path.unlink()
    again.load_state_dict(payload["state"])
    _, step = stepper(again, data, compute)
    for t in range(2, 4):
        step(t)
    pairs = list(zip(params(whole), params(again)))
    worst = max(float((x - y).abs().max()) for x, y in pairs)
    return {"equal": all(torch.equal(x, y) for x, y in pairs), "worst": worst}


def parity(name, a, rounding=False):
    """One train step on the CPU and on the device: same weights, batch and noise, no TF32; a small batch.

    With `rounding` it is the CPU twice, the second time without oneDNN, whose kernels sum in another order: so much
    rounding alone changes.
    """
    import torch

    from bench.core.registry import find
    from bench.training.compute import Compute
    from bench.training.sampler import Batch

    torch.set_num_threads(max(1, min(16, os.cpu_count() or 1)) if not a.tiny else 1)
    cls = find("methods", name).load()
    config = parity_config(cls, a.tiny)
    data = data_of(config, True, "pairs" in cls.needs)
    sides, batch_error = {}, 0.0
    places = {"cpu": Compute.choose("cpu"), "device": Compute.choose("cpu" if rounding else a.device)}
    flags(tf32=False)  # after the choice of a GPU, which switches TF32 on
    first = None
    for place, compute in places.items():
        method = build(name, config, data, compute, cpu_noise=True)
        sampler, step = stepper(method, data, compute)
        batch = sampler.batch(0)
        if first is None:
            first = batch
        else:
            for k, b in batch.items():
                batch_error = max(batch_error, float((b.image.cpu() - first[k].image).abs().max()))
            d = compute.device
            batch = {k: Batch(b.image.to(d), b.label.to(d), b.index.to(d)) for k, b in first.items()}
        with noise_from_the_cpu(), torch.backends.mkldnn.flags(enabled=place == "cpu" or not rounding):
            losses = step(0, batch)
        sides[place] = {k: float(v) for k, v in losses.items()}, gradients(method)
        method = None
    torch.set_num_threads(1)
    (cpu, cg), (dev, dg) = sides["cpu"], sides["device"]
    errors = {k: abs(dev[k] - v) / max(abs(v), 1e-3) for k, v in cpu.items()}
    grads = {
        n: float((dg[n] - g).norm() / max(float(g.norm()), 1e-12)) for n, g in cg.items() if dg[n].shape == g.shape
    }
    return {
        "loss_error": float(f"{max(errors.values()):.2e}"),
        "worst_loss": max(errors, key=errors.get),
        "grad_error": float(f"{max(grads.values()):.2e}"),
        "grads": {k: float(f"{v:.2e}") for k, v in grads.items()},
        "batch_error": float(f"{batch_error:.2e}"),
    }


def parity_config(cls, tiny):
    """The paper's preset with one small batch an iteration, as far as the method's Config has the field."""
    over = {"batch_size": 2}
    over |= {field: 1 for field in ("accumulations", "replicas", "critic_steps") if hasattr(cls.Config, field)}
    return config_of(cls, "smoke" if tiny else "paper", **over)


@contextmanager
def noise_from_the_cpu():
    """While entered, torch's random functions draw on the CPU, so that every device gets the same numbers."""
    import torch

    def on_cpu(function):
        def draw(*args, generator=None, device=None, **k):
            return function(*args, generator=generator, **k).to(device or "cpu")

        return draw

    originals = {k: getattr(torch, k) for k in ("randn", "rand", "randint", "randperm")}
    try:
        for k, f in originals.items():
            setattr(torch, k, on_cpu(f))
        yield
    finally:
        for k, f in originals.items():
            setattr(torch, k, f)


def gradients(method):
    """All gradients of each network in one vector, float64 on the CPU."""
    import torch

    return {
        n: torch.cat(
            [p.grad.flatten().double().cpu() for p in net.parameters() if p.grad is not None] or [torch.zeros(1)]
        )
        for n, net in method.networks.items()
    }


def evaluation(a, out):
    """Seconds of each metric for 1,000 outputs against 1,000 held-out images at 128 pixels, each a line of its own."""
    import numpy as np

    from bench.metrics.data import Images, Outputs, Reference
    from bench.metrics.evaluate import each
    from bench.metrics.measurement import Measurement

    flags()
    n, t, side = (8, 8, 32) if a.tiny else (1000, 500, 128)
    rng = np.random.default_rng(0)

    def images(k):
        coarse = rng.integers(0, 256, (k, 3, 8, 8), dtype=np.uint8)
        return coarse.repeat(side // 8, 2).repeat(side // 8, 3)

    def labels(k):
        return np.arange(k, dtype=np.int64) % 3

    m = 2 if a.tiny else 100
    outputs = Outputs(
        images=images(n), source_labels=labels(n), sources=images(n), diverse=images(2 * m).reshape(m, 2, 3, side, side)
    )
    reference = Reference(
        reference=Images(images(n), labels(n)), target_train=Images(images(t), labels(t)),
        source_train=Images(images(2 * t), labels(2 * t)), label_names=("a", "b", "c"),
    )  # fmt: skip
    measurement = Measurement(outputs, reference, a.device)
    seconds, missing, began, last = {}, {}, time.perf_counter(), time.perf_counter()
    for name, value in each(measurement):
        now = time.perf_counter()
        seconds[name], last = round(now - last, 2), now
        if value.value is None:
            missing[name] = str(value.to_dict().get("reason") or value.to_dict().get("note") or "n/a")[:80]
        part = {"stage": f"metric {name}", "method": "-", "part": True, "seconds": seconds[name]}
        with (out / "results.jsonl").open("a") as f:
            f.write(json.dumps(part) + "\n")
    slow = dict(sorted(seconds.items(), key=lambda kv: -kv[1])[:12])
    return {"total_s": round(time.perf_counter() - began, 1), "slow": slow, "missing": missing, "n": n, "side": side}


def cli(a, out):
    """bench run on the device: stopped by SIGTERM at its first checkpoint, then the same command to its end."""
    results, cache = out / "cli", os.environ["I2I_BENCH_CACHE"]
    shutil.rmtree(results, ignore_errors=True)
    words = [
        sys.executable,
        "-m",
        "bench",
        "run",
        "--method",
        "cyclegan",
        "--dataset",
        a.dataset,
        "--target-size",
        "125",
    ]
    words += ["--preset", "smoke", "--device", a.device, "--metrics", "none", "--results", str(results)]
    words += ["--checkpoint-seconds", "1", "--budget-kimg", "0.2" if a.tiny else "1.5"]
    environ = {**os.environ, "I2I_BENCH_CACHE": cache, "PYTHONPATH": f"{Path.cwd()}:{os.environ.get('PYTHONPATH', '')}"}
    with (out / "cli.log").open("w") as log:
        first = subprocess.Popen(words, stdout=log, stderr=log, env=environ)
        began = time.monotonic()
        while first.poll() is None and time.monotonic() - began < 60:
            if list(results.rglob("checkpoint-*.pt")):
                first.send_signal(signal.SIGTERM)
                break
            time.sleep(0.1)
        code = first.wait(timeout=60)
        second = subprocess.run(words, stdout=log, stderr=log, env=environ, timeout=60).returncode
    tail = (out / "cli.log").read_text().splitlines()[-6:]
    outcome = {"codes": [code, second], "tail": tail}  # 75 (or 0 where it was done before the signal), then 0
    return outcome if second == 0 else {**outcome, "error": f"exit codes {code}, {second}: {tail[-1] if tail else ''}"}


if __name__ == "__main__":
    main()
