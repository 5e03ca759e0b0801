"""A method's Config from a preset and `--set field=value`, every value checked against its type."""

import types
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.core.errors import UserError, unknown


def build(config: type, presets: dict[str, dict[str, Any]], preset: str, settings: Iterable[str]) -> Any:
    """An instance of the dataclass `config`: its defaults, then the preset, then settings such as "width=8".

    Raises UserError for an unknown preset or field (with the nearest name) and for a value of the wrong type.
    """
    if preset not in presets:
        raise unknown("preset", preset, presets)
    hints = get_type_hints(config)
    names = [field.name for field in fields(config)]
    values = dict(presets[preset])
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting!r} is not field=value; for example --set {names[0]}=1")
        if name not in names:
            raise unknown("field", name, names, mend="(fields of the method's Config)")
        values[name] = parse(text, hints[name], name)
    return config(**values)


def parse(text: str, kind: Any, name: str) -> Any:
    """The value that `text` spells for a type: bool, int, float, str, Literal, X | None, tuple[X, ...]."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return parse(text, next(a for a in arguments if a is not type(None)), name)
    if origin is Literal:
        spelled = {str(value): value for value in arguments}
        if text not in spelled:
            raise UserError(f"--set {name}={text}: choose one of {', '.join(spelled)}")
        return spelled[text]
    if origin is tuple:
        return tuple(parse(part, arguments[0], name) for part in text.split(",") if part)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--set {name}={text}: expected true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise UserError(f"--set {name}={text}: expected {_spoken(kind)}") from None


def as_json(config: Any) -> dict[str, Any]:
    """The config as JSON-able values, tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def from_json(config: type, values: dict[str, Any]) -> Any:
    return config(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _spoken(kind: Any) -> str:
    return {int: "a whole number", float: "a number"}.get(kind, f"a {getattr(kind, '__name__', kind)}")
