"""The files of an exported translator: translator.json, which says what it is, the network, and the run's record."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bench.core.checksums import verify_file
from bench.core.errors import UserError, is_out_of_memory
from bench.core.typed import Count, damaged, read_typed
from bench.runs.build import init_method
from bench.runs.record import read_record
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training.method import Method, Task
from bench.use.load import compute_of, load_networks
from bench.use.trained import References, Trained

NAME = "translator.json"
MEND = "export the run again"
Format = Literal["safetensors", "torchscript", "onnx"]
GROUPS = ("networks", "ema")


class Input(Struct, frozen=True):
    """One input of the network; the first side of its shape is the number of images, null where any will do."""

    name: str
    dtype: str
    shape: list[int | None]
    what: str


class Translator(Struct, frozen=True, kw_only=True):
    """translator.json: what stands in `file`, and where it comes from.

    value_range    of input and output images, float32 (N, channels, resolution, resolution)
    inputs         in their order; of a safetensors file, which holds weights alone, none
    classes        number -> name, for a method that translates to a class
    networks       the networks whose weights are in a safetensors file, as the method calls them
    references     how many target training images a safetensors file holds, to guide translations
    data_license   of the images that the network was trained on (and of the references)
    """

    schema: Literal[1] = 1
    format: Format
    file: str
    sha256: str
    bytes: Count
    method: str
    paper: str
    dataset: str
    source: str
    target: str
    resolution: Count
    channels: Count
    value_range: tuple[float, float] = (-1.0, 1.0)
    guidance: str
    inputs: list[Input] = []
    classes: dict[str, str] = {}
    networks: list[str] = []
    references: Count = 0
    data_license: str
    data_homepage: str
    license: str
    i2i_bench: str | None
    commit: str | None
    source_sha256: str | None
    spec: RunSpec
    task: Task

    def __post_init__(self) -> None:
        if not self.resolution == self.spec.resolution == self.task.resolution:
            raise UserError("its resolutions differ")
        if self.channels != 3 or self.task.channels != 3 or len(self.task.names) < 2 or len(self.task.kinds) < 2:
            raise UserError("its task is not one of images with three channels in two domains")


def is_exported(folder: Path) -> bool:
    return (folder / NAME).is_file()


def load_exported(folder: Path, settings: RunSettings, name: str | None = None) -> Trained:
    """The trained method of a folder that `bench export --format safetensors` wrote. It needs no data.

    Raises UserError where a file is missing or damaged, or where the networks of this code are others.
    """
    facts = read_typed(folder / NAME, Translator, MEND)
    if facts.format != "safetensors":
        raise UserError(f"{folder} holds {facts.format}, which other programs run; export with --format safetensors")
    path = folder / Path(facts.file).name
    verify_file(path, facts.sha256, MEND)
    record = read_record(folder / "record.json")
    compute = compute_of(facts.spec, settings)
    try:
        method = init_method(facts.spec, facts.task, compute)
        tensors = load(path.read_bytes())  # load_file takes no path that is not UTF-8
        load_networks(method, unflattened(tensors))
        references = _references(tensors, facts)
        trained = Trained(name or folder.name, facts.spec, facts.task, method, compute, record, references)
        _try(trained)
    except (AttributeError, LookupError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise damaged(path, f"it does not fit {facts.method} ({reason})", "update i2i-bench, or export again") from None
    return trained


def _try(trained: Trained) -> None:
    """Translates a grey image to the first and to the last class, so that what does not fit fails here."""
    grey = np.full((1, trained.task.channels, trained.resolution, trained.resolution), 128, np.uint8)
    labels = sorted(trained.labels)
    for label in dict.fromkeys([*labels[:1], *labels[-1:]]) or [None]:
        trained.translate(grey, trained.guides(label=label)[0])


def save_weights(path: Path, method: Method, networks: list[str], references: dict[str, Tensor]) -> None:
    """networks: "networks.G" or "ema.G" each."""
    state = {}
    for network in networks:
        group, name = network.split(".", 1)
        for key, value in getattr(method, group)[name].state_dict().items():
            state[f"{network}/{key}"] = value.detach().to("cpu", copy=True).contiguous()
    path.write_bytes(save({**state, **references}))


def unflattened(tensors: dict[str, Tensor]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """The states of `save_weights` as bench.use.load.load_networks wants them."""
    state: dict[str, dict[str, dict[str, Tensor]]] = {group: {} for group in GROUPS}
    for name, tensor in tensors.items():
        network, slash, key = name.partition("/")
        if slash and not network.startswith("references"):
            group, called = network.split(".", 1)
            state[group].setdefault(called, {})[key] = tensor
    return state


def reference_tensors(trained: Trained, most: int = 32) -> dict[str, Tensor]:
    """Up to `most` target training images and their classes (each class at least once), for the guides of an exported
    translator; without the images where the method looks at none."""
    classes = trained.references.classes
    first = np.unique(classes, return_index=True)[1]
    spread = np.linspace(0, len(classes) - 1, min(most, len(classes))).astype(int)
    chosen = np.unique(np.concatenate([first, spread]))
    tensors = {"references/classes": torch.from_numpy(classes[chosen])}
    if trained.method.guidance == "reference":
        tensors["references/images"] = torch.from_numpy(np.ascontiguousarray(trained.references.images(chosen)))
    return tensors


def _references(tensors: dict[str, Tensor], facts: Translator) -> References:
    """Raises LookupError, TypeError or ValueError where they are not such as `reference_tensors` makes."""
    classes, images = tensors["references/classes"].numpy(), tensors.get("references/images")
    if classes.dtype != np.int64 or classes.ndim != 1 or not len(classes):
        raise ValueError("its references have no classes")
    side = facts.task.resolution
    if images is None and facts.guidance == "reference":
        raise LookupError("it holds no references")
    if images is not None and (images.dtype, *images.shape) != (torch.uint8, len(classes), 3, side, side):
        raise ValueError("its references are no images of its resolution")

    def at(positions: np.ndarray) -> np.ndarray:
        if images is None:
            raise UserError("this translator holds no references")
        return images.numpy()[positions]

    return References(at, classes, {int(number): called for number, called in facts.classes.items()})
