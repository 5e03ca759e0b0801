"""Images a second, memory and the host's share of an iteration, in several modes: the speed stages of gpu_check.py."""

import gc
import json
import time
import traceback

from gpu_parts import build, config_of, data_of, flags, profile, stepper, sync

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
