"""Own data on the command line: `--held-out`, and `bench data check`, which explains what would be used of a folder."""

from typing import Annotated

import typer

from bench.core.errors import UserError
from bench.core.progress import Reporter
from bench.core.terminal import print_table
from bench.data.check import Checked, check
from bench.data.dataset import Dataset
from bench.data.find import find_bank, full_name, make, with_held_out
from bench.data.task import draw_task

NAMED = 3  # files that a line of what is left out names

HeldOut = Annotated[
    str | None, typer.Option("--held-out", help="Own data: images (or share) of each domain that are held out.")
]


def check_own_data(
    folder: Annotated[str, typer.Argument(help="DIR, or folder:DIR with options as in :source=cat:target=dog.")],
    resolution: Annotated[int | None, typer.Option(help="Side in pixels of a run to come.")] = None,
    target_size: Annotated[int | None, typer.Option(help="Target training images of a run to come.")] = None,
    held_out: HeldOut = None,
) -> None:
    """Explains what would be used of own images and as what, what is left out and why, and what the numbers mean."""
    dataset = make(with_held_out(folder if folder.startswith("folder:") else f"folder:{folder}", held_out))
    root = dataset.embedded()
    assert root is not None
    typer.echo(f"{full_name(dataset)}\nread as {dataset.read_as(root)}")
    checked = check(dataset, root, Reporter().tick)
    print_table("", ["domain", "split", "images", "classes", "smallest", "largest"], _used(dataset, checked))
    for reason, files in checked.left_out.items():
        typer.echo(f"left out: {reason}: {_some(files)}")
    if not checked.left_out:
        typer.echo("left out: nothing")
    if checked.damaged:
        raise UserError(f"images that cannot be read: {len(checked.damaged)}, the first: {checked.damaged[0]}")
    _conclude(dataset, checked, resolution, target_size)


def _used(dataset: Dataset, checked: Checked) -> list[list[str]]:
    """A row a domain and split: images, classes, and the smallest and largest size in pixels."""
    rows = []
    for domain in dataset.domains:
        for split, name in (("train", "train"), ("test", "held out")):
            sizes = sorted(checked.sizes_of(domain, split), key=lambda size: (min(size), max(size)))
            mine = [item for item in checked.items if (item.domain, item.split) == (domain, split)]
            labels = [item.label for item in mine if item.label is not None]
            classes = ", ".join(f"{label} {labels.count(label)}" for label in sorted(set(labels))) or "none"
            ends = [f"{width}x{height}" for width, height in (sizes[0], sizes[-1])] if sizes else ["-", "-"]
            rows.append([domain, name, str(len(mine)), classes, *ends])
    return rows


def _conclude(dataset: Dataset, checked: Checked, resolution: int | None, target_size: int | None) -> None:
    """The largest resolution, and what small sets mean."""
    from bench.runs.small_sets import explain_small

    largest = min(dataset.resolution, *(min(size) for size in checked.sizes if size))
    typer.echo(f"largest --resolution: {largest}")
    bank = find_bank(dataset, min(largest, resolution or largest), Reporter().tick)
    train = len(bank.rows(dataset.task[1], "train"))
    typer.echo(explain_small(draw_task(dataset, bank, target_size or train, 0)) or "enough images for every metric")


def _some(files: list[str]) -> str:
    named = ", ".join(files[:NAMED])
    return f"{len(files)} ({named}{', ...' if len(files) > NAMED else ''})"
