"""What follows `folder:`: a path, then options as in `folder:photos:source=cat:target=dog:held-out=12`."""

from dataclasses import dataclass
from pathlib import Path

from bench import UserError, expand_home, unknown

KEYS = ("layout", "source", "target", "held-out")


@dataclass(frozen=True)
class Choice:
    """Which names (classes or domains of the owner's) are the source, and which the target; None: not said."""

    source: tuple[str, ...] | None = None
    target: tuple[str, ...] | None = None

    def domains(self, names: set[str], where: str) -> dict[str, str]:
        """Name -> "source" or "target" for the chosen ones of `names`; what is not chosen is left out.

        Without a choice the names must be, or have among them, source and target. UserError where nothing says which
        is which, where a chosen name is not there, or where one name is chosen twice.
        """
        source, target = self.source or ("source",), self.target or ("target",)
        if (self.source is None or self.target is None) and not {*source, *target} <= names:
            raise UserError(
                f"{where} holds {', '.join(sorted(names)) or 'nothing'}; say which is the source and which the target: "
                "folder:DIR:source=NAME:target=NAME"
            )
        for name in (*source, *target):
            if name not in names:
                raise unknown(f"name in {where}:", name, names)
        if both := sorted({*source} & {*target}):
            raise UserError(f"{both[0]} is chosen both as source and as target; choose two different names")
        return {**dict.fromkeys(source, "source"), **dict.fromkeys(target, "target")}


@dataclass(frozen=True)
class Argument:
    """The path, resolved, and the options; as text it is the same for the same meaning."""

    place: str
    layout: str | None = None
    choice: Choice = Choice()
    held_out: float | None = None

    def __str__(self) -> str:
        options = {
            "layout": self.layout,
            "source": self.choice.source and "+".join(self.choice.source),
            "target": self.choice.target and "+".join(self.choice.target),
            "held-out": self.held_out and f"{self.held_out:g}",
        }
        return "".join([self.place, *(f":{key}={value}" for key, value in options.items() if value)])

    @staticmethod
    def parse(text: str | None) -> "Argument":
        """Options are read from the end, so a path may hold colons. UserError for what cannot be understood."""
        place, options = text or "", dict[str, str]()
        while ":" in place and place.rpartition(":")[2].partition("=")[0] in KEYS:
            place, _, option = place.rpartition(":")
            key, _, value = option.partition("=")
            if not value or key in options:
                raise UserError(f"folder:{text} gives {key} twice or without a value; write {key}=VALUE once")
            options[key] = value
        if not place:
            raise UserError(
                "the data set folder needs a path: --dataset folder:DIR, where DIR holds source/ and target/, or is "
                "laid out in another known way"
            )
        held_out = _held_out(options["held-out"]) if "held-out" in options else None
        choice = Choice(_names(options.get("source")), _names(options.get("target")))
        return Argument(_resolved(place), options.get("layout"), choice, held_out)


def _resolved(text: str) -> str:
    if "\0" in text:
        raise UserError(f"no folder can be called {text!r}: it holds a zero byte; name another folder:DIR")
    path = expand_home(Path(text), "folder:DIR").resolve()
    place = str(path)
    if place.encode(errors="ignore").decode() != place:
        raise UserError(f"the path {place!r} is not UTF-8, so no record could hold it; rename the folder")
    last = place.rpartition(":")[2]
    if "=" in last and "/" not in last and not path.exists():
        raise unknown("option of folder:DIR:", last.partition("=")[0], KEYS)
    return place


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(dict.fromkeys(name for name in text.split("+") if name))


def _held_out(text: str) -> float:
    """A share between 0 and 1, or a whole number of images from 1 on."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (0 < number < 1 or (number >= 1 and number.is_integer())):
        raise UserError(f"held-out={text}: give a number of images (12) or a share between 0 and 1 (0.3)")
    return number
