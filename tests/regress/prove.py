"""Does `bench check` catch bugs, and leave unchanged code alone? With a baseline in place:

    python tests/regress/prove.py [--baseline FILE] [--results DIR] [--repetitions 10] [--only bugs]

Each bug of inject/bugs.py must fail a check of the methods that it touches, and each repetition of the whole check with
seeds that the baseline has not seen must pass. Stopped, it goes on where it was. Takes about an hour on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.core.files import write_json

ROOT = Path(__file__).resolve().parents[2]
INJECT = ROOT / "tests" / "regress" / "inject"

# Bug -> the methods that it touches.
BUGS = {
    "ema_off": ("balagan", "cyclegan", "funit", "mnm", "munit", "starganv2"),
    "loss_weight": ("cyclegan",),
    "loss_sign": ("balagan", "funit"),
    "shuffled_references": ("balagan", "funit", "starganv2"),
}


@dataclass(frozen=True)
class Outcome:
    """One check: whether it failed as it should (or should not), and the values that failed, the farthest first."""

    name: str
    should_fail: bool
    exit_code: int
    compared: int
    failed: list[str]

    @property
    def right(self) -> bool:
        return self.exit_code == (1 if self.should_fail else 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove that bench check works.")
    parser.add_argument("--baseline", type=Path, default=Path("results/reference/ci.json"))
    parser.add_argument("--results", type=Path, default=Path("results/check/proof"))
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=["bugs", "repetitions"])
    wanted = parser.parse_args()
    grid = json.loads(wanted.baseline.read_text())["grid"]
    outcomes = []
    if wanted.only != "repetitions":
        for bug, methods in BUGS.items():
            words = ["--methods", ",".join(name for name in methods if name in grid["methods"])]
            outcomes.append(checked(bug, True, words, wanted, bug))
    if wanted.only != "bugs":
        first, m = max(grid["baseline_seeds"]) + 1, len(grid["seeds"])
        for i in range(wanted.repetitions):
            seeds = ",".join(str(first + i * m + j) for j in range(m))
            outcomes.append(checked(f"unchanged, seeds {seeds}", False, ["--seeds", seeds], wanted, None))
    write_json(wanted.results / "proof.json", [{**asdict(o), "right": o.right} for o in outcomes])
    for o in outcomes:
        verdict = "as it should" if o.right else "WRONG"
        print(f"{o.name}: exit code {o.exit_code}, {len(o.failed)} of {o.compared} values failed: {verdict}")
        print("".join(f"    {line}\n" for line in o.failed[:5]), end="")
    return 0 if all(o.right for o in outcomes) else 1


def checked(name: str, should_fail: bool, words: list[str], wanted: argparse.Namespace, bug: str | None) -> Outcome:
    folder = wanted.results / (bug or "unchanged")
    environment = dict(os.environ)
    if bug:
        paths = [str(INJECT), str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "I2I_BENCH_TEST_BUG": bug}
    command = [sys.executable, "-m", "bench", "check", "--baseline", str(wanted.baseline), "--results", str(folder)]
    print(f"--- {name}", flush=True)
    code = subprocess.run([*command, "--workers", str(wanted.workers), *words], env=environment).returncode
    if code not in (0, 1):
        raise SystemExit(code)
    findings = json.loads((folder / "check.json").read_text())["findings"]
    if any("the bug was not put in" in (f["problem"] or "") for f in findings):
        raise SystemExit(f"{name}: the bug was not put in; see {folder}")
    failed = sorted((f for f in findings if f["failed"]), key=lambda f: -abs((f["decision"] or {}).get("moved", 1e9)))
    return Outcome(name, should_fail, code, len(findings), [_line(f) for f in failed])


def _line(finding: dict) -> str:
    d, where = finding["decision"], f"{finding['method']} {finding['value']}"
    return f"{where}: {d['moved']:+.1f} spreads, {d['allowed']:.1f} allowed" if d else f"{where}: {finding['problem']}"


if __name__ == "__main__":
    sys.exit(main())
