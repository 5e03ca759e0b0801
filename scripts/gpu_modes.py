"""An iteration of the paper presets on a GPU in several modes: milliseconds, memory, kernels. Writes modes.jsonl.

    python scripts/gpu_modes.py --out DIR [--device cuda|cpu] [--tiny] [--methods a,b] [--modes a,b]
                                [--seconds 150]

Compilers are slow and measurements must be alone. So each method in each mode is a process of its own: all prepare side
by side, with their first iterations, and then one after the other measures. What is not prepared after --seconds is
marked and ended. By the rows of the mode `grid` scripts/gpu_budget.py plans the runs of scripts/gpu_grid.sh.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

MODES = {  # fields of Compute
    "eager": {},
    "grid": {},  # eager too, at GRID instead of the preset's own width, batch and resolution
    "any-order": {},  # sums in any order, kernels chosen by cuDNN's clock
    "channels-last": {"channels_last": True},
    "recompute": {"recompute": True},
    "compile": {"compile": True},
    "graphs": {"compile": True, "cuda_graphs": True},
    "graphs-bf16": {"compile": True, "cuda_graphs": True, "amp": "bf16"},
}
GRID = {"width": 32, "batch_size": 8, "resolution": 64}
JOBS = {
    "grid": ["cyclegan", "cut", "mnm", "munit"],
    "eager": ["cyclegan", "cut", "mnm", "munit", "starganv2", "sdit"],
    "graphs": ["cyclegan", "cut", "mnm", "munit", "starganv2", "sdit"],
    "compile": ["cyclegan", "cut", "mnm", "starganv2"],
    "graphs-bf16": ["cyclegan", "cut"],
    "any-order": ["cyclegan", "mnm", "munit", "sdit"],
    "channels-last": ["cyclegan", "sdit"],
    "recompute": ["starganv2", "munit"],
}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--device", default="cuda")
    p.add_argument("--tiny", action="store_true", help="smoke presets: to try this script on a CPU")
    p.add_argument("--methods", default="", help="by comma; by default all of each mode")
    p.add_argument("--modes", default=",".join(JOBS))
    p.add_argument("--seconds", type=float, default=150.0, help="for the preparation")
    p.add_argument("--child", default="", help="method:mode, of a process that this script starts")
    a = p.parse_args()
    a.out = a.out.resolve()
    a.out.mkdir(parents=True, exist_ok=True)
    if a.child:
        child(a)
        return
    wanted = a.methods.split(",") if a.methods else None
    jobs = [f"{m}:{mode}" for mode in a.modes.split(",") for m in JOBS[mode] if wanted is None or m in wanted]
    rows, began = a.out / "modes.jsonl", time.monotonic()
    rows.write_text("")
    environ = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "2", "OMP_NUM_THREADS": "1"}
    running = {}
    for job in jobs:
        words = [sys.executable, __file__, "--out", str(a.out), "--device", a.device, "--child", job]
        with (a.out / f"{job.replace(':', '-')}.log").open("w") as log:
            running[job] = subprocess.Popen(
                words + ["--tiny"] * a.tiny, stdout=log, stderr=log, env=environ, start_new_session=True
            )
    while time.monotonic() - began < a.seconds and not all(settled(a.out, job, running[job]) for job in jobs):
        time.sleep(0.2)
    print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
    late = [job for job in jobs if not settled(a.out, job, running[job])]
    for job in late:
        stop(running[job])
        add(rows, job, {"error": f"not prepared after {a.seconds:.0f} s"})
    for job in jobs:
        if job in late:
            continue
        flag(a.out, job, "go").touch()
        try:
            running[job].wait(timeout=45)
        except subprocess.TimeoutExpired:
            stop(running[job])
            add(rows, job, {"error": "over 45 s"})
        if running[job].returncode:
            add(rows, job, {"error": f"exit code {running[job].returncode}"})
    print(f"{len(jobs)} jobs in {time.monotonic() - began:.0f} s", flush=True)
    for line in rows.read_text().splitlines():
        row = json.loads(line)
        print("  ".join(f"{k} {v}" for k, v in row.items() if k not in ("trace", "sync_lines")), flush=True)


def flag(out: Path, job: str, what: str) -> Path:
    return out / f"{job.replace(':', '-')}.{what}"


def settled(out: Path, job: str, process: subprocess.Popen) -> bool:
    return flag(out, job, "ready").exists() or process.poll() is not None


def stop(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)  # our own child and its compilers
    process.wait()


def add(rows: Path, job: str, row: dict) -> None:
    method, mode = job.split(":")
    with rows.open("a") as f:
        f.write(json.dumps({"method": method, "mode": mode, **row}) + "\n")


# ---------------------------------------------------------------- child


def child(a) -> None:
    sys.path[:0] = [str(Path.cwd()), str(Path(__file__).parent)]
    method, mode = a.child.split(":")
    began = time.perf_counter()
    try:
        row = prepared(a, method, mode)
        row["prepared_s"] = round(time.perf_counter() - began, 1)
        flag(a.out, a.child, "ready").touch()
        while not flag(a.out, a.child, "go").exists():
            time.sleep(0.05)
        row |= measured(a, row.pop("step"))
    except BaseException as e:
        line = next(iter(str(e).strip().splitlines()), "")
        row = {"error": f"{type(e).__name__}: {line}"[:300], "trace": traceback.format_exc(limit=-6).splitlines()}
    add(a.out / "modes.jsonl", a.child, row)


def prepared(a, name: str, mode: str) -> dict:
    """The method after four iterations in the mode."""
    import gpu_parts as parts
    import torch

    from bench.core.registry import find
    from bench.training.compute import Compute
    from bench.training.flop import counting
    from bench.training.recompute import recompute_blocks

    compute = Compute.choose(
        a.device, **{k: v for k, v in MODES[mode].items() if k != "cuda_graphs" or a.device != "cpu"}
    )
    parts.flags(benchmark=mode == "any-order", deterministic=mode != "any-order")
    cls = find("methods", name).load()
    over = GRID if mode == "grid" and not a.tiny else {}
    config = parts.config_of(cls, "smoke" if a.tiny else "paper", **over)
    method = parts.build(name, config, parts.data_of(config, a.tiny), compute)
    for network in method.networks.values() if compute.recompute else ():
        recompute_blocks(network)
    _, step = parts.stepper(method, parts.data_of(config, a.tiny), compute)
    for t in range(4):
        step(t)
    row = {"batch": config.batch_size, "resolution": config.resolution, "step": step}
    if mode in ("eager", "grid"):
        with counting(compute.compile) as counter:
            step(4)
        row["flop"] = counter.flop
    parts.sync(a)
    if a.device != "cpu":
        torch.cuda.empty_cache()
    return row


def measured(a, step) -> dict:
    """About a second of iterations, then one under the profiler, then one that tells where the host waits."""
    import gpu_parts as parts
    import torch

    on_gpu = a.device != "cpu"
    step(5)
    parts.sync(a)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    while len(times) < (2 if a.tiny else 5) or (sum(times) < 1.0 and len(times) < 30):
        began = time.perf_counter()
        step(6 + len(times))
        parts.sync(a)
        times.append(time.perf_counter() - began)
    row = {"ms": round(1000 * sorted(times)[len(times) // 2], 2), "ms_least": round(1000 * min(times), 2)}
    began = time.perf_counter()
    for t in range(50, 50 + len(times)):  # without waiting after each: the host may run ahead
        step(t)
    parts.sync(a)
    row |= {"ms_row": round(1000 * (time.perf_counter() - began) / len(times), 2), "steps": len(times)}
    if on_gpu:
        row["peak_GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    seen = parts.profile(step, a)
    return row | {k: v for k, v in seen.items() if k in ("gpu_busy", "kernels", "syncs", "sync_lines", "profiled_ms")}


if __name__ == "__main__":
    main()
