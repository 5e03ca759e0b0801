"""All loggers of one run: what they are told, and in which order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from PIL import Image

from bench.core.files import write_bytes
from bench.runs.loggers import LOGGERS, About, Logger
from bench.training import log

PICTURES = "samples"  # folder in that of a run: its samples.png after each step at which it was drawn


class LiveLog:
    """Tells the chosen loggers what a run logs. Without any it does nothing.

    A logger that fails is left out from then on, with a line that says so: no training ends for its sake.

    curves  the logs of the run whose lines are told: train.jsonl, and others of the same kind
    """

    def __init__(self, names: Sequence[str], about: About, curves: Sequence[str], say: Callable[[str], None]) -> None:
        self._names = names
        self._about = about
        self._curves = [about.folder / curve for curve in curves]
        self._pictures = about.folder / PICTURES
        self._say = say
        self._loggers: dict[str, Logger] | None = None

    def begin(self, step: int) -> None:
        """Opens the loggers and tells them what the run has logged; pictures of steps after `step` are dropped."""
        self._loggers = {}
        for path, at in self._known_pictures():
            if at > step:
                path.unlink()
        for name in self._names:
            self._try(name, partial(self._open, name, step > 0))
        self._tell_history()

    def line(self, line: log.Line) -> None:
        named = {name if "/" in name else f"loss/{name}": value for name, value in line.values.items()}
        self._each(lambda logger: logger.line(log.Line(line.step, line.images, named)))

    def picture(self, step: int, drawn: Path) -> None:
        """drawn: a PNG, of which a copy is kept for the loggers of a later start"""
        if self._loggers:
            self._pictures.mkdir(exist_ok=True)
            write_bytes(self._pictures / f"{step:09d}.png", drawn.read_bytes())
            self._show(step, drawn)

    def finish(self, metrics: Mapping[str, float]) -> None:
        """The run is measured; the training may have been done by an earlier start."""
        step = max((line.step for line in self._lines()), default=0)
        if self._loggers is None:
            self.begin(step)
        self._each(lambda logger: logger.finish(step, metrics))

    def close(self) -> None:
        self._each(lambda logger: logger.close())
        self._loggers = None

    def _open(self, name: str, goes_on: bool) -> None:
        assert self._loggers is not None
        cls = getattr(import_module(f"bench.runs.loggers.{name}"), LOGGERS[name])
        self._loggers[name] = cls(self._about, goes_on)

    def _tell_history(self) -> None:
        told: list[tuple[int, Callable[[], None]]] = [(line.step, partial(self.line, line)) for line in self._lines()]
        told += [(at, partial(self._show, at, path)) for path, at in self._known_pictures()]
        for _, tell in sorted(told, key=lambda one: one[0]):
            tell()

    def _lines(self) -> list[log.Line]:
        """All lines of the run's logs; none where nobody is told."""
        return [line for path in self._curves for line in log.read(path)] if self._names else []

    def _known_pictures(self) -> Iterator[tuple[Path, int]]:
        for path in sorted(self._pictures.glob("*.png")) if self._names else ():
            if path.stem.isdecimal():
                yield path, int(path.stem)

    def _show(self, step: int, path: Path) -> None:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            self._each(lambda logger: logger.picture(step, picture))

    def _each(self, tell: Callable[[Logger], None]) -> None:
        for name, logger in list((self._loggers or {}).items()):
            self._try(name, partial(tell, logger))

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # of packages that are not ours, also where a disk is full
            self._say(f"--log {name} failed ({type(error).__name__}: {error}); the run goes on without it")
            (self._loggers or {}).pop(name, None)
