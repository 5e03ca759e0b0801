"""What `import bench` offers to a script: one run, one evaluation, all results. The command line calls the same code.

Nothing here imports torch before it is needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.core.errors import UserError
from bench.metrics.data import Value
from bench.runs.record import Record, read_records
from bench.runs.request import RunRequest
from bench.runs.settings import RunSettings
from bench.training.config import spell

if TYPE_CHECKING:
    import pandas as pd

    from bench.use.trained import Trained

Folder = str | Path


@dataclass(frozen=True)
class Run:
    """A finished run.

    folder  where its files lie
    record  what its record.json says: identity, task, config, status, metrics, cost, provenance and more
    """

    folder: Path
    record: Record

    @property
    def status(self) -> str:
        """ "done", or "diverged" where the training failed: such a run has no translations and no metrics."""
        return self.record.status

    @property
    def metrics(self) -> dict[str, float | None]:
        """The measured values by name; None where one could not be measured (the record says why)."""
        return {name: value.value for name, value in self.record.metrics.items()}

    def translations(self) -> np.ndarray:
        """uint8 (n, 3, R, R) in [0, 255]: the held-out source images, translated, in their order in the data set.

        Raises UserError where the file is missing or damaged.
        """
        from bench.runs.outputs import read_translations

        return read_translations(self.folder)

    def translate(
        self,
        images: Any,
        *,
        references: Any = None,
        label: str | int | None = None,
        per_image: int | None = None,
        seed: int = 0,
        back: bool = False,
        value_range: tuple[float, float] | None = None,
        device: str | None = None,
    ) -> Any:
        """Translates images of your own with the network that the run trained.

        images       an array or tensor (N, H, H, 3) or (N, 3, H, H): uint8, or floating point within value_range. Of
                     another side than the run's resolution R they are resized (bicubic, antialiased)
        references   K images in one of these forms, for methods that are guided by a reference: each source is
                     translated K times. By default references are drawn from the run's target training images
        label        name or number of a class, for methods that translate to a class
        per_image    K translations of each source, with other noise, references or classes each
        seed         of the noise and of what is drawn; equal calls give equal images
        back         from the target domain to the source's, where the method learns both ways
        value_range  the floating-point values of black and white, such as (-1, 1)
        device       "cpu", "cuda" or "cuda:N"; by default a GPU where there is one

        Returns what `images` is: an array or tensor, of the same dtype, value range and order of axes, (N, R, R, 3) or
        (N, 3, R, R); with `references` or `per_image` (N, K, R, R, 3) or (N, K, 3, R, R). Values are those of 8-bit
        images. A network stays in memory for the next call.

        Raises UserError for images of another type, shape or range, for a guide that the method does not take, and
        where the run has no network (an anchor row, a run that diverged or has lost its checkpoint).

        >>> import numpy as np, bench
        >>> trained = bench.run(
        ...     method="munit", dataset="ink", target_size=20, preset="smoke", budget_kimg=0.004, device="cpu",
        ...     metrics=[], results=results, quiet=True,
        ... )
        >>> mine = np.zeros((2, 100, 100, 3), np.uint8)
        >>> trained.translate(mine, device="cpu").shape
        (2, 32, 32, 3)
        >>> trained.translate(mine / 255, value_range=(0, 1), per_image=3, device="cpu").shape
        (2, 3, 32, 32, 3)
        """
        from bench.use.arrays import squares, translated_like

        trained = _trained(self.folder, self.record.finished, device)
        sources = squares(images, "images", value_range, trained.resolution)
        if back:
            made = trained.back(sources, seed)[:, None]
        else:
            own = None if references is None else squares(references, "references", value_range, trained.resolution)
            guides = trained.guides(per_image or 1, seed, label, own)
            made = np.stack([trained.translate(sources, guide) for guide in guides], axis=1)
        several = not back and (references is not None or per_image is not None)
        return translated_like(made if several else made[:, 0], images, value_range)


def load_run(name: Folder, results: Folder = "results") -> Run:
    """A finished run: by its folder, by its name below results/runs, or by a part of the name that no other run has.

    Raises UserError where there is no such run, or more than one, or where it has not finished.

    >>> import bench
    >>> bench.load_run("munit", results).record.identity.dataset
    'ink'
    """
    from bench.runs.find import find_finished
    from bench.runs.record import read_record

    folder = find_finished(Path(results), str(name))
    return Run(folder, read_record(folder / "record.json"))


@lru_cache(maxsize=8)
def _trained(folder: Path, finished: str, device: str | None) -> "Trained":
    """The network of a run; `finished` tells the run from one that is begun anew in the same folder."""
    from bench.core.progress import Quiet
    from bench.use.load import load_run as load

    return load(folder, RunSettings(device=device), Quiet())


def run(
    *,
    method: str,
    dataset: str,
    target_size: int,
    seed: int = 0,
    subset_seed: int = 0,
    preset: str | None = None,
    fields: Mapping[str, Any] | None = None,
    resolution: int | None = None,
    budget_kimg: float | None = None,
    budget_tflop: float | None = None,
    amp: str = "off",
    results: Folder = "results",
    force: bool = False,
    device: str | None = None,
    threads: int = 1,
    metrics: Sequence[str] | None = None,
    compile: bool = False,
    channels_last: bool = False,
    checkpoint_seconds: float = 60.0,
    log: Sequence[str] | None = None,
    validate_every: float | None = None,
    gpus: int = 1,
    accumulate: int = 1,
    cuda_graphs: bool = False,
    recompute: bool = False,
    quiet: bool = False,
) -> Run:
    """Trains, translates, measures and records one run; a run that was begun goes on, a finished one is only read.

    method       a method or one of the anchors real, identity, copies, truth and truth-blurred
    dataset      a data set, or "folder:DIR" for images of your own
    target_size  how many target images it trains on: the first of an order that subset_seed shuffles
    seed         seeds the training
    preset       by default "paper" on a GPU, else "cpu"
    fields       fields of the method's Config that differ from the preset, by name
    resolution   side of the images in pixels
    budget_kimg  thousands of source images seen in training
    budget_tflop  instead of it: 10^12 floating-point operations (a multiply-add is two) that preparation and training
                 may take together
    results      the folder of all runs
    force        begins the run anew and keeps what it has left, its record too, in the folder earlier/ of the run
    quiet        prints nothing

    The other arguments are the fields of `bench.runs.settings.RunSettings`: how the run is carried out.

    Raises UserError (one line that says what is wrong and what mends it) for anything that cannot be done, Busy if
    another process works on this run, and Interrupted after Ctrl-C or SIGTERM: what was trained is saved.

    >>> import bench
    >>> run = bench.run(
    ...     method="identity", dataset="emoji", target_size=20, resolution=32, metrics=["l1_truth"],
    ...     results=results, quiet=True,
    ... )
    >>> run.status, run.translations().shape, list(run.metrics)
    ('done', (382, 3, 32, 32), ['l1_truth'])
    """
    from bench.runs import start

    named = tuple(f"{name}={spell(value)}" for name, value in (fields or {}).items())
    request = RunRequest(
        method=method, dataset=dataset, target_size=target_size, seed=seed, subset_seed=subset_seed, preset=preset,
        settings=named, resolution=resolution, budget_kimg=budget_kimg, budget_tflop=budget_tflop, amp=amp,
    )  # fmt: skip
    settings = RunSettings(
        device=device, threads=threads, metrics=None if metrics is None else tuple(metrics), compile=compile,
        channels_last=channels_last, checkpoint_seconds=checkpoint_seconds, log=None if log is None else tuple(log),
        validate_every=validate_every, gpus=gpus, accumulate=accumulate,
        cuda_graphs=cuda_graphs, recompute=recompute,
    )  # fmt: skip
    return Run(*start.run(request, settings, Path(results), quiet, force))


def evaluate(
    images: Any,
    reference: Any,
    *,
    training: Any = None,
    sources: Any = None,
    truth: Any = None,
    metrics: Sequence[str] | None = None,
    value_range: tuple[float, float] | None = None,
    resolution: int | None = None,
    device: str | None = None,
) -> dict[str, Value]:
    """Measures images against real ones, without a data set and without a record.

    images       the translations
    reference    real target images that nothing was trained on
    training     the target images that were trained on, for the metrics of memorisation
    sources      image i is the translation of source i
    truth        image i should look like truth i
    metrics      names (`bench list metrics`); by default those that every run measures
    value_range  the floating-point values of black and white, such as (-1, 1); needed for floating-point images
    resolution   side to which images that are folders are reduced
    device       "cpu", "cuda" or "cuda:N"; by default a GPU where there is one

    Each set of images is a folder, or an array or tensor (n, 3, R, R) or (n, R, R, 3): uint8, or floating point within
    value_range. All have the same side R. Returns a Value for each metric: `value`, a 95 % interval `low`, `high`
    where there is an honest one, and a `reason` where `value` is None, as for metrics of classes, which need labels.

    Raises UserError for an unknown metric and for images of another type, shape, side or range.

    >>> import numpy as np, bench
    >>> black, grey = np.zeros((4, 32, 32, 3)), np.full((4, 32, 32, 3), 0.2)
    >>> measured = bench.evaluate(black, grey, truth=grey, metrics=["l1_truth", "class_kept"], value_range=(0, 1))
    >>> round(measured["l1_truth"].value, 3), measured["class_kept"].value
    (0.2, None)
    """
    from bench.metrics.data import Images, Outputs, Reference
    from bench.metrics.evaluate import evaluate as measure
    from bench.metrics.given import pixels_of
    from bench.training.compute import Compute

    sets = {"images": images, "reference": reference, "training": training, "sources": sources, "truth": truth}
    given = {n: pixels_of(s, n, value_range, resolution) for n, s in sets.items() if s is not None}
    _check_sides(given)
    none = Images(np.empty((0, *given["images"].shape[1:]), np.uint8), np.empty(0, np.int64))
    outputs = Outputs(given["images"], _no_labels(given["images"]), given.get("sources"), given.get("truth"))
    target = Images(given["training"], _no_labels(given["training"])) if "training" in given else none
    real = Reference(Images(given["reference"], _no_labels(given["reference"])), target, none)
    return measure(outputs, real, metrics, str(Compute.choose(device).device))


def load_results(results: Folder = "results") -> "pd.DataFrame":
    """All finished runs below a results folder as a table, one row a run.

    Its columns are those of a run's identity (method, dataset, protocol, target_size, resolution, seed, subset_seed,
    kind, preset, amp, config_hash), status, finished, folder, train_seconds, one column for each metric that any run
    has (NaN where a run has no value), and "config.NAME" for each field of a Config.

    Raises UserError where there is no record. A damaged record is left out with a warning.

    >>> import bench
    >>> table = bench.load_results(results)
    >>> table[["method", "dataset", "target_size", "status"]].values.tolist()
    [['identity', 'emoji', 20, 'done']]
    """
    import warnings

    import pandas as pd

    records = read_records(Path(results), lambda line: warnings.warn(line, stacklevel=3))
    if not records:
        raise UserError(f"no records below {Path(results) / 'runs'}; make one with bench.run(...)")
    return pd.DataFrame([_row(record) for record in records])


def _row(record: Record) -> dict[str, Any]:
    metrics = {n: np.nan if v.value is None else float(v.value) for n, v in record.metrics.items()}
    return {
        **msgspec.structs.asdict(record.identity),
        **{"status": record.status, "finished": record.finished, "folder": record.folder},
        "train_seconds": record.cost.train_seconds,
        **metrics,
        **{f"config.{name}": value for name, value in record.config.items()},
    }


def _no_labels(pixels: np.ndarray) -> np.ndarray:
    return np.full(len(pixels), -1, np.int64)


def _check_sides(given: Mapping[str, np.ndarray]) -> None:
    sides = {name: pixels.shape[-1] for name, pixels in given.items()}
    for name, side in sides.items():
        if side != sides["images"]:
            raise UserError(
                f"images have a side of {sides['images']} pixels, {name} of {side}; bring all sets to one side"
            )
