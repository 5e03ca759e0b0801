"""Names, aliases, hints, and the entry points of other packages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core import registry
from bench.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *paths: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)


def test_every_file_of_the_folders_is_found() -> None:
    assert {"cyclegan", "balagan"} <= set(registry.entries("methods"))
    assert {"emoji", "srmnist", "folder"} <= set(registry.entries("datasets"))


def test_listing_imports_neither_torch_nor_the_files() -> None:
    code = (
        "import sys; from bench.core import registry\n"
        "for kind in ('methods', 'datasets'):\n"
        "    for name, entry in registry.entries(kind).items(): assert entry.name == name and entry.facts['name']\n"
        "assert registry.entries('methods')['cyclegan'].facts['presets']['cpu']\n"
        "print([m for m in sys.modules if m == 'torch' or m.startswith(('bench.methods.', 'bench.datasets.'))])"
    )
    done = python(code)
    assert done.stdout.strip() == "[]", done.stderr


def test_loading_gives_the_class_that_carries_the_facts() -> None:
    for kind in ("methods", "datasets"):
        for name, entry in registry.entries(kind).items():
            cls = entry.load()
            assert cls.name == name
            for fact in ("aliases", "presets", "paper", "license"):
                assert entry.facts.get(fact, getattr(cls, fact, None)) == getattr(cls, fact, None)


@pytest.mark.parametrize("name", ["cyclegan", "cycle-gan", "CycleGAN", "cyclegan:anything"])
def test_names_aliases_case_and_arguments(name: str) -> None:
    assert registry.find("methods", name).name == "cyclegan"


def test_a_near_name_is_offered() -> None:
    with pytest.raises(UserError, match=r"^unknown method 'cyclgan'; did you mean 'cyclegan'\?$"):
        registry.find("methods", "cyclgan")


def test_without_a_near_name_all_are_listed() -> None:
    with pytest.raises(UserError, match=r"^unknown dataset 'qqqq'; known: .*emoji, .*folder"):
        registry.find("datasets", "qqqq")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty stand-in for methods/, without other packages."""

    class Package:
        __path__ = [str(tmp_path)]

    monkeypatch.setattr(registry.importlib, "import_module", lambda name: Package)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [])
    registry.entries.cache_clear()
    yield tmp_path
    registry.entries.cache_clear()


def source(name: str, extra: str = "") -> str:
    return f"from bench.core.registry import register\n\n@register\nclass X:\n    name = {name}\n    {extra}\n"


def test_a_folder_with_an_init_is_one_module(folder: Path) -> None:
    (folder / "one.py").write_text(source("'one'"))
    (folder / "two").mkdir()
    (folder / "two" / "__init__.py").write_text(source("'two'"))
    (folder / "helper.py").write_text("x = 1\n")
    assert {e.module for e in registry.entries("methods").values()} == {"bench.methods.one", "bench.methods.two"}


@pytest.mark.parametrize("extra", ["", "aliases = ('other', 'one')"])
def test_duplicates_are_refused(folder: Path, extra: str) -> None:
    (folder / "a.py").write_text(source("'one'"))
    (folder / "b.py").write_text(source("'one'" if not extra else "'two'", extra))
    with pytest.raises(UserError, match=r"two methods are called 'one': bench\.methods\.a .* and bench\.methods\.b"):
        registry.entries("methods")


def test_a_name_that_is_not_literal_is_refused(folder: Path) -> None:
    (folder / "a.py").write_text(source("'o' + 'ne'"))
    with pytest.raises(UserError, match=r"a\.X is registered, but its `name` is not a literal string"):
        registry.entries("methods")


def test_register_wants_a_name() -> None:
    with pytest.raises(TypeError, match="has no `name`"):
        registry.register(type("Nameless", (), {}))


PLUGIN = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "zebra-plugin"
version = "1.0"
[project.entry-points."i2i_bench.methods"]
zebra = "zebra_plugin.method:Zebra"
lame = "zebra_plugin.broken:Lame"
[project.entry-points."i2i_bench.datasets"]
savanna = "zebra_plugin.data:Savanna"
[tool.setuptools]
packages = ["zebra_plugin"]
""",
    "zebra_plugin/__init__.py": "",
    "zebra_plugin/method.py": """
from bench.training.method import Config, Method
from bench.core.registry import register

@register
class Zebra(Method):
    \"\"\"Stripes.\"\"\"
    name = "zebra"
    aliases = ("horse-with-stripes",)
    paper = "none"
    Config = Config
    presets = {"paper": {}, "cpu": {"resolution": 32}}
    def streams(self, data): return {}
    def train_step(self, batch): return {}
    def translate(self, source, reference=None, rng=None, label=None): return source
""",
    "zebra_plugin/data.py": """
from bench.data.dataset import Dataset
from bench.core.registry import register

@register
class Savanna(Dataset):
    name = "savanna"
    domains = ("horse", "zebra")
    resolution = 32
    homepage = "https://example.org"
    license = "none"
    layout = "horse/ and zebra/"
    def scan(self, root): return []
""",
    "zebra_plugin/broken.py": "import a_module_that_is_not_there\n",
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real package, built and installed by pip into a folder of its own."""
    project, target = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    for name, text in PLUGIN.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(project)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target


def test_an_installed_package_adds_a_method_and_a_data_set(plugin: Path) -> None:
    code = (
        "import json, sys; from bench.core import registry\n"
        "m, d = registry.entries('methods'), registry.entries('datasets')\n"
        "torch = 'torch' in sys.modules\n"
        "z = registry.find('methods', 'horse-with-stripes')\n"
        "print(json.dumps([z.name, z.origin, z.facts['presets'], z.load().__doc__, m['cyclegan'].origin,"
        " d['savanna'].facts['domains'], registry.find('datasets', 'savanna').load().name, torch]))"
    )
    done = python(code, plugin)
    assert done.returncode == 0, done.stderr
    presets = {"paper": {}, "cpu": {"resolution": 32}}
    expected = ["zebra", "zebra-plugin", presets, "Stripes.", "built in", ["horse", "zebra"], "savanna", False]
    assert json.loads(done.stdout) == expected


def test_the_command_line_lists_them(plugin: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(plugin)}
    command = [sys.executable, "-m", "bench", "list", "methods"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "zebra" in done.stdout and "cyclegan" in done.stdout


def test_a_broken_package_is_one_line_and_hurts_nobody_else(plugin: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(plugin)}
    command = [sys.executable, "-m", "bench", "run", "--method", "lame", "--dataset", "emoji", "--target-size", "5"]
    done = subprocess.run([*command, "--dry-run"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "lame" in lines[0] and "zebra-plugin" in lines[0] and "a_module_that_is_not_there" in lines[0]
    other = [word if word != "lame" else "cyclegan" for word in command]
    done = subprocess.run([*other, "--dry-run"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
