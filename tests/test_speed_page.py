"""docs/speed.md says of bfloat16 what the records in results/bf16 say."""

from pathlib import Path

import numpy as np
from scipy import stats

from bench.runs.record import read_records

ROOT = Path(__file__).resolve().parent.parent


def test_bfloat16_changes_what_the_page_says() -> None:
    records = {
        (r.identity.method, r.identity.seed, r.identity.amp): r for r in read_records(ROOT / "results" / "bf16", print)
    }
    pairs = [(records[m, s, "bf16"], records[m, s, "off"]) for m in ("cut", "cyclegan", "munit") for s in range(3)]
    gaps = np.array([b.metrics["translated"].value - a.metrics["translated"].value for b, a in pairs])
    low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), stats.sem(gaps))
    seconds = np.array([b.cost.train_cpu_seconds / a.cost.train_cpu_seconds for b, a in pairs]).reshape(3, 3).mean(1)
    page = " ".join((ROOT / "docs" / "speed.md").read_text(encoding="utf-8").split())
    assert f"changes by {gaps.mean():.2f} in the mean over nine pairs (95 % interval {low:.2f} to {high:.2f})" in page
    assert "{:.2f} (CUT), {:.2f} (CycleGAN) and {:.2f} (MUNIT) times".format(*seconds) in page
