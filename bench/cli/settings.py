"""The options of RunSettings, stated once for every command that carries out runs."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
import typer

from bench.core.text import typed_names
from bench.runs.settings import RunSettings

LISTS = {"metrics", "log"}  # fields that are typed as comma-separated names


def takes_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of these fields of RunSettings, all where none is named, in place of its parameter
    `settings`, which gets them as one RunSettings."""
    fields = [f for f in msgspec.structs.fields(RunSettings) if not names or f.name in names]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_settings(**values: Any) -> None:
            chosen = {field.name: values.pop(field.name) for field in fields}
            for name in LISTS & chosen.keys():
                if chosen[name] is not None:
                    chosen[name] = typed_names(chosen[name], f"--{name}")
            command(**values, settings=RunSettings(**chosen))

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "settings"]
        options = [_option(field) for field in fields]
        with_settings.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        hints = {
            name: hint for name, hint in get_type_hints(command, include_extras=True).items() if name != "settings"
        }
        with_settings.__annotations__ = {**hints, **{p.name: p.annotation for p in options}}
        del with_settings.__wrapped__  # typer would read the signature of the command itself
        return with_settings

    return decorate


def _option(field: Any) -> inspect.Parameter:
    kind, meta = get_args(get_type_hints(RunSettings, include_extras=True)[field.name])
    kind = str | None if field.name in LISTS else kind
    name = f"--{field.name.replace('_', '-')}"  # without it typer would add a --no-... to every switch
    annotation = Annotated[kind, typer.Option(name, help=meta.description)]  # type: ignore[valid-type]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)
