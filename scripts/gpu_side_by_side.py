"""What runs lose beside each other on one GPU, with and without NVIDIA's Multi-Process Service (MPS).

    python scripts/gpu_side_by_side.py --out DIR [--device cuda|cpu] [--tiny] [--mix munit=5,mnm=5,cyclegan=4]
                                       [--seconds 10] [--mps DIR]

Every process trains one method of scripts/gpu_grid.sh. First each of the mix alone, in the order given, then all
together. With --mps, the pipe folder of a running nvidia-cuda-mps-control, a second set, which reaches the GPU
through it, does the same after them. All are prepared before anything is counted. Writes side_by_side.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PREPARATION = 90.0  # seconds; who is not ready by then is ended and said to be late


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--device", default="cuda")
    p.add_argument("--tiny", action="store_true", help="smoke presets: to try this script on a CPU")
    p.add_argument("--mix", default="munit=5,mnm=5,cyclegan=4")
    p.add_argument("--seconds", type=float, default=10.0, help="that all train together; each alone has a third")
    p.add_argument("--mps", default="")
    p.add_argument("--child", nargs=2, metavar=("METHOD", "NAME"), help="a process that this script starts")
    a = p.parse_args()
    a.out = a.out.resolve()
    a.out.mkdir(parents=True, exist_ok=True)
    if a.child:
        child(a, *a.child)
        return
    mix = [(m, int(n)) for m, n in (part.split("=") for part in a.mix.split(","))]
    shared = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_MPS")} | {"OMP_NUM_THREADS": "1"}
    ways = {"plain": shared} | ({"mps": {**shared, "CUDA_MPS_PIPE_DIRECTORY": a.mps}} if a.mps else {})
    names = {way: {f"{way}-{m}-{i}": m for m, n in mix for i in range(n)} for way in ways}
    for flag in (f for pattern in ("*.ready", "*.go", "*.done") for f in a.out.glob(pattern)):
        flag.unlink()  # of an earlier call
    running = {}
    for way, environ in ways.items():
        for name, method in names[way].items():
            words = [sys.executable, __file__, "--out", str(a.out), "--device", a.device, "--child", method, name]
            with (a.out / f"{name}.log").open("w") as log:
                running[name] = subprocess.Popen(words + ["--tiny"] * a.tiny, stdout=log, stderr=log, env=environ)
    began = time.monotonic()
    while time.monotonic() - began < PREPARATION and not all(
        (a.out / f"{name}.ready").exists() or process.poll() is not None for name, process in running.items()
    ):
        time.sleep(0.1)
    for way in ways:
        ready = {name: m for name, m in names[way].items() if (a.out / f"{name}.ready").exists()}
        late = sorted(set(names[way]) - set(ready))
        print(way, "ready:", len(ready), "late or dead:", late, flush=True)
        for method, _ in mix:
            one = next((name for name, m in ready.items() if m == method), None)
            if one:
                count(a, way, {one: method}, a.seconds / 3)
        if ready:
            count(a, way, ready, a.seconds)
    for process in running.values():
        process.kill()


def count(a, way: str, ready: dict[str, str], seconds: float) -> None:
    """Lets these processes train for so long and appends what each did."""
    for name in ready:
        (a.out / f"{name}.go").touch()
    time.sleep(seconds)
    for name in ready:
        (a.out / f"{name}.go").unlink()
    for name, method in ready.items():
        done = a.out / f"{name}.done"
        deadline = time.monotonic() + 20
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        row = {"way": way, "method": method, "together": len(ready)}
        row |= json.loads(done.read_text()) if done.exists() else {"error": "no answer"}
        done.unlink(missing_ok=True)
        with (a.out / "side_by_side.jsonl").open("a") as f:
            f.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def child(a, method: str, name: str) -> None:
    """Trains while NAME.go exists and then says how many iterations that were, and in how long."""
    sys.path[:0] = [str(Path.cwd()), str(Path(__file__).parent)]

    import gpu_modes
    import gpu_parts

    step = gpu_modes.prepared(argparse.Namespace(device=a.device, tiny=a.tiny), method, "grid")["step"]
    (a.out / f"{name}.ready").touch()
    go, t = a.out / f"{name}.go", 10
    while True:
        while not go.exists():
            time.sleep(0.02)
        first, began = t, time.perf_counter()
        while go.exists():
            step(t)
            gpu_parts.sync(a)
            t += 1
        seconds = time.perf_counter() - began
        part = a.out / f"{name}.part"
        part.write_text(json.dumps({"iterations": t - first, "ms": round(1000 * seconds / (t - first), 2)}))
        part.rename(a.out / f"{name}.done")


if __name__ == "__main__":
    main()
