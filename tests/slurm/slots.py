"""How full an array keeps a cluster: python tests/slurm/slots.py [runs] [seconds]   (as root, SLURM installed)

Starts a cluster of 4 nodes with 2 slots each and sweeps so many runs (200) as one array, one run a job. A run is a
program that sleeps (5 s) and writes a record: nodes of this cluster have no core of their own, and hundreds of starts
of torch on one machine would measure that machine. All else is real: plan, submission, array, job, pool. Prints which
part of the slots' time the runs had, with and without the time from a job's begin to its run's, in which Python starts.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from lab import Lab
from slurm_cluster import CPUS, NODES, Cluster, wait_for, why_not

NOOP = """#!{python} -IS
import json, os, sys, time
begin = time.time()
frozen = sys.argv[sys.argv.index("--frozen") + 1]
spec = json.load(open(frozen))["spec"]
time.sleep({seconds})
folder = os.path.dirname(frozen)
with open(os.path.join(folder, "record.json.part"), "w") as file:
    json.dump(dict(identity=dict(target_size=spec["target_size"]), begin=begin, end=time.time(), **{rest}), file)
os.rename(file.name, os.path.join(folder, "record.json"))
"""
REST = {"task": {}, "config": {}, "status": "done", "metrics": {}}  # of what Lab reads in a record


def main(runs: int = 200, seconds: float = 5.0) -> None:
    if reason := why_not():
        sys.exit(f"error: {reason}")
    cluster = Cluster()
    with tempfile.TemporaryDirectory() as folder:
        noop = Path(folder) / "noop"
        noop.write_text(NOOP.format(python=sys.executable, seconds=seconds, rest=REST))
        noop.chmod(0o755)
        cache = Path(os.environ.get("I2I_BENCH_CACHE") or Path(folder) / "cache")
        lab = Lab(Path(folder), cache, cluster, python=str(noop), memory="300M", max_parallel=NODES * CPUS)
        try:
            cluster.start()
            print(lab.sweep(range(20, 20 + runs)))
            wait_for(cluster.empty, 60 + 5 * runs * (seconds + 5) / (NODES * CPUS), "all jobs have ended")
            wait_for(lambda: "Unknown" not in times(cluster), 60, "the accounting knows it")
            report(lab, cluster, runs)
        finally:
            cluster.clean()


def report(lab: Lab, cluster: Cluster, runs: int) -> None:
    records = [json.loads(path.read_text()) for path in lab.results.glob("runs/*/*/*/*/record.json")]
    assert len(records) == runs
    jobs = [[moment(text) for text in row.split("|")] for row in times(cluster).splitlines()]
    begin, end = min(job[0] for job in jobs), max(job[1] for job in jobs)
    slots = NODES * CPUS * (end - begin)
    busy = sum(record["end"] - record["begin"] for record in records)
    starts = sum(record["begin"] for record in records) - sum(job[0] for job in jobs)
    held = sum(job[1] - job[0] for job in jobs)
    print(f"{runs} runs in {len(jobs)} jobs on {NODES} nodes x {CPUS} slots: {end - begin:.0f} s")
    print(f"slots held by jobs      {held / slots:6.1%} of their time")
    print(f"in runs                 {busy / slots:6.1%}")
    print(f"in starts of Python     {starts / slots:6.1%}")
    print(f"in runs, without these  {busy / (slots - starts):6.1%}")


def times(cluster: Cluster) -> str:
    return cluster.ask("sacct", "-nXP", "-S", "now-1day", "-o", "start,end")


def moment(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, float), sys.argv[1:])))
