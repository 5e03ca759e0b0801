"""`bench data`: list, prepare, verify, show and draw from the data sets."""

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.table import Column, Table

from bench import registry
from bench.bank import ImageBank
from bench.dataset import Dataset
from bench.errors import UserError
from bench.files import atomic
from bench.locate import find_bank, find_root, make, prepare_from, prepared_at
from bench.progress import Reporter
from bench.task import load_task, subset_order

app = typer.Typer(no_args_is_help=True, help="Data sets: list, prepare, verify, show, draw a target subset.")

Name = Annotated[str, typer.Argument(help="A data set, or folder:DIR.")]
Resolution = Annotated[int | None, typer.Option(help="Side in pixels; the data set's own without it.")]
Original = Annotated[Path | None, typer.Option("--from", help="The folder that holds the original files.")]


@app.command("list")
def list_() -> None:
    """Every known data set: is it here, how many images, how large, under which licence, from where."""
    table = Table("name", "here", "images", "size", "licence", Column("home page", overflow="fold"))
    notes = []
    for name, entry in registry.entries("datasets").items():
        try:
            here, images = _state(make(name))
        except UserError as error:
            here, images = "-", "-"
            notes.append(f"{name}: {error}")
        side = entry.facts.get("resolution", "?")
        table.add_row(
            name, here, images, f"{side}x{side}", entry.facts.get("license", "?"), entry.facts.get("homepage", "?")
        )
    Console().print(table)
    for note in notes:
        typer.echo(note)


@app.command()
def prepare(name: Name, source: Original = None, resolution: Resolution = None) -> None:
    """Decodes every image once into an image bank; runs do it by themselves where the files are at hand."""
    dataset, report = make(name), Reporter().tick
    if source is None:
        bank = find_bank(dataset, resolution, report)
    else:
        bank = prepare_from(dataset, source, resolution, report)
    typer.echo(f"{bank.manifest['images']} images at {bank.folder}")


@app.command()
def verify(name: Name, resolution: Resolution = None) -> None:
    """Counts the images and hashes every pixel of the bank anew; a damaged bank is an error."""
    bank = find_bank(make(name), resolution, Reporter().tick)
    table = Table("domain", "split", "images", "by label")
    for domain, splits in bank.manifest["counts"].items():
        for split, labels in splits.items():
            by_label = ", ".join(f"{label} {n}" for label, n in sorted(labels.items()))
            table.add_row(domain, split, str(sum(labels.values())), by_label)
    Console().print(table)
    expected = bank.manifest["content_sha256"]
    if bank.content_sha256() != expected:
        raise UserError(f"the image bank {bank.folder} is damaged (another sha256); delete it and prepare it again")
    typer.echo(f"content sha256 {expected}: as prepared")


@app.command()
def show(
    name: Name,
    resolution: Resolution = None,
    count: Annotated[int, typer.Option(min=1, help="Images a domain.")] = 8,
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("data.png"),
) -> None:
    """Writes a picture with one row of training images for each domain."""
    bank = find_bank(make(name), resolution, Reporter().tick)
    try:
        with atomic(output) as temporary:
            _sheet(bank, count).save(temporary, format="PNG")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}; choose another --output") from None
    typer.echo(f"{output}: rows {', '.join(bank.manifest['counts'])}")


@app.command()
def subset(
    name: Name,
    target_size: Annotated[int, typer.Option(help="Number of target training images.")],
    subset_seed: Annotated[int, typer.Option(help="Which subset.")] = 0,
    resolution: Resolution = None,
) -> None:
    """Prints the ids of a target subset in their order, one a line; `| sha256sum` gives the hash of the records."""
    task = load_task(name, target_size, resolution, subset_seed)
    for image in task.target_train.ids:
        typer.echo(image)
    typer.echo(f"sha256 {task.subset_sha256}", err=True)


def _state(dataset: Dataset) -> tuple[str, str]:
    """Is the data set here, and how many images has it, as far as that is known without decoding."""
    own = dataset.embedded()
    if own is not None:
        return "ships", str(len(dataset.scan(own)))
    bank = prepared_at(dataset, dataset.resolution)
    if bank is not None:
        return "prepared", str(bank.manifest["images"])
    return ("no" if find_root(dataset) is None else "not prepared"), "-"


def _sheet(bank: ImageBank, count: int) -> Image.Image:
    """One row of images a domain, the same things below each other where the data set has pairs."""
    side = bank.images.shape[-1]
    domains = list(bank.manifest["counts"])
    sheet = Image.new("RGB", (count * side, len(domains) * side), "white")
    for y, domain in enumerate(domains):
        for x, row in enumerate(subset_order(bank, domain, 0)[:count]):
            sheet.paste(Image.fromarray(bank.images[row].transpose(1, 2, 0)), (x * side, y * side))
    return sheet
