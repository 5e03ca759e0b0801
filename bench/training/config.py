"""The fields of a method's Config as data: default, type, meaning and bounds. `--set` and frozen runs are read by them.

A field is declared by `setting`, or as a plain dataclass field, which has no help text. In either case a number has to
be finite; and where no lower bound is given, and the default is not negative itself, no value may be negative.
"""

import math
import types
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.core.errors import UserError, unknown
from bench.core.text import names_in

LARGEST = 2**31 - 1  # no size of a network, a batch or a training is beyond


def setting(
    default: Any,
    help: str | None = None,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of a Config.

    default  its value where neither a preset nor --set names it
    help     what it does, a phrase in plain English; where values have names, what each of them means
    low      the smallest value allowed; `above` instead where that value itself is not allowed
    high     the largest value allowed; `below` instead where that value itself is not allowed

    The bounds hold for numbers, and for each entry of a tuple. What a subclass declares anew keeps the help text and
    the bounds that it does not name: `batch_size: int = 4` is enough to change a default.
    """
    named = {"help": help, "low": low, "above": above, "high": high, "below": below}
    return field(default=default, metadata={key: value for key, value in named.items() if value is not None})


@dataclass(frozen=True)
class Kind:
    """What values a field takes: its type and its bounds."""

    type: Any
    bounds: dict[str, float]

    def allows(self, value: Any) -> bool:
        return _allows(value, self.type, self.bounds) and not self.is_too_large(value)

    def is_too_large(self, value: Any) -> bool:
        """A whole number (or an entry of a tuple) above LARGEST, in a field that names no largest value of its own."""
        if isinstance(value, tuple):
            return any(map(self.is_too_large, value))
        return isinstance(value, int) and value > LARGEST and not self.bounds.keys() & {"high", "below"}

    def __str__(self) -> str:
        """What may be chosen, for example "a whole number of at least 1, or none"."""
        return _spoken(self.type, self.bounds)


@dataclass(frozen=True)
class Described:
    """One field of a Config, as `bench list fields` prints it."""

    name: str
    kind: Kind
    default: Any
    help: str | None


def describe(config: type) -> list[Described]:
    """The fields of a Config class, in their order."""
    hints = get_type_hints(config)
    described = []
    for part in fields(config):
        facts = _facts(config, part.name)
        help = facts.pop("help", None)
        if not facts.keys() & {"low", "above"} and not _negative(part.default):
            facts["low"] = 0
        described.append(Described(part.name, Kind(hints[part.name], facts), part.default, help))
    return described


def check_values(config: Any) -> None:
    """Raises UserError for the first field whose value is not one that its type and its bounds allow.

    A whole number in a field for any number becomes a float, so that lr=1 and lr=1.0 are the same settings.
    """
    for part in describe(type(config)):
        value = getattr(config, part.name)
        if not part.kind.allows(value):
            most = f", at most {LARGEST}" if part.kind.is_too_large(value) else ""
            raise UserError(f"{part.name}={spell(value)}: choose {part.kind}{most}")
        if type(value) is int and float in (part.kind.type, *get_args(part.kind.type)):
            object.__setattr__(config, part.name, float(value))  # the dataclass is frozen


def build(config: type, presets: dict[str, dict[str, Any]], preset: str, settings: Iterable[str]) -> Any:
    """An instance of the dataclass `config`: its defaults, then the preset, then settings such as "width=8".

    Raises UserError for an unknown preset or field (with the nearest name) and for a value that the field cannot have.
    """
    if preset not in presets:
        raise unknown("preset", preset, presets)
    kinds = {part.name: part.kind for part in describe(config)}
    values = dict(presets[preset])
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting!r} is not field=value; for example --set {next(iter(kinds))}=1")
        if name not in kinds:
            raise unknown("field", name, kinds, mend="(fields of the method's Config)")
        try:
            values[name] = parse(text, kinds[name].type)
        except ValueError:
            raise UserError(f"{name}={text}: choose {kinds[name]}") from None
    return config(**values)


def parse(text: str, kind: Any) -> Any:
    """The value that `text` spells for a type: bool, int, float, str, Literal, X | None, tuple[X, ...].

    Raises ValueError where it spells none.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return parse(text, _but_none(arguments))
    if origin is Literal:
        return {str(value): value for value in arguments}[text] if text in map(str, arguments) else _refuse(text)
    if origin is tuple:
        return tuple(parse(part, arguments[0]) for part in names_in(text))
    if kind is bool:
        return text.lower() == "true" if text.lower() in ("true", "false") else _refuse(text)
    return kind(text)


def spell(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, tuple | list):
        return ",".join(map(spell, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def as_json(config: Any) -> dict[str, Any]:
    """The config as JSON-able values, tuples as lists; without the fields that it says nothing reads (`unread`)."""
    unread: frozenset[str] = getattr(config, "unread", frozenset())
    values = {key: value for key, value in asdict(config).items() if key not in unread}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def from_json(config: type, values: dict[str, Any]) -> Any:
    """The reverse of `as_json`. Raises UserError for a field that `config` does not have or a value it cannot have."""
    known = [part.name for part in fields(config)]
    for name in values:
        if name not in known:
            raise unknown("field", name, known, mend="(in the stored settings of the run; submit it again)")
    return config(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _facts(config: type, name: str) -> dict[str, Any]:
    """Help and bounds of a field, each as the nearest class in the line of inheritance gives it."""
    facts: dict[str, Any] = {}
    for base in reversed(config.__mro__):
        declared = vars(base).get("__dataclass_fields__", {}).get(name)
        for end in (("low", "above"), ("high", "below")):
            if declared and set(end) & declared.metadata.keys():
                facts = {key: value for key, value in facts.items() if key not in end}
        facts |= declared.metadata if declared else {}
    return facts


def _allows(value: Any, kind: Any, bounds: dict[str, float]) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return type(None) in arguments if value is None else _allows(value, _but_none(arguments), bounds)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_allows(part, arguments[0], bounds) for part in value)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool) and _within(value, **bounds)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _within(
    value: float,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
) -> bool:
    return (isinstance(value, int) or math.isfinite(value)) and not (
        (low is not None and value < low)
        or (above is not None and value <= above)
        or (high is not None and value > high)
        or (below is not None and value >= below)
    )


def _spoken(kind: Any, bounds: dict[str, float]) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _spoken(_but_none(arguments), bounds) + (", or none" if type(None) in arguments else "")
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"values separated by commas, each {_spoken(arguments[0], bounds)}"
    if kind in (int, float):
        return " ".join(["a whole number" if kind is int else "a number", *_range(bounds)])
    return {bool: "true or false", str: "a text"}.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _range(bounds: dict[str, float]) -> list[str]:
    words = {"low": "of at least", "above": "above", "high": "at most", "below": "below"}
    spoken = [f"{word} {bounds[name]}" for name, word in words.items() if name in bounds]
    return [" and ".join(spoken)] if spoken else []


def _negative(default: Any) -> bool:
    return isinstance(default, int | float) and default < 0


def _but_none(arguments: tuple[Any, ...]) -> Any:
    return next(argument for argument in arguments if argument is not type(None))


def _refuse(text: str) -> Any:
    raise ValueError(text)
