"""The TFLOP that every run of a grid can have, so that all runs end side by side on one GPU within some seconds.

    python scripts/gpu_budget.py modes.jsonl --methods a,b --runs-each 2 --seconds 300

Processes share a GPU in turns. So the sum of the times in which their kernels run is bounded, and each run takes at
least as long as it takes alone. A quarter of the seconds is kept for starting, translating and what was not foreseen.
"""

import argparse
import json
from pathlib import Path

SHARE = 0.75  # of the seconds


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("rates", type=Path, help="modes.jsonl of scripts/gpu_modes.py")
    p.add_argument("--methods", required=True)
    p.add_argument("--runs-each", type=int, default=2)
    p.add_argument("--seconds", type=float, required=True)
    a = p.parse_args()
    rows = {r["method"]: r for r in map(json.loads, a.rates.read_text().splitlines()) if r["mode"] == "grid"}
    print(budget([rows[m] for m in a.methods.split(",")], a.runs_each, a.seconds))


def budget(rows: list[dict], runs_each: int, seconds: float) -> int:
    """rows have `flop` of an iteration, `ms_row`, its milliseconds, and `gpu_busy`, the share with a kernel running."""
    alone = [r["ms_row"] / 1000 / (r["flop"] / 1e12) for r in rows]  # seconds a TFLOP
    together = runs_each * sum(s * r["gpu_busy"] for s, r in zip(alone, rows))
    return int(SHARE * seconds / max(together, *alone))


if __name__ == "__main__":
    main()
