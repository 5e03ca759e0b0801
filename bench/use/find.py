"""What `bench translate`, `export` and `play` take: a finished run, an exported translator, or one that ships."""

from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UserError, unknown
from bench.core.progress import Reporter
from bench.runs.find import find_finished
from bench.runs.settings import RunSettings
from bench.use.exported import NAME, is_exported, load_exported
from bench.use.load import load_run
from bench.use.trained import Trained

PREFIX = "shipped:"
SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class Found:
    """A folder with a network: that of a run, or of an exported translator. Both hold a record.json."""

    folder: Path
    name: str
    exported: bool

    def load(self, settings: RunSettings, reporter: Reporter) -> Trained:
        if self.exported:
            return load_exported(self.folder, settings, self.name)
        return load_run(self.folder, settings, reporter)


def find_trained(name: str, results: Path) -> Found:
    """`shipped:NAME`, the folder that `bench export` wrote, or a run as `bench show` finds it.

    Raises UserError where there is none.
    """
    if name.startswith(PREFIX):
        return _shipped(name.removeprefix(PREFIX))
    if is_exported(Path(name)):
        return Found(Path(name), Path(name).resolve().name, exported=True)
    folder = find_finished(results, name)
    return Found(folder, f"{folder.parent.name}/{folder.name}", exported=False)


def shipped_names() -> list[str]:
    """What follows `shipped:` in the names of the translators that are part of this package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{NAME}"))


def _shipped(name: str) -> Found:
    known = shipped_names()
    if not known:
        raise UserError("no translator ships with this version; name a run, or a folder that bench export wrote")
    if name not in known:
        raise unknown("shipped translator", name, known)
    return Found(SHIPPED / name, PREFIX + name, exported=True)
