"""`bench export`: the translating network of a run in a file of its own, with what one must know to use it."""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.checksums import file_sha256
from bench.core.errors import UserError
from bench.core.placing import placed
from bench.core.typed import write_typed
from bench.data.find import make
from bench.runs.settings import RunSettings
from bench.use.draws import Draw, NotExportable, Recorded, Replayed
from bench.use.exported import NAME, Format, Input, Translator, reference_tensors, save_weights
from bench.use.trained import Trained

FILES = {"safetensors": "translator.safetensors", "torchscript": "translator.pt", "onnx": "translator.onnx"}
OPSET = 17
CLOSE = 2e-3  # of values in [-1, 1]: what another program may differ by; one of 255 steps is 7.8e-3


def export(trained: Trained, record: Path, form: str, out: Path) -> Translator:
    """Writes the network, translator.json and record.json to the folder `out`; returns what translator.json says.

    What was written is loaded again and must translate as the run does.

    Raises UserError for an unknown format, a file that is there already, a missing package, and in one line why where
    a method cannot be exported.
    """
    if form not in FILES:
        raise UserError(f"unknown --format {form!r}; choose {', '.join(FILES)}")
    with placed(out, names_of(form)) as part:
        try:
            inputs = _WRITERS[form](trained, part / FILES[form])
        except NotExportable as reason:
            raise UserError(f"{trained.spec.method} cannot be exported as {form}: {reason}") from None
        shutil.copyfile(record, part / "record.json")
        facts = _facts(trained, form, part / FILES[form], inputs)
        write_typed(part / NAME, facts)
        if form == "safetensors":
            _check_reloaded(trained, part)
    return facts


def names_of(form: str) -> list[str]:
    """The files that `export` writes."""
    return [FILES[form], NAME, "record.json"]


def used_networks(trained: Trained) -> list[str]:
    """The networks that translations use, there and back: "networks.G" or "ema.G" each."""
    called: set[str] = set()
    hooks = []
    for group in ("networks", "ema"):
        for name, network in getattr(trained.method, group).items():
            for module in network.modules():
                hooks.append(module.register_forward_pre_hook(lambda *_, n=f"{group}.{name}": called.add(n)))
    try:
        images, guide = _blank(trained), trained.guides()[0]
        trained.translate(images, guide)
        with torch.inference_mode():
            trained.method.translate_back(trained.compute.images(images), torch.Generator(trained.compute.device))
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(called)


def _blank(trained: Trained) -> np.ndarray:
    shape = (2, trained.task.channels, trained.resolution, trained.resolution)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _safetensors(trained: Trained, path: Path) -> list[Input]:
    save_weights(path, trained.method, used_networks(trained), reference_tensors(trained))
    return []


def _check_reloaded(trained: Trained, folder: Path) -> None:
    from bench.use.exported import load_exported

    images, guide = _blank(trained), trained.guides()[0]
    try:
        again = load_exported(folder, RunSettings(device=str(trained.compute.device))).translate(images, guide)
        same = np.array_equal(again, trained.translate(images, guide))
    except (AttributeError, RuntimeError, TypeError, UserError, ValueError):
        same = False
    if not same:
        raise UserError(
            f"{trained.spec.method} cannot be exported with this config: it needs its training images to translate; "
            f"use the run itself"
        )


class Translation(nn.Module):
    """translate of a method as a network: its guide and what it draws are inputs."""

    def __init__(self, trained: Trained, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self.networks = nn.ModuleList(trained.method.modules())
        self._method = [trained.method]  # in a list, so that it is no module of this one

    def forward(self, *tensors: Tensor) -> Tensor:
        given = dict(zip(self.names, tensors))
        draws = [tensor for name, tensor in given.items() if name.startswith("noise")]
        rng = torch.Generator(tensors[0].device)
        with Replayed(draws):
            made = self._method[0].translate(given["source"], given.get("reference"), rng, given.get("label"))
        return made.clamp(-1, 1)


def _inputs(trained: Trained, n: int, seed: int) -> dict[str, Tensor]:
    """Every input of the network by its name, of n random images."""
    rng = torch.Generator().manual_seed(seed)
    side, channels = trained.resolution, trained.task.channels
    inputs = {"source": 2 * torch.rand(n, channels, side, side, generator=rng) - 1}
    if trained.method.guidance == "reference":
        inputs["reference"] = 2 * torch.rand(n, channels, side, side, generator=rng) - 1
    if trained.labels:
        labels = list(trained.labels)
        inputs["label"] = torch.tensor([labels[(seed + i) % len(labels)] for i in range(n)])
    with torch.inference_mode(), Recorded() as recorded:
        trained.method.translate(inputs["source"], inputs.get("reference"), rng, inputs.get("label"))
    for number, draw in enumerate(recorded.draws, 1):
        name = "noise" if len(recorded.draws) == 1 else f"noise_{number}"
        inputs[name] = _drawn(draw, n, rng)
    return inputs


def _drawn(draw: Draw, n: int, rng: torch.Generator) -> Tensor:
    if draw.shape[:1] != (n,):
        raise NotExportable(f"it draws {draw.shape} for {n} images, which is not a draw an image")
    return (torch.randn if draw.kind == "normal" else torch.rand)(draw.shape, generator=rng)


def _torchscript(trained: Trained, path: Path) -> list[Input]:
    def write(module: Translation, tensors: tuple[Tensor, ...]) -> None:
        torch.jit.trace(module, tensors, check_trace=False).save(str(path))

    def run(tensors: dict[str, Tensor]) -> np.ndarray:
        return torch.jit.load(str(path))(*tensors.values()).numpy()

    return _traced(trained, write, run)


def _onnx(trained: Trained, path: Path) -> list[Input]:
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise UserError(f"--format onnx needs {error.name}: pip install 'i2i-bench[export]'") from None

    def write(module: Translation, tensors: tuple[Tensor, ...]) -> None:
        names = [*module.names, "translation"]
        axes = {name: {0: "images"} for name in names} if len(tensors[0]) > 1 else None
        torch.onnx.export(
            module,
            tensors,
            str(path),
            input_names=names[:-1],
            output_names=names[-1:],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )

    def run(tensors: dict[str, Tensor]) -> np.ndarray:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # a failure is ours to tell
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session.run(None, {name: tensor.numpy() for name, tensor in tensors.items()})[0]

    return _traced(trained, write, run)


_WRITERS = {"safetensors": _safetensors, "torchscript": _torchscript, "onnx": _onnx}


def _traced(trained: Trained, write: Any, run: Any) -> list[Input]:
    """Traces a batch of two, or where that fixes the number of images one, and compares both with the method itself."""
    trained.method.to(torch.device("cpu"))
    trained.method.train(False)
    reason = ""
    for traced, tried in ((2, 3), (1, 1)):
        example, other = _inputs(trained, traced, seed=0), _inputs(trained, tried, seed=1)
        module = Translation(trained, list(example)).eval().requires_grad_(False)
        with _quiet(), torch.no_grad():
            reason = _written(write, module, example) or _compared(run, module, other)
        if not reason:
            return [_input(name, tensor, trained, any_number=traced > 1) for name, tensor in example.items()]
    raise NotExportable(f"{reason}; --format safetensors keeps the weights")


def _written(write: Any, module: Translation, example: dict[str, Tensor]) -> str:
    """Why the network cannot be traced; empty where it is."""
    try:
        write(module, tuple(example.values()))
    except Exception as error:  # tracers and exporters fail in many ways
        return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:200]}"
    return ""


def _compared(run: Any, module: Translation, other: dict[str, Tensor]) -> str:
    """Why the traced network is not the method's; empty where it gives the same images for other inputs."""
    expected = module(*other.values()).numpy()
    try:
        made = run(other)
    except Exception:  # what was traced has fixed what depends on the inputs
        made = np.empty(0)
    if made.shape == expected.shape and np.abs(made - expected).max() <= CLOSE:
        return ""
    return "what it computes depends on the values of its inputs, which a traced network cannot follow"


def _input(name: str, tensor: Tensor, trained: Trained, any_number: bool) -> Input:
    words = {
        "source": "images to translate, in [-1, 1]",
        "reference": f"images of {trained.task.names[1]} that guide the translations, in [-1, 1]",
        "label": "class of each image, see classes",
    }
    kind = "uniform, from 0 to 1" if name.startswith("noise") and float(tensor.min()) >= 0 else "normal, deviation 1"
    shape = [None if any_number else len(tensor), *tensor.shape[1:]]
    return Input(name, str(tensor.dtype).removeprefix("torch."), shape, words.get(name, f"independent draws: {kind}"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracers warn of every Python number that they see (whether it mattered is compared afterwards), and where the
    exporter to ONNX fails it prints the whole network, from C++."""
    sys.stdout.flush()
    before = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def _facts(trained: Trained, form: str, path: Path, inputs: list[Input]) -> Translator:
    spec, task, dataset = trained.spec, trained.task, make(trained.spec.dataset)
    whole = form == "safetensors"
    holds_images = whole and trained.method.guidance == "reference"
    references = len(reference_tensors(trained)["references/classes"]) if holds_images else 0
    provenance = trained.record.provenance
    return Translator(
        format=cast(Format, form),
        file=path.name,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        method=spec.method,
        paper=trained.method.paper,
        dataset=spec.dataset,
        source=task.names[0],
        target=task.names[1],
        resolution=task.resolution,
        channels=task.channels,
        guidance=trained.method.guidance,
        inputs=inputs,
        classes={str(number): name for number, name in trained.labels.items()},
        networks=used_networks(trained) if whole else [],
        references=references,
        data_license=dataset.license,
        data_homepage=dataset.homepage,
        license="MIT (code of i2i-bench); the weights were trained on images under the licence of the data",
        i2i_bench=provenance.i2i_bench,
        commit=provenance.commit,
        source_sha256=provenance.source_sha256,
        spec=spec,
        task=task,
    )
