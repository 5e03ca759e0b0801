"""`--json`: one JSON value on stdout, for scripts; what is said meanwhile goes to stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import msgspec
import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value, for scripts; messages go to stderr.")]


@contextmanager
def said_elsewhere(as_json: bool) -> Iterator[None]:
    """While entered, what is printed goes to stderr, if stdout is kept for JSON."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(value: Any) -> None:
    """Prints a Struct, a dataclass or what JSON knows. Raises ValueError for NaN."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, allow_nan=False), flush=True)
