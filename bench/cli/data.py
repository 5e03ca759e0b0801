"""`bench data`: list, prepare, verify, show and draw from the data sets."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.cli.own_data import HeldOut, check_own_data
from bench.core import markdown, registry
from bench.core.errors import UserError
from bench.core.placing import placed
from bench.core.progress import Reporter
from bench.core.terminal import print_table
from bench.data.bank import ImageBank, index
from bench.data.dataset import Dataset
from bench.data.decode import Decoding, Report
from bench.data.export import export as export_images
from bench.data.find import find_bank, find_root, make, prepare_from, prepared_at, with_held_out
from bench.data.montage import grid, save
from bench.data.task import Domain, load_task, subset_order, subset_sha256

app = typer.Typer(no_args_is_help=True, help="Data sets: list, prepare, verify, show, draw a target subset.")

Name = Annotated[str, typer.Argument(help="A data set, or folder:DIR, or NAME:SOURCE-TARGET.")]
Resolution = Annotated[int | None, typer.Option(help="Side in pixels; the data set's own without it.")]
Original = Annotated[
    list[Path] | None,
    typer.Option("--from", help="The folder that holds the original files, or an official .zip or .tar (repeatable)."),
]


class Part(str, Enum):
    """Which images `bench data subset` lists and `bench data export` writes."""

    target_train = "target-train"
    source_train = "source-train"
    held_out_source = "held-out-source"
    held_out_target = "held-out-target"


app.command("check")(check_own_data)


@app.command("list")
def list_(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of docs/datasets.md.")] = False,
) -> None:
    """Every known data set: is it here, how many images, how large, under which licence, from where."""
    if as_markdown:
        typer.echo(_markdown())
        return
    rows, notes = [], []
    for name, entry in registry.entries("datasets").items():
        try:
            state = _state(make(name))
        except UserError as error:
            state = ("-", "-", "-")
            notes.append(f"{name}: {error}")
        side = entry.facts.get("resolution", "?")
        licence, home = (str(entry.facts.get(fact, "?")) for fact in ("license", "homepage"))
        rows.append([name, *state[:2], f"{side}x{side}", state[2], licence, home])
    print_table("", ["name", "here", "images", "size", "on disk", "licence", "home page"], rows)
    for note in notes:
        typer.echo(note)


@app.command()
def prepare(name: Name, source: Original = None, resolution: Resolution = None) -> None:
    """Decodes every image once into an image bank; runs do it by themselves where the files are at hand.

    All processor cores work; killed, the same command goes on where it was.
    """
    dataset, report = make(name), Reporter().tick
    if source:
        bank = prepare_from(dataset, source, resolution, report)
    else:
        bank = find_bank(dataset, resolution, report)
    typer.echo(f"{bank.manifest['images']} images at {bank.folder}")
    typer.echo(f"content sha256 {bank.manifest['content_sha256']}")


@app.command()
def verify(name: Name, resolution: Resolution = None) -> None:
    """Counts the images, hashes every pixel of the bank anew and decodes every original file again."""
    dataset, report = make(name), Reporter().tick
    bank = find_bank(dataset, resolution, report)
    Console().print(_counts(bank))
    expected = bank.manifest["content_sha256"]
    if bank.content_sha256() != expected:
        raise UserError(f"the image bank {bank.folder} is damaged (another sha256); delete it and prepare it again")
    typer.echo(f"content sha256 {expected}: as prepared")
    copies = bank.manifest.get("copies_left_out", [])
    for domain, train, held_out in copies:
        typer.echo(f"left out of training: {domain} {train}, a copy of the held-out {held_out}")
    root = find_root(dataset)
    if root is None:
        typer.echo("the original files are gone: only the bank was looked at")
    else:
        _decode_again(dataset, root, bank, report)
        typer.echo(f"all {len(bank.ids)} originals decode to the same pixels")


@app.command()
def show(
    name: Name,
    resolution: Resolution = None,
    count: Annotated[int, typer.Option(min=1, help="Images a domain.")] = 8,
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("data.png"),
) -> None:
    """Writes a picture with one row of training images for each domain, and prints how many each label has."""
    with placed(output.parent, [output.name], "--output") as part:
        bank = find_bank(make(name), resolution, Reporter().tick)
        rows = [_coloured(bank, domain, subset_order(bank, domain, 0)[:count]) for domain in bank.manifest["counts"]]
        save(part / output.name, grid(rows))
    Console().print(_histogram(bank))
    typer.echo(f"{output}: rows {', '.join(bank.manifest['counts'])}")


@app.command()
def subset(
    name: Name,
    target_size: Annotated[int | None, typer.Option(help="Number of target training images.")] = None,
    seed: Annotated[int, typer.Option("--seed", "--subset-seed", help="Which subset.")] = 0,
    part: Annotated[Part, typer.Option(help="What to list; only the target subset has a size.")] = Part.target_train,
    files: Annotated[bool, typer.Option("--files", help="Files below the original folder instead of ids.")] = False,
    resolution: Resolution = None,
) -> None:
    """Prints the ids of a target subset in their order, one a line; `| sha256sum` gives the hash of the records.

    The same images for everybody: a list to train other programs on, or (held-out parts) to translate and measure.
    """
    domain = _part(name, part, target_size, resolution, seed)
    paths = domain.bank.files if files else domain.bank.ids
    for row in domain.rows:
        typer.echo(paths[row])
    typer.echo(f"sha256 {subset_sha256(domain.ids)}", err=True)


@app.command()
def export(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="The folder to write; new or empty.")],
    part: Annotated[Part, typer.Option(help="What to write; only the target subset has a size.")],
    target_size: Annotated[int | None, typer.Option(help="Number of target training images.")] = None,
    seed: Annotated[int, typer.Option("--seed", "--subset-seed", help="Which subset.")] = 0,
    resolution: Resolution = None,
    held_out: HeldOut = None,
) -> None:
    """Writes the images of one part as PNG, for another program; `bench evaluate` knows its outputs by their names."""
    domain = _part(with_held_out(name, held_out), part, target_size, resolution, seed)
    names = export_images(domain, out, Reporter().tick)
    typer.echo(f"{len(names)} images of {domain.bank.images.shape[-1]} px in {out}")
    typer.echo(f"sha256 of their ids {subset_sha256(domain.ids)}")


def _part(name: str, part: Part, target_size: int | None, resolution: int | None, seed: int) -> Domain:
    """The images of one part; UserError where a size is missing, or is given for a part that has none."""
    if part is Part.target_train and target_size is None:
        raise UserError("the target subset has a size: add --target-size N, or choose --part held-out-source")
    if part is not Part.target_train and target_size is not None:
        raise UserError(f"--part {part.value} is the same for all target sizes; leave out --target-size")
    task = load_task(name, target_size or 1, resolution, seed)
    return {
        Part.target_train: task.target_train,
        Part.source_train: task.source_train,
        Part.held_out_source: task.source_test,
        Part.held_out_target: task.target_test,
    }[part]


def _markdown() -> str:
    """What the classes say of themselves: a row for each data set that ships or belongs to a paper."""
    columns = ["name", "task", "official files", "paper and table", "published figures that can stand beside ours"]
    rows = []
    for name, entry in registry.entries("datasets").items():
        facts = entry.facts
        if entry.origin == "built in" and name != "folder":
            files = f"{facts['layout']} ({facts['homepage']})"
            paper, compare = facts.get("paper") or "-", facts.get("compare") or "none: it ships for tests and demos"
            rows.append([f"`{name}`", facts["summary"], files, paper, compare])
    whole = [[cell.replace("|", "\\|").replace("<", "&lt;") for cell in row] for row in rows]  # the facts are Markdown
    return markdown.table(columns, whole)


def _state(dataset: Dataset) -> tuple[str, str, str]:
    """Is the data set here, how many images has it and how large is it on disk, as far as known without decoding."""
    own = dataset.embedded()
    if own is not None:
        return "ships", str(len(dataset.scan(own))), _megabytes(own.stat().st_size) if own.is_file() else "-"
    bank = prepared_at(dataset, dataset.resolution)
    if bank is not None:
        size = sum(file.stat().st_size for file in bank.folder.iterdir())
        return "prepared", str(bank.manifest["images"]), _megabytes(size)
    return ("no" if find_root(dataset) is None else "not prepared"), "-", "-"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _counts(bank: ImageBank) -> Table:
    table = Table("domain", "split", "images", "by label")
    for domain, splits in bank.manifest["counts"].items():
        for split, labels in splits.items():
            rows = bank.rows(domain, split)
            if len(rows) != sum(labels.values()):
                raise UserError(f"the image bank {bank.folder} is damaged (counts); delete it and prepare it again")
            by_label = ", ".join(f"{label} {n}" for label, n in sorted(labels.items()))
            table.add_row(escape(domain), split, str(len(rows)), escape(by_label))
    return table


def _decode_again(dataset: Dataset, root: Path, bank: ImageBank, report: Report) -> None:
    items = {(item.domain, item.id): item for item in index(dataset, root)}
    kept = [items[key] for key in zip(bank.domains, bank.ids)]
    decoding = Decoding(dataset, root, kept, bank.manifest["resolution"], bank.folder)
    damaged = decoding.differing(bank.images, report)
    if damaged:
        raise UserError(
            f"originals that no longer decode to the bank's pixels: {len(damaged)}, the first is {damaged[0].file}; "
            f"restore it, or delete {bank.folder} and prepare it again"
        )


def _histogram(bank: ImageBank) -> Table:
    """How many images each label has in each domain, all splits together, with a bar."""
    table = Table("domain", "label", "images", "")
    totals = {
        (domain, label): sum(splits[split].get(label, 0) for split in splits)
        for domain, splits in bank.manifest["counts"].items()
        for label in sorted({label for labels in splits.values() for label in labels})
    }
    for (domain, label), n in totals.items():
        table.add_row(escape(domain), escape(label), str(n), "█" * max(1, round(40 * n / max(totals.values()))))
    return table


def _coloured(bank: ImageBank, domain: str, rows: np.ndarray) -> np.ndarray:
    """The images as they are; the ids of label maps, which are nearly black, as colours."""
    images = bank.images[rows]
    if bank.manifest.get("kinds", {}).get(domain) != "labels":
        return images
    colours = np.random.default_rng(0).integers(40, 256, (256, 3)).astype(np.uint8)
    return np.moveaxis(colours[images[:, 0]], -1, 1)
