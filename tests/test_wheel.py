"""The wheel takes no import names but `bench`, and works from where it is installed."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that git knows or would add, so that a stale build/ of the checkout plays no part."""
    copy, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("bench", "methods", "datasets", "results/published"):
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                new = copy / path.relative_to(ROOT)
                new.parent.mkdir(parents=True, exist_ok=True)
                new.write_bytes(path.read_bytes())
    (copy / "docs").mkdir()
    for name in ("pyproject.toml", "docs/package.md"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "-w", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    subprocess.run([*PIP, "install", *OFFLINE, "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


def names_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_only_top_level_name_is_bench(wheel: Path) -> None:
    top = {name.split("/")[0] for name in names_of(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {"bench"}


def test_a_package_index_shows_a_page_without_relative_links(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        page = archive.read(name).decode().partition("\n\n")[2]
    assert page.startswith("# i2i-bench")
    assert re.findall(r"\]\((?!https://)", page) == []


def test_every_source_and_the_embedded_data_are_inside(wheel: Path) -> None:
    found = set(names_of(wheel))
    kinds = (".py", ".js", ".css", ".j2")
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "bench").rglob("*") if path.suffix in kinds}
    for folder in ("methods", "datasets"):
        expected |= {f"bench/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*.py")}
    expected |= {f"bench/{path.relative_to(ROOT)}" for path in (ROOT / "datasets" / "embedded").iterdir()}
    shipped = (ROOT / "bench" / "use" / "shipped").rglob("*.*")
    expected |= {str(path.relative_to(ROOT)) for path in shipped}
    assert {"bench/methods/cyclegan.py", "bench/datasets/embedded/emoji64.zip"} <= expected
    assert expected - found == set()


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Elsewhere, with the wheel and the libraries, but without the .pth files that point to the checkout."""
    libraries = sysconfig.get_paths()["purelib"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), libraries])}
    return subprocess.run(
        [sys.executable, "-S", *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def test_the_installed_method_is_that_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", "import bench.methods.cyclegan as m; print(m.__file__)")
    assert done.stdout.strip() == str(installed / "bench" / "methods" / "cyclegan.py"), done.stderr


@pytest.mark.parametrize("name", ["methods", "datasets"])
def test_the_plain_names_stay_free(installed: Path, tmp_path: Path, name: str) -> None:
    code = f"import importlib.util as u; print(u.find_spec({name!r}))"
    done = run(installed, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert str(installed) not in done.stdout and str(ROOT / name) not in done.stdout


def test_the_installed_program_reads_its_embedded_data(installed: Path, tmp_path: Path) -> None:
    command = ["run", "--method", "identity", "--dataset", "srmnist", "--target-size", "10", "--metrics", "none"]
    done = run(installed, tmp_path, "-m", "bench", *command, "--results", str(tmp_path / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("results/runs/srmnist/10/identity/*/record.json"))


def test_the_command_is_called_bench(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, str(installed / "bin" / "bench"), "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("i2i-bench ")


def test_a_check_needs_no_checkout_but_a_baseline_of_ones_own(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "bench", "check")
    assert done.returncode == 2 and "bench check --update --baseline" in done.stderr
    begin = "from pathlib import Path; from bench.regress import baseline as b; "
    begin += "b.write(Path('mine.json'), b.fresh(['cyclegan']))"
    assert run(installed, tmp_path, "-c", begin).returncode == 0
    done = run(installed, tmp_path, "-m", "bench", "check", "--baseline", "mine.json")
    assert done.returncode == 2 and "mine.json has no figures of cyclegan yet" in done.stderr, done.stderr
