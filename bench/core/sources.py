"""Which code a run uses: one hash over every source file that can change its result.

These are the rooms of `bench` that train and measure, the method and the data set with all that they import of
bench.methods and bench.datasets, and, where one of them comes from another package, the whole of that package. What
only starts runs or shows them (cli, launch, leaderboard, study, ...) and other methods are left out, so that a new
method or a new plot does not stop the runs that are under way.
"""

import ast
import hashlib
import importlib
import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.core.registry import Entry, find

ROOMS = ("core", "data", "training", "metrics", "runs")
KINDS = ("methods", "datasets")
OURS = tuple(f"bench.{kind}." for kind in KINDS)


@cache
def source_sha256(method: str | None, dataset: str) -> str:
    """sha256 (hex) of the files that a run of this method on this data set uses; None for a run without a method.

    Asked once in a process, at its start: an edit while a run trains changes nothing that it does.
    """
    return _hash(source_files(method, dataset))


@cache
def module_sha256(module: str) -> str:
    """`source_sha256` of what one module uses, such as the one that makes an artifact."""
    return _hash({**_of_rooms(), **_of_module(module)})


def plugin_versions(method: str | None, dataset: str) -> dict[str, str]:
    """Name -> version of the other packages that the method and the data set come from; empty for our own."""
    names = {entry.origin for entry in _entries(method, dataset)} - {"built in", "unknown"}
    return {name: _version(name) for name in sorted(names)}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def source_files(method: str | None, dataset: str) -> dict[str, Path]:
    """The files behind `source_sha256`, by names that do not depend on where they are installed."""
    files = _of_rooms()
    for entry in _entries(method, dataset):
        files |= _of_module(entry.module)
    return files


def _entries(method: str | None, dataset: str) -> list[Entry]:
    registered = [find("datasets", dataset)]
    return registered if method is None else [find("methods", method), *registered]


def _hash(files: dict[str, Path]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        total.update(f"{name}\n".encode() + _digest(path))
    return total.hexdigest()


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _of_rooms() -> dict[str, Path]:
    bench = _folder("bench")
    files = {f"bench/{room}/{_below(path, bench / room)}": path for room in ROOMS for path in _python(bench / room)}
    return files | {f"bench/{path.name}": path for path in bench.glob("__init__.py*")}


def _of_module(module: str) -> dict[str, Path]:
    """A method or data set of ours with its package and what it imports of the others, or the whole package of a
    plug-in with what it imports of ours. A module of `bench` itself is among the rooms."""
    top, *_ = module.split(".")
    if module.startswith(OURS):
        package = ".".join(module.split(".")[:3])
        own = {_name(path): path for path in _files_of(package, whole=True)}
    else:
        own = {} if top == "bench" else {f"{top}/{name}": path for name, path in _installed(top).items()}
    files, waiting, known = dict(own), list(own.values()), set(own.values())
    while waiting:
        imported = {path for name in _imports(waiting.pop()) for path in _files_of(name)} - known
        files |= {_name(path): path for path in imported}
        known |= imported
        waiting += imported
    return files


def _files_of(name: str, whole: bool = False) -> list[Path]:
    """The file of a module, bench.methods.nn.losses for one, and the __init__ of the packages that it is in; with
    `whole` every file of a package. Empty where the name is no module."""
    _, kind, *parts = name.split(".")
    folder = _folder(f"bench.{kind}")
    place = folder.joinpath(*parts)
    if whole and place.is_dir():
        return _python(place)
    files = [place.with_suffix(".py"), place / "__init__.py"]
    files += [folder.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts))]
    return [path for path in files if path.is_file()]


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """What a file imports of bench.methods and bench.datasets; a name that is imported may be a module or not."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.startswith(OURS))


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """The module that `from X import ...` in this file means; relative ones matter in our folders alone."""
    if not node.level:
        return node.module or ""
    name = _name(path)
    above = ["bench", *name.split("/")[: -node.level]] if name else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _name(path: Path) -> str:
    """methods/nn/losses.py for a file of our folders; empty for others."""
    for kind in KINDS:
        folder = _folder(f"bench.{kind}")
        if path.is_relative_to(folder):
            return f"{kind}/{_below(path, folder)}"
    return ""


def _installed(top: str) -> dict[str, Path]:
    """Every Python file of a package or module that is installed, by its name in it."""
    spec = importlib.util.find_spec(top) if top != "__main__" else None
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    files = {_below(path, folder): path for folder in folders for path in _python(folder)}
    if not files and spec and spec.origin:
        files = {Path(spec.origin).name: Path(spec.origin)}
    return files


def _folder(package: str) -> Path:
    return Path(next(iter(importlib.import_module(package).__path__)))


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
