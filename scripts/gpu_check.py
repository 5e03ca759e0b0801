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
import time
import traceback
import warnings
from pathlib import Path

from gpu_parity import parity, resume
from gpu_parts import flags
from gpu_speed import MODES, compiled, speeds

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
