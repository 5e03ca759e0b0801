"""Profiles: every value is checked before anything reaches a batch script."""

from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.launch.profile import Profile, minutes, read


def profile(tmp_path: Path, text: str) -> Profile:
    path = tmp_path / "profile.toml"
    path.write_text(text)
    return read(path)


# the formats that sbatch's manual lists for --time
@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90:00", 90), ("1:30:00", 90), ("0:01:01", 2), ("2-0", 2880), ("1-1:30", 1530), ("1-1:30:30", 1531)],
)
def test_limits_in_all_formats_of_sbatch(text: str, expected: int) -> None:
    assert minutes(text) == expected


def test_a_whole_profile(tmp_path: Path) -> None:
    found = profile(
        tmp_path,
        """
        partition = "gpu"
        gpus = 1
        cpus = 4
        time = 90
        setup = ["module load cuda", "ulimit -c 0"]
        container = "apptainer exec --nv 'my image.sif'"
        environment = { A = "1 2" }
        weights = "/w"
        """,
    )
    assert found.container_words == ("apptainer", "exec", "--nv", "my image.sif")
    assert found.setup == ("module load cuda", "ulimit -c 0")
    assert found.minutes == 90
    assert found.variables == {"I2I_BENCH_WEIGHTS": "/w", "A": "1 2"}
    assert (found.max_parallel, found.pack, found.at_once) == (256, 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("partitoin = 'gpu'", "did you mean 'partition'"),
        ("max_paralel = 3", "did you mean 'max_parallel'"),
        ('partition = "gpu\\n#SBATCH --uid=0"', "line feeds"),
        ('setup = ["a\\nb"]', "line feeds"),
        ("partition = 3", "partition must be text, not a whole number"),
        ("gpus = 65", "gpus must be a whole number <= 64"),
        ("gpus = 2\nat_once = 2", "each run takes all GPUs of its job"),
        ("cpus = 0", "cpus must be a whole number >= 1"),
        ("pack = true", "whole number"),
        ("time = '30 minutes'", "H:M:S"),
        ("time = '0:00:10'", "at least 1"),
        ("environment = { 'A;B' = '1' }", "no name of a variable"),
        ("environment = { A = 1 }", "environment.A must be text"),
        ("setup = 'module load cuda'", "setup must be a list, not text"),
    ],
)
def test_a_bad_value_is_one_line_that_names_file_and_key(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        profile(tmp_path, text)
    assert expected in str(error.value)
    assert "profile.toml" in str(error.value)
