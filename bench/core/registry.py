"""name -> class: one file of methods/ or datasets/ each, and the entry points of other packages.

Names are read from the source text, so listing imports neither torch nor the methods themselves.
"""

import ast
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.core.errors import UserError, unknown


@dataclass(frozen=True)
class Entry:
    """A registered class before it is imported. `facts` holds its literal class attributes (name, aliases, ...)."""

    name: str
    module: str
    attribute: str
    facts: dict[str, Any]
    origin: str  # "built in", or the package whose entry point it is

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(self.facts.get("aliases", ()))

    def load(self) -> Any:
        """Imports the class. A broken file of another package is a message, not a traceback."""
        try:
            return getattr(importlib.import_module(self.module), self.attribute)
        except (ImportError, AttributeError) as error:
            if self.origin == "built in":
                raise
            raise UserError(f"{self.name!r} of the package {self.origin} cannot be loaded: {error}") from error


def register(cls: type) -> type:
    """Marks the class of a file that the registry offers. It must have a `name` that is written out as a string."""
    if not isinstance(getattr(cls, "name", None), str):
        raise TypeError(f"{cls.__module__}.{cls.__name__} is registered but has no `name`")
    return cls


@cache
def entries(kind: str) -> dict[str, Entry]:
    """All registered classes of a kind (`methods` or `datasets`) by name, our own first."""
    by_name: dict[str, Entry] = {}
    for entry in [*_files(kind), *_plugins(kind)]:
        taken = {n: e for e in by_name.values() for n in (e.name, *e.aliases)}
        for name in (entry.name, *entry.aliases):
            if name in taken:
                raise UserError(
                    f"two {kind} are called {name!r}: {taken[name].module} ({taken[name].origin}) and {entry.module} "
                    f"({entry.origin}); rename one or uninstall its package"
                )
        by_name[entry.name] = entry
    return by_name


def find(kind: str, name: str) -> Entry:
    """The entry for a name or an alias; what follows the first colon is an argument and not looked at."""
    known = entries(kind)
    plain = name.split(":", 1)[0].lower()
    for entry in known.values():
        if plain == entry.name or plain in entry.aliases:
            return entry
    names = [n for e in known.values() for n in (e.name, *e.aliases)]
    raise unknown(kind.removesuffix("s"), plain, names)


def _files(kind: str) -> list[Entry]:
    package = importlib.import_module(f"bench.{kind}")
    folder = Path(next(iter(package.__path__)))
    sources = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    built_in = []
    for source in sorted(sources):
        relative = source.relative_to(folder).with_suffix("")
        module = ".".join(part for part in relative.parts if part != "__init__")
        if module:
            built_in += _registered(source.read_text(encoding="utf-8"), f"bench.{kind}.{module}", "built in")
    return built_in


def _plugins(kind: str) -> list[Entry]:
    plugins = []
    for point in metadata.entry_points(group=f"i2i_bench.{kind}"):
        origin = point.dist.name if point.dist else "unknown"
        facts: dict[str, Any] = {}
        for entry in _source_of(point.module, origin):
            if entry.attribute == point.attr:
                facts = entry.facts
        plugins.append(Entry(point.name, point.module, point.attr, facts, origin))
    return sorted(plugins, key=lambda e: e.name)


def _source_of(module: str, origin: str) -> list[Entry]:
    """The registered classes in the source of an installed module, found without importing the module itself."""
    try:
        spec = importlib.util.find_spec(module)
        text = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    except (ImportError, OSError, ValueError, UnicodeDecodeError):
        return []
    return _registered(text, module, origin)


def _registered(text: str, module: str, origin: str) -> list[Entry]:
    registered = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and any(_is_register(d) for d in node.decorator_list):
            facts = _literals(node)
            if not isinstance(facts.get("name"), str):
                raise UserError(f"{module}.{node.name} is registered, but its `name` is not a literal string")
            facts["summary"] = (ast.get_docstring(node) or "").split("\n")[0]
            registered.append(Entry(facts["name"], module, node.name, facts, origin))
    return registered


def _is_register(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "register") or (
        isinstance(node, ast.Attribute) and node.attr == "register"
    )


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    facts = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and statement.value is not None:
                try:
                    facts[target.id] = ast.literal_eval(statement.value)
                except ValueError:
                    continue
    return facts
