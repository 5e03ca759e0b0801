"""Reads every import of bench/, methods/ and datasets/ and says how the house stands.

    python scripts/house.py [--root DIR]

Prints the rooms from top to bottom, arrows that run up, circles, what methods and datasets import beyond the public
API, and a few counts. Imports inside functions and under TYPE_CHECKING count like all others.
"""

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# From top to bottom: a room uses only rooms below it. The files flat in bench/ are rooms of their own.
ROOMS = (
    "cli", "api", "claims", "use", "leaderboard", "study", "regress", "launch", "testing", "statistics", "runs",
    "metrics", "training", "data", "core",
)  # fmt: skip
# What methods and data sets share: they may import these beside the public API.
SHARED = ("bench.methods.nn", "bench.methods.modes", "bench.datasets.layouts")


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, where it lies, and the modules of ours that it imports."""

    name: str
    path: Path
    imports: frozenset[str]


def read_modules(root: Path) -> dict[str, Module]:
    """All modules of a checkout by name; methods/ and datasets/ are bench.methods and bench.datasets."""
    paths = {
        name_of(path, root): path
        for folder in ("bench", "methods", "datasets")
        for path in (root / folder).rglob("*.py")
    }
    return {name: Module(name, path, frozenset(_imports(name, path, set(paths)))) for name, path in paths.items()}


def name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts if parts[0] == "bench" else ("bench", *parts)
    return ".".join(part for part in parts if part != "__init__")


def _imports(name: str, path: Path, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, name, path)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in known:
                    yield full
                elif base in known:
                    yield base


def _base(node: ast.ImportFrom, name: str, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    parts = package[: len(package) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def room_of(name: str) -> str:
    """The room of a module: `metrics` for bench.metrics.kernel, `methods` for bench.methods.nn.layers."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "bench"


def upward(modules: dict[str, Module]) -> list[str]:
    """Arrows inside bench that run from a room to one above it, or to a room that no list names."""
    floor = {room: number for number, room in enumerate(ROOMS)}
    arrows = []
    for module in modules.values():
        room = room_of(module.name)
        for target in sorted(module.imports):
            other = room_of(target)
            if room in floor and other in floor and floor[other] < floor[room]:
                arrows.append(f"{module.name} -> {target}")
            if room in floor and other in ("methods", "datasets"):
                arrows.append(
                    f"{module.name} -> {target} (bench knows methods and data sets through the registry alone)"
                )
    return arrows


def strangers(modules: dict[str, Module]) -> list[str]:
    """What methods and data sets import that is neither the public API, nor shared, nor their own package."""
    arrows = []
    for module in modules.values():
        kind = room_of(module.name)
        if kind not in ("methods", "datasets"):
            continue
        own = ".".join(module.name.split(".")[:3])
        shared = [s for s in SHARED if s.startswith(f"bench.{kind}")]
        for target in sorted(module.imports):
            fine = target == "bench" or target == own or target.startswith((f"{own}.", *shared))
            if not fine and not _is_public_class(modules.get(target), module):
                arrows.append(f"{module.name} -> {target}")
    return arrows


def _is_public_class(target: Module | None, module: Module) -> bool:
    """A method may build on another registered one (BalaGAN is FUNIT with classes), by its public names alone."""
    if target is None or "@register" not in target.path.read_text(encoding="utf-8"):
        return False
    tree = ast.parse(module.path.read_text(encoding="utf-8"))
    taken = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and _base(node, module.name, module.path) == target.name
        for alias in node.names
    ]
    return bool(taken) and not any(name.startswith("_") for name in taken)


def circles(modules: dict[str, Module]) -> list[list[str]]:
    """Groups of modules that import one another, found as strongly connected components (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in modules[name].imports:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for name in sorted(modules):
        if name not in index:
            visit(name)
    return groups


def counts(modules: dict[str, Module]) -> dict[str, str]:
    """What the table of a redesign compares."""
    most = max(modules.values(), key=lambda m: len(m.imports))
    flat = [m for m in modules.values() if m.name.count(".") == 1 and m.path.name != "__init__.py"]
    return {
        "modules": str(len(modules)),
        "modules flat in bench/": str(len(flat)),
        "rooms of bench/": str(len({room_of(m.name) for m in modules.values()} & set(ROOMS))),
        "imports between own modules, mean": f"{sum(len(m.imports) for m in modules.values()) / len(modules):.1f}",
        "imports between own modules, most": f"{len(most.imports)} ({most.name})",
        "arrows that run up": str(len(upward(modules))),
        "circles": str(len(circles(modules))),
        "imports of methods and datasets beyond the public API": str(len(strangers(modules))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    modules = read_modules(parser.parse_args().root)
    for title, rows in (("arrows that run up", upward(modules)), ("beyond the public API", strangers(modules))):
        print(*[f"{title}: {row}" for row in rows], sep="\n")
    print(*[f"circle: {' '.join(group)}" for group in circles(modules)], sep="\n")
    print(*[f"{what}: {value}" for what, value in counts(modules).items()], sep="\n")


if __name__ == "__main__":
    main()
