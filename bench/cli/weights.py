"""`bench weights`: the pre-trained networks that metrics need."""

from typing import Annotated

import typer

from bench.core.errors import UserError
from bench.core.terminal import print_table
from bench.metrics import METRICS, weights

app = typer.Typer(help="Pre-trained networks: what is here, and how to get the rest.", no_args_is_help=True)


@app.command("list")
def list_networks() -> None:
    """Each network: needed by which metrics, present or not, sha256, licence, how to get it."""
    rows = []
    for name, entry in weights.WEIGHTS.items():
        users = ", ".join(m.name for m in METRICS.values() if name in m.needs) or "no metric yet"
        rows.append([name, users, _presence(name), (entry.sha256 or "not published")[:13], entry.licence, entry.how])
    print_table("", ["network", "needed by", "present", "sha256", "licence", "get it"], rows)
    typer.echo(f"Files are looked for in {weights.weights_folder()} (I2I_BENCH_WEIGHTS moves it).")


@app.command("get")
def get_networks(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; by default all that pip can fetch.")] = None,
) -> None:
    """Fetch networks into the weights folder and check their sha256."""
    for name in names or [entry.name for entry in weights.WEIGHTS.values() if entry.by_default]:
        path = weights.get(name, typer.echo)
        typer.echo(f"{name}: {path}")


def _presence(name: str) -> str:
    try:
        weights.pretrained_weights(name)
    except weights.MissingWeights:
        return "no"
    except UserError:
        return "WRONG sha256"
    return "yes"
