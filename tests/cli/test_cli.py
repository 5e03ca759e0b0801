"""The command line as a user meets it: a real process, its exit code, its one line."""

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from bench.cli import app as app_module

RUN = ("run", "--dataset", "emoji", "--target-size", "20", "--resolution", "32", "--device", "cpu")


def bench(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, timeout=240, cwd=cwd)


def images(folder: Path, count: int, side: int = 40) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--method", "balagn", "--dataset", "emoji", "--target-size", "9"), "did you mean 'balagan'"),
        (("run", "--method", "cyclegan", "--dataset", "emogi", "--target-size", "9"), "did you mean 'emoji'"),
        ((*RUN, "--method", "cyclegan", "--preset", "papr"), "did you mean 'paper'"),
        ((*RUN, "--method", "cyclegan", "--preset", ""), "unknown preset ''; known: cpu"),
        ((*RUN, "--method", "identity", "--preset", ""), "trains nothing: leave out --preset"),
        ((*RUN, "--method", "cyclegan", "--metrics", ","), "--metrics ',' names nothing"),
        ((*RUN, "--method", "cyclegan", "--set", "widht=9"), "did you mean 'width'"),
        ((*RUN, "--method", "cyclegan", "--set", "width=wide"), "width=wide: choose a whole number"),
        ((*RUN, "--method", "cyclegan", "--set", "lr=nan"), "lr=nan: choose a number above 0"),
        ((*RUN, "--method", "munit", "--set", "batch_size=0"), "batch_size=0: choose a whole number of at least 1"),
        ((*RUN, "--method", "cyclegan", "--budget-kimg", "nan"), "budget_kimg=nan: choose a number above 0"),
        ((*RUN, "--method", "sdit", "--budget-kimg", "0"), "budget_kimg=0.0: choose a number above 0"),
        ((*RUN, "--method", "cyclegan", "--seed", "-1"), "seed=-1: choose a whole number of at least 0"),
        ((*RUN, "--method", "identity", "--subset-seed", "-1"), "subset_seed=-1: choose a whole number of at least 0"),
        ((*RUN, "--method", "cyclegan", "--set", "width"), "not field=value"),
        ((*RUN, "--method", "cyclegan", "--metrics", "kd_efnet"), "did you mean 'kd_effnet'"),
        ((*RUN, "--method", "cyclegan", "--device", "tpu9"), "--device"),
        ((*RUN, "--method", "cyclegan", "--device", "cuda:77"), "use --device cpu"),
        ((*RUN, "--method", "identity", "--set", "width=8"), "trains nothing"),
        (("run", "--method", "identity", "--dataset", "emoji", "--target-size", "0"), "1 to 1524"),
        (("run", "--method", "identity", "--dataset", "emoji", "--target-size", "-5"), "1 to 1524"),
        (("run", "--method", "identity", "--dataset", "emoji", "--target-size", "1525"), "1 to 1524"),
        ((*RUN[:5], "--resolution", "128", "--method", "cyclegan"), "64"),
        (
            ("run", "--method", "identity", "--dataset", "folder:/no/such/folder", "--target-size", "2"),
            "/no/such/folder",
        ),
        (("show", "nothing-like-this"), "there is no run called"),
        (("leaderboard", "--results", "/no/such/place"), "no records"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("record.json"))


def test_missing_data_names_what_where_and_the_command() -> None:
    done = bench("run", "--method", "balagan", "--dataset", "afd", "--target-size", "125", "--device", "cpu")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "python -m bench data prepare afd --from" in line
    assert "http" in line


def test_an_empty_folder_and_small_images(tmp_path: Path) -> None:
    (tmp_path / "empty" / "source").mkdir(parents=True)
    (tmp_path / "empty" / "target").mkdir()
    done = bench("run", "--method", "identity", "--dataset", f"folder:{tmp_path / 'empty'}", "--target-size", "2")
    assert done.returncode == 2
    assert "empty" in done.stderr
    images(tmp_path / "own" / "source", 12)
    images(tmp_path / "own" / "target", 12)
    words = ("run", "--method", "identity", "--dataset", f"folder:{tmp_path / 'own'}", "--target-size", "2")
    done = bench(*words, "--resolution", "64", cwd=tmp_path)
    assert done.returncode == 2
    assert "40x40" in done.stderr
    assert "--resolution" in done.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that even root cannot write")
def test_a_results_folder_that_cannot_be_written() -> None:
    done = bench(*RUN, "--method", "identity", "--results", "/proc/results")
    assert done.returncode == 2
    assert "/proc/results" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_listing_does_not_import_torch(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['bench', *sys.argv[1:]]\n"
        "from bench.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    code = end.code\n"
        "assert not code, code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    for words in (["list", "methods"], ["list", "datasets"], ["list", "metrics"], ["list", "presets"], ["--help"]):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert "kd_effnet" in bench("list", "metrics").stdout
    assert "balagan" in bench("list", "methods").stdout


def test_the_fields_of_a_method_are_listed_with_their_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    done = bench("list", "fields", "jdbw")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    width = next(i for i, row in enumerate(rows) if row[0] == "width")
    assert rows[width][1:3] == ["a whole number of at least 1", "64"]
    assert rows[width][3].startswith("first channels of generators")
    latent = next(row for row in rows if row[0] == "latent")
    assert latent[3].startswith("length of the noise")  # the table folds the rest


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = bench(*RUN, "--method", "cyclegan", "--dry-run", "--seed", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "preset cpu" in done.stdout
    assert "seed 3" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_anchor_rows_evaluate_show_and_leaderboard(tmp_path: Path) -> None:
    """The identity anchor and `evaluate` on the untouched sources are the same images, so the same numbers."""
    from bench.data.task import load_task

    metrics = ("--metrics", "kd_effnet,fd_effnet,l1_truth")
    for anchor in ("identity", "real", "copies"):
        done = bench(*RUN, "--method", anchor, *metrics, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    data = load_task("emoji", 20, 32)
    folder = tmp_path / "outputs"
    folder.mkdir()
    for name, pixels in zip(data.source_test.ids, data.source_test.images()):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{name}.png")
    words = ("evaluate", "--images", str(folder), "--dataset", "emoji", "--target-size", "20", "--resolution", "32")
    done = bench(*words, "--name", "my program", *metrics, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = {}
    for path in tmp_path.glob("results/runs/*/*/*/*/record.json"):
        record = json.loads(path.read_text())
        records[record["identity"]["method"]] = record
    assert set(records) == {"identity", "real", "copies", "my program"}
    assert records["my program"]["metrics"] == records["identity"]["metrics"]
    assert records["real"]["metrics"]["kd_effnet"]["value"] < records["identity"]["metrics"]["kd_effnet"]["value"]

    shown = bench("show", "identity", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "kd_effnet" in shown.stdout
    drawn = bench("leaderboard", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    page = (tmp_path / "results/leaderboard/leaderboard.md").read_text()
    assert page.index("| real |") < page.index("| identity |") < page.index("| my program |")
    (folder / f"{data.source_test.ids[0]}.png").unlink()
    done = bench(*words, "--name", "other", cwd=tmp_path)
    assert done.returncode == 2
    assert data.source_test.ids[0] in done.stderr


def test_aliases_and_relative_paths_name_the_same_run(tmp_path: Path) -> None:
    def folder_of(method: str, dataset: str, cwd: Path) -> str:
        words = ("run", "--method", method, "--dataset", dataset, "--target-size", "3", "--dry-run")
        done = bench(*words, "--preset", "smoke", "--device", "cpu", cwd=cwd)
        assert done.returncode == 0, done.stderr
        return next(line.split("] folder: ")[1] for line in done.stdout.splitlines() if "] folder: " in line)

    images(tmp_path / "own" / "source", 12)
    images(tmp_path / "own" / "target", 12)
    absolute = folder_of("cyclegan", f"folder:{tmp_path / 'own'}", tmp_path)
    assert absolute == folder_of("cycle-gan", "folder:own", tmp_path)
    assert absolute == folder_of("cyclegan", "folder:../own", tmp_path / "own")
    assert folder_of("cyclegan", "sr-mnist", tmp_path) == folder_of("cyclegan", "srmnist", tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7.11 PiB for an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("Storage size calculation overflowed with sizes=[8, 9]"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_that_is_too_short_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(app_module, "app", Mock(side_effect=error))
    with pytest.raises(SystemExit) as stop:
        app_module.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        f"error: memory is too short ({error}); choose smaller networks, a smaller batch or fewer images at a time\n"
    )


def test_a_fault_of_ours_is_not_called_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "app", Mock(side_effect=RuntimeError("mat1 and mat2 cannot be multiplied")))
    with pytest.raises(RuntimeError, match="mat1"):
        app_module.main()
