"""`bench translate` and what else can be done with a network that is trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from bench.cli.settings import takes_settings
from bench.runs.settings import RunSettings

Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
Trained = Annotated[str, typer.Argument(help="A finished run: its folder, or a part of its name.", metavar="RUN")]


@takes_settings("device", "threads")
def translate(
    run: Trained,
    images: Annotated[list[Path], typer.Option(help="Image files, or folders of them, of any size.")],
    out: Annotated[Path, typer.Option(help="Folder for the translations, as PNG.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[IMAGES]...", help="More images.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="Images that guide the translation; one translation for each.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The class to translate to, by name or number.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seeds noise and the choice of references.")] = 0,
    per_image: Annotated[int, typer.Option(help="Translations of each image.")] = 1,
    steps: Annotated[bool, typer.Option("--steps", help="Write every image on the way, too.")] = False,
    back: Annotated[bool, typer.Option("--back", help="From the target domain to the source domain.")] = False,
    results: Results = Path("results"),
    *,
    settings: RunSettings,
) -> None:
    """Translate images of your own with the network of a finished run."""
    from bench.core.progress import Reporter
    from bench.use.find import find_trained
    from bench.use.translate_files import Wanted, translate_files

    trained = find_trained(run, results).load(settings, Reporter())
    wanted = Wanted([*images, *(more or [])], reference or (), label, per_image, seed, steps, back)
    with _progress("translate") as report:
        written = translate_files(trained, wanted, out, report)
    print(f"{len(written) - 1} images of {trained.resolution}x{trained.resolution} in {out}, all in {written[-1]}")


@takes_settings("device", "threads")
def export(
    run: Trained,
    out: Annotated[Path, typer.Option(help="Folder for the network, translator.json and record.json.")],
    form: Annotated[str, typer.Option("--format", help="safetensors, torchscript or onnx.")] = "safetensors",
    results: Results = Path("results"),
    *,
    settings: RunSettings,
) -> None:
    """Write the translating network of a finished run as a file of its own."""
    from bench.core.progress import Reporter
    from bench.use.export import export as write
    from bench.use.find import find_trained

    source = find_trained(run, results)
    facts = write(source.load(settings, Reporter()), source.folder / "record.json", form, out)
    print(f"{out / facts.file}: {facts.bytes / 2**20:.1f} MiB; {out / 'translator.json'} says how to use it")


def card(
    run: Trained,
    out: Annotated[
        Path | None, typer.Option(help="Write README.md there, with the network as safetensors and the record.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="REPO", help="Upload all to this model repository of the Hugging Face Hub.")
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Print the model card of a finished run, or write or upload it with the network."""
    from bench.runs.record import read_record
    from bench.use.card import card as text_of
    from bench.use.find import find_trained
    from bench.use.load import check_network

    source = find_trained(run, results)
    record = read_record(source.folder / "record.json")
    check_network(source.folder, record)
    if out is None and push is None:
        print(text_of(record), end="")
        return
    from bench.core.progress import Reporter
    from bench.use import hub

    trained = source.load(RunSettings(device="cpu"), Reporter())
    if out is not None:
        hub.write_repository(trained, source.folder, out)
        print(f"{out / 'README.md'} and the network beside it")
    if push is not None:
        print(f"uploaded: {hub.push(trained, source.folder, push)}")


@takes_settings("device", "threads")
def play(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Finished runs; by default those that ship.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 8000,
    results: Results = Path("results"),
    *,
    settings: RunSettings,
) -> None:
    """Serve a page on this machine on which one draws, and sees what runs make of the drawing."""
    from bench.core.errors import UserError
    from bench.core.loopback import forever
    from bench.core.progress import Reporter
    from bench.use.find import PREFIX, find_trained, shipped_names

    names = runs or [f"{PREFIX}{name}" for name in shipped_names()]
    if not names:
        raise UserError("no translator ships with this version; name one run or more: bench play RUN...")
    sources = [find_trained(name, results) for name in names]
    from bench.use.play import server

    translators = [source.load(settings, Reporter()) for source in sources]
    with TemporaryDirectory() as folder:
        forever(server(translators, Path(folder), port), "the page has ended")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal; nothing where the output goes elsewhere."""
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
