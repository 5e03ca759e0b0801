"""`bench list`: what is registered, read without importing it; only `fields` imports the method that it is about."""

from typing import Annotated

import typer

from bench.cli.as_json import Json, print_json
from bench.core.registry import entries, find
from bench.core.terminal import print_table
from bench.metrics.anchors import ANCHORS
from bench.training.needs import KINDS, NEEDS, kind_of

app = typer.Typer(no_args_is_help=True)


def _print(title: str, columns: list[str], rows: list[list[str]], as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(columns, row)) for row in rows])
    else:
        print_table(title, columns, rows)


@app.command()
def methods(as_json: Json = False) -> None:
    """Methods and anchor rows by name."""
    rows = [
        [e.name, ", ".join(e.aliases), str(e.facts.get("year", "")), kind_of(e.facts),
         ", ".join(e.facts.get("needs", ())), str(e.facts.get("paper", "")), ", ".join(_presets(e.facts)), e.origin]
        for e in entries("methods").values()
    ]  # fmt: skip
    rows += [[name, "", "", "anchor", "", f"anchor row: {what}", "", "built in"] for name, what in ANCHORS.items()]
    _print("Methods", ["name", "aliases", "year", "kind", "needs", "paper", "presets", "from"], rows, as_json)
    for heading, words in () if as_json else (("kind", KINDS), ("needs", NEEDS)):
        typer.echo(f"{heading}:")
        for word, meaning in words.items():
            typer.echo(f"  {word}: {meaning}")


@app.command()
def datasets(as_json: Json = False) -> None:
    """Data sets by name; `bench data list` also says which are here."""
    rows = [
        [e.name, ", ".join(e.aliases), " -> ".join(e.facts.get("domains", ())), str(e.facts.get("resolution", "")),
         "training" if e.facts.get("training_pairs") else "", str(e.facts.get("license", "")), e.origin]
        for e in entries("datasets").values()
    ]  # fmt: skip
    _print("Data sets", ["name", "aliases", "domains", "pixels", "pairs", "licence", "from"], rows, as_json)


@app.command()
def metrics(as_json: Json = False) -> None:
    """Metrics: what each says, which way is better, what it needs."""
    from bench.metrics import METRICS

    rows = [
        [m.name, str(m.version), m.better or "", f"{m.range[0]:g} .. {m.range[1]:g}", ", ".join(m.needs), m.summary]
        for m in METRICS.values()
    ]
    _print("Metrics", ["name", "version", "better", "range", "needs", "what it is"], rows, as_json)


@app.command()
def presets(as_json: Json = False) -> None:
    """Presets: the fields in which each differs from the defaults of its method's Config."""
    rows = [
        [e.name, preset, ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults of Config"]
        for e in entries("methods").values()
        for preset, values in _presets(e.facts).items()
    ]
    _print("Presets", ["method", "preset", "fields"], rows, as_json)


@app.command()
def fields(method: Annotated[str, typer.Argument(help="A registered method.")], as_json: Json = False) -> None:
    """Fields of a method's Config, for --set: name, the values it takes, default, meaning."""
    from bench.training.config import describe, spell

    rows = [
        [part.name, str(part.kind), spell(part.default), part.help or ""]
        for part in describe(find("methods", method).load().Config)
    ]
    _print(f"Fields of {method}", ["name", "type", "default", "meaning"], rows, as_json)


def _presets(facts: dict) -> dict[str, dict]:
    return facts.get("presets", {})
