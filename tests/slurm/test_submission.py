"""Submitting to a real cluster: once and no more, what is refused, and what no shell may see."""

import json
import re
import sys
from pathlib import Path

import pytest
from lab import Lab
from slurm_cluster import GPUS, Cluster, wait_for

PROFILE = {"partition": "main", "time": "0:30:00", "memory": "300M"}
AWKWARD = "two  words, 'single' \"double\" $(touch pwned) `touch pwned` ; touch pwned\nnext line \\ #"


@pytest.mark.slow
def test_two_shells_at_the_same_moment_run_nothing_twice(cluster: Cluster, tmp_path: Path, bank_cache: Path) -> None:
    sizes = (20, 21, 22, 23)
    lab = Lab(tmp_path, bank_cache, cluster, seconds=0.05, gpus=1, **PROFILE)
    shells = [lab.start(*lab.sweep_words(sizes)) for _ in range(2)]
    printed = [shell.communicate(timeout=120) for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0], printed
    submitted = [int(n) for out, _ in printed for n in re.findall(r"runs submitted: (\d+)", out)]
    assert sum(submitted) == len(sizes), printed
    assert "nothing to submit" in lab.sweep(sizes)
    lab.wait_for_records(sizes, 120)
    wait_for(cluster.empty, 60, "no job is left")
    for size in sizes:
        lab.check_steps(size, starts=1)
    assert "nothing to submit" in lab.sweep(sizes)
    arrays = ",".join({lab.steps(size)[0]["job"].split("_")[0] for size in sizes})
    assert len(cluster.ask("sacct", "-nXP", "-u", "root", "-j", arrays, "-o", "jobid").split()) == len(sizes)
    _every_run_had_a_gpu_of_its_own(lab, sizes)


def _every_run_had_a_gpu_of_its_own(lab: Lab, sizes: tuple[int, ...]) -> None:
    spans = []
    for size in sizes:
        steps = lab.steps(size)
        places = {(line["node"], line["gpu"]) for line in steps}
        assert len(places) == 1
        (place,) = places
        assert place[1] in map(str, range(GPUS))
        spans.append((place, steps[0]["time"], steps[-1]["time"]))
    for i, (place, begin, _) in enumerate(spans):
        for other, other_begin, other_end in spans[:i]:
            assert place != other or begin > other_end or other_begin > begin


@pytest.mark.slow
def test_nothing_reaches_a_shell(
    cluster: Cluster, tmp_path: Path, bank_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / 'it\'s a "place" $(touch pwned) `touch pwned`; touch pwned #'
    one_line = AWKWARD.replace("\n", " ")
    settings = {"account": "$(touch${IFS}pwned)`touch${IFS}pwned`", "container": ["env", f"SLEEPY_ALSO={one_line}"]}
    lab = Lab(place, bank_cache, cluster, seconds=0, **PROFILE, **settings, python=sys.executable)
    with lab.profile.open("a") as file:
        file.write(f"[environment]\nSLEEPY_SAID = {json.dumps(AWKWARD)}\n")
    lab.sweep([20])
    lab.wait_for_records([20], 90)
    assert {(line["said"], line["also"]) for line in lab.steps(20)} == {(AWKWARD, one_line)}
    wait_for(cluster.empty, 60, "the job has ended")
    assert not list(tmp_path.rglob("pwned"))
    assert [path for path in lab.results.rglob("*") if path.stat().st_mode & 0o002 and not path.is_symlink()] == []


@pytest.mark.slow
def test_a_job_says_that_the_sweep_has_ended(cluster: Cluster, tmp_path: Path, bank_cache: Path) -> None:
    """Once, after the last run, and no shell sees the words of the command."""
    out = tmp_path / "ended.jsonl"
    write = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
    words = [sys.executable, "-c", write, str(out), "{summary}", AWKWARD.replace("\n", " ")]
    lab = Lab(tmp_path, bank_cache, cluster, seconds=0.05, **PROFILE, notify=words)
    lab.sweep([20, 21])
    wait_for(out.exists, 180, "the command has been run")
    wait_for(cluster.empty, 60, "no job is left")
    assert [json.loads(line) for line in out.read_text().splitlines()] == [["2 done", words[-1]]]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.slow
def test_a_stage_is_made_once_before_the_runs_that_share_it(cluster: Cluster, tmp_path: Path, bank_cache: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "banks").symlink_to(bank_cache / "banks")
    lab = Lab(tmp_path, cache, cluster, **PROFILE)
    grid = ["--methods", "balagan", "--datasets", "emoji", "--target-sizes", "20", "--seeds", "0,1,2"]
    tiny = ["--preset", "smoke", "--set", "budget_kimg=0.01", "--metrics", "none", "--device", "cpu"]
    where = ["--launcher", "slurm", "--profile", str(lab.profile), "--yes"]
    assert "before them, for stages that they share: 1" in lab.bench("sweep", *grid, *tiny, *where)
    wait_for(cluster.empty, 180, "no job is left")
    assert len(list(lab.results.glob("runs/*/*/*/*/record.json"))) == 3
    assert len(list((cache / "artifacts").glob("*/*/key.json"))) == 2, "an encoder and a clustering"
    (stage,) = lab.results.glob("sweeps/*/stages/*/log.txt")
    assert "modes: step" in stage.read_text()
    for log in lab.results.glob("runs/*/*/*/*/log.txt"):
        assert "modes: step" not in log.read_text()
    ends = cluster.ask(
        "sacct", "-nXP", "-S", "now-1hour", "-o", "jobid,start,end", "--name", f"bench-{lab.sweeps()[-1]}"
    )
    rows = sorted((row.split("|") for row in ends.splitlines()), key=lambda row: row[1])
    assert len(rows) == 4 and all(rows[0][2] <= start for _, start, _ in rows[1:])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"partition": "main; touch pwned"}, "invalid partition specified: main; touch pwned"),
        ({"memory": "900G"}, "Memory specification can not be satisfied"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    settings: dict[str, str], reason: str, cluster: Cluster, tmp_path: Path, bank_cache: Path
) -> None:
    lab = Lab(tmp_path, bank_cache, cluster, **{**PROFILE, **settings})
    _, error = lab.refused(lab.sweep_words([20, 21]))
    assert error.startswith("error: sbatch refused the jobs: ") and reason in error
    assert cluster.empty()
    assert set(lab.states().values()) <= {"new"}


def test_without_sbatch_it_is_one_line(cluster: Cluster, tmp_path: Path, bank_cache: Path) -> None:
    lab = Lab(tmp_path, bank_cache, cluster, **PROFILE)
    lab.environment["PATH"] = "/nowhere"
    _, error = lab.refused(lab.sweep_words([20]))
    assert error == "error: there is no sbatch here: log in where jobs are submitted, or use --launcher local\n"
