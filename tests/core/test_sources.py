"""Which code a run uses: an edit of any file that can change its result changes the hash, and no other edit does."""

import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from bench.core import registry, sources
from bench.core.registry import Entry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of our Python files, which `sources` reads in place of those that are imported."""
    for name in ("bench", "methods", "datasets"):
        for path in (ROOT / name).rglob("*.py*"):
            if path.suffix in (".py", ".pyi"):
                (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / path.relative_to(ROOT))
    places = {"bench": tmp_path / "bench", **{f"bench.{kind}": tmp_path / kind for kind in sources.KINDS}}
    monkeypatch.setattr(sources, "_folder", places.__getitem__)
    yield tmp_path
    for function in (sources.source_sha256, sources._digest, sources._imports):
        function.cache_clear()


def code(method: str | None = "deepi2i", dataset: str = "emoji") -> str:
    """As another process would find it."""
    for function in (sources.source_sha256, sources._digest, sources._imports):
        function.cache_clear()
    return sources.source_sha256(method, dataset)


def edit(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\nedited = True\n")


@pytest.mark.parametrize(
    "file",
    [
        "methods/deepi2i/__init__.py",
        "methods/deepi2i/biggan.py",
        "methods/deepi2i/not_imported_yet.py",
        "methods/nn/losses.py",
        "methods/modes/kmeans.py",
        "methods/nn/__init__.py",
        "datasets/emoji.py",
        "bench/training/loop.py",
        "bench/metrics/kernel.py",
        "bench/runs/a/new/room.py",
        "bench/__init__.py",
    ],
)
def test_an_edit_of_what_a_run_uses_changes_the_hash(file: str, checkout: Path) -> None:
    before = code()
    edit(checkout / file)
    assert code() != before


@pytest.mark.parametrize(
    "file",
    ["methods/cyclegan.py", "methods/mine.py", "datasets/srmnist.py", "bench/cli/app.py", "bench/leaderboard/show.py"],
)
def test_an_edit_of_anything_else_does_not(file: str, checkout: Path) -> None:
    before = code()
    edit(checkout / file)
    assert code() == before


def test_a_method_that_another_builds_on_counts(checkout: Path) -> None:
    before = code("balagan"), code("cyclegan")
    edit(checkout / "methods" / "funit.py")
    assert code("balagan") != before[0]
    assert code("cyclegan") == before[1]


@pytest.mark.parametrize(
    "line", ["from ..nn import attention", "from ..nn.attention import x", "import bench.methods.nn.attention"]
)
def test_every_way_to_import_a_module_counts(line: str, checkout: Path) -> None:
    (checkout / "methods" / "nn" / "attention.py").write_text("x = 1\n")
    before = code()
    edit(checkout / "methods" / "nn" / "attention.py")
    assert code() == before, "nobody imports it yet"
    (checkout / "methods" / "deepi2i" / "biggan.py").write_text(f"def later():\n    {line}\n")
    before = code()
    edit(checkout / "methods" / "nn" / "attention.py")
    assert code() != before


def test_a_run_without_a_method_has_a_hash_of_what_measures_it(checkout: Path) -> None:
    before = code(None)
    edit(checkout / "methods" / "deepi2i" / "biggan.py")
    assert code(None) == before
    edit(checkout / "bench" / "metrics" / "frechet.py")
    assert code(None) != before


def test_every_file_of_a_plug_in_counts_and_its_version_is_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "i2i_plugged"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "networks.py").write_text("")
    (package / "method.py").write_text("from bench.methods.nn.losses import hinge_fake\n")
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    entry = Entry("plugged", "i2i_plugged.method", "Plugged", {"name": "plugged"}, "torch")  # an installed package
    ours = registry.entries
    monkeypatch.setattr(
        registry, "entries", lambda kind: {**ours(kind), **({"plugged": entry} if kind == "methods" else {})}
    )
    hashes = [code("plugged")]
    for file in (package / "networks.py", checkout / "methods" / "nn" / "losses.py"):
        edit(file)
        hashes.append(code("plugged"))
    assert len(set(hashes)) == 3
    edit(checkout / "methods" / "cyclegan.py")
    assert code("plugged") == hashes[-1]
    assert sources.plugin_versions("plugged", "emoji") == {"torch": metadata.version("torch")}
    assert sources.plugin_versions("cyclegan", "emoji") == {}


def test_an_edit_while_a_run_trains_does_not_change_what_it_ran(checkout: Path) -> None:
    at_start = code("cyclegan", "digits8")
    edit(checkout / "bench" / "training" / "loop.py")
    assert sources.source_sha256("cyclegan", "digits8") == at_start
    assert code("cyclegan", "digits8") != at_start
