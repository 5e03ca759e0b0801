"""The promises of the method contract as tests, for our methods and for those of other packages.

    from bench.testing import conformance
    test_mine = conformance(MyMethod)

in a test file gives one pytest test a promise. They run the preset "smoke" where a method has one (the smallest
networks that make sense), else "cpu", on random images and the CPU. A case that a method refuses as Unfit is skipped
with that reason.
"""

import copy
import io
import math
import traceback
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.core.errors import Unfit, UserError
from bench.core.progress import Quiet
from bench.data.bank import ImageBank
from bench.data.task import Domain, TaskData, subset_sha256
from bench.runs.build import task_of
from bench.training.artifacts import Artifacts
from bench.training.augment_d import DiscriminatorFields
from bench.training.compute import Compute
from bench.training.config import describe
from bench.training.loop import Loop
from bench.training.method import Method
from bench.training.sampler import Sampler

CPU = Compute.choose("cpu")
BFLOAT16 = Compute.choose("cpu", amp="bf16")
STEPS = 2
LARGEST = 30.0  # an untrained output may leave [-1, 1]; nobody's is like 0 ... 255
STEPS_FOR_ALL = 6  # some methods step a network in every fifth iteration only


def tiny_task(
    n_source: int = 20,
    n_target: int = 6,
    resolution: int = 16,
    n_labels: int = 3,
    seed: int = 0,
    channels: int = 3,
    paired: bool = False,
) -> TaskData:
    """Random images of two domains, two of each held out. Targets do not depend on n_target: subsets are nested.

    A third domain, "c", shows the training scenes of both. With `paired` each training target shows the same as a
    source.
    """
    rng = np.random.default_rng(seed)
    held_out, pool = 2, 64
    n = n_source + pool + 2 * held_out
    images = rng.integers(0, 256, (n, channels, resolution, resolution), dtype=np.uint8)
    ids = [f"image-{i}" for i in range(n)]
    labels = np.arange(n, dtype=np.int64) % n_labels if n_labels else np.full(n, -1, np.int64)
    part = {"a": n_source, "b": pool}
    domains = [d for d in part for _ in range(part[d] + held_out)]
    splits = [s for d in part for s in ["train"] * part[d] + ["test"] * held_out]
    start = n_source + held_out
    scenes = [*range(n_source), *range(start, start + pool)]
    third = rng.integers(0, 256, (len(scenes), channels, resolution, resolution), dtype=np.uint8)
    pairs = [ids[i] if i in set(scenes) else None for i in range(n)] + [ids[i] for i in scenes]
    if paired:
        pairs[start : start + pool] = [ids[i % n_source] for i in range(pool)]
    images, labels = np.concatenate([images, third]), np.concatenate([labels, labels[scenes]])
    ids += [f"scene-{i}" for i in scenes]
    domains, splits = domains + ["c"] * len(scenes), splits + ["train"] * len(scenes)
    bank = ImageBank(Path(), images, ids, domains, splits, labels, pairs, {"dataset": "tiny"})
    target = Domain("b", bank, np.arange(start, start + n_target))
    return TaskData(
        dataset="tiny",
        protocol="default",
        label_names=tuple(f"label {i}" for i in range(n_labels)),
        source_train=Domain("a", bank, np.arange(n_source)),
        target_train=target,
        source_test=Domain("a", bank, np.arange(n_source, start)),
        target_test=Domain("b", bank, np.arange(n - held_out, n)),
        others={"c": Domain("c", bank, np.arange(n, n + len(scenes)))},
        truth=np.full(held_out, -1, np.int64),
        target_size=n_target,
        subset_seed=0,
        subset_sha256=subset_sha256(target.ids),
        manifest_sha256=f"{seed}-{n_source}-{resolution}-{n_labels}-{channels}",
    )


class Case:
    """A method on a tiny task, ready to train."""

    def __init__(
        self,
        cls: type[Method],
        folder: Path,
        settings: dict[str, Any],
        seed: int = 0,
        compute: Compute = CPU,
        **task: int,
    ) -> None:
        preset = cls.presets.get("smoke") or cls.presets.get("cpu") or {}
        config = cls.Config(**{**preset, **settings})
        resolution = task.pop("resolution", config.resolution)
        config = replace(config, resolution=resolution)
        self.compute = compute
        self.data = tiny_task(resolution=resolution, paired="pairs" in cls.needs, **task)
        cls.check(task_of(self.data), config, self.data)
        torch.manual_seed(seed)
        self.method = cls(task_of(self.data), config)
        self.method.rng.manual_seed(seed)
        self.method.augment_discriminators()
        self.initial = copy.deepcopy(self.method.ema)
        self.method.prepare(self.data, Artifacts(folder / "artifacts", Loop(compute, Quiet())))
        self.method.train()
        self.sampler = Sampler(self.method.streams(self.data), self.data, seed, CPU)

    def train(self, first: int = 0, last: int = STEPS, compute: Compute | None = None) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for step in range(first, last):
            with (compute or self.compute).autocast():
                losses = self.method.iterate(self.sampler.batch(step))
        return losses

    def arguments(self, noise: int = 0, first_reference: int = 0) -> tuple[Tensor, Tensor, torch.Generator, Tensor]:
        """The arguments of `translate`: source, reference, rng, label."""
        data, method = self.data, self.method
        rows = (np.arange(len(data.source_test)) + first_reference) % len(data.target_train)
        classes = data.source_test.labels if method.label_of == "source" else method.target_classes(data)[rows]
        label = torch.from_numpy(np.asarray(classes, np.int64))
        reference = CPU.images(data.target_train.images(rows))
        return CPU.images(data.source_test.images()), reference, torch.Generator().manual_seed(noise), label

    def translate(self, noise: int = 0, first_reference: int = 0) -> Tensor:
        self.method.train(False)
        with self.compute.autocast():
            images = self.method.translate(*self.arguments(noise, first_reference))
        self.method.train()
        return images

    def parameters(self) -> dict[str, Tensor]:
        return {
            f"{kind}.{name}.{key}": value.clone()
            for kind, networks in (("network", self.method.networks), ("ema", self.method.ema))
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }


Make = Callable[..., Case]
Check = Callable[[Make], None]


def output_has_the_shape_range_and_dtype_of_the_source(make: Make) -> None:
    """`translate` gives finite float32 images of the shape of the sources, about in [-1, 1].

    Mend: end the generator with a tanh, and return float32 (N, C, S, S) whatever autocast does.
    """
    case = make()
    case.train()
    images = case.translate()
    assert images.shape == case.data.source_test.images().shape
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()
    assert images.abs().max() < LARGEST, "images are meant to be in [-1, 1]"


def equal_seeds_give_equal_results(make: Make) -> None:
    """Equal seeds give equal weights and translations; other seeds give others.

    Mend: draw in train_step from self.rng, in translate from its rng, and never from torch's or NumPy's global
    generators.
    """
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    for case in (first, again, other):
        case.train()
    assert _equal(first.parameters(), again.parameters())
    assert not _equal(first.parameters(), other.parameters())
    assert torch.equal(first.translate(), again.translate())


def guidance_is_what_the_method_says(make: Make) -> None:
    """Translations depend on noise or on references exactly where `guidance` says so.

    Mend: set guidance to none, noise or reference, and draw noise from the rng that translate gets.
    """
    case = make()
    case.train()
    plain = case.translate()
    assert torch.equal(plain, case.translate()), "equal codes give different outputs"
    other_noise, other_reference = case.translate(noise=1), case.translate(first_reference=1)
    if case.method.guidance == "noise":
        assert not torch.equal(plain, other_noise), "different noise gives equal outputs"
    else:
        assert torch.equal(plain, other_noise), "the output depends on noise"
    if case.method.guidance == "reference":
        assert not torch.equal(plain, other_reference), "different references give equal outputs"


def the_steps_of_a_translation_end_with_it(make: Make) -> None:
    """The steps of a translation, where a method has several, end with the translation.

    Mend: let the last image that translate_steps yields be what translate returns for equal noise.
    """
    case = make()
    case.train()
    whole = case.translate()
    case.method.train(False)
    steps = case.method.translate_steps(*case.arguments())
    assert all(image.shape == whole.shape for image in steps)
    assert torch.equal(steps[-1], whole)


def losses_are_finite_detached_scalars(make: Make) -> None:
    """`train_step` returns finite, detached losses without dimensions.

    Mend: return value.detach() of each loss, after its mean.
    """
    losses = make().train()
    assert losses
    for name, value in losses.items():
        assert value.ndim == 0 and not value.requires_grad, name
        assert torch.isfinite(value), name


def every_network_is_trained_and_by_one_optimizer(make: Make) -> None:
    """Every network is trained, by one optimizer; averages and frozen networks are in none.

    Mend: give each parameter that requires gradients to one optimizer, call self.minimise, and freeze the rest with
    requires_grad_(False).
    """
    case = make()
    owners: dict[int, list[str]] = {}
    for name, optimizer in case.method.optimizers.items():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                owners.setdefault(id(parameter), []).append(name)
    assert all(len(names) == 1 for names in owners.values()), "a parameter has two optimizers"
    averaged = {id(p) for network in case.method.ema.values() for p in network.parameters()}
    assert not averaged & set(owners), "an optimizer holds averaged weights"
    before = case.parameters()
    case.train(0, STEPS_FOR_ALL)
    after = case.parameters()
    for name, network in case.method.networks.items():
        parameters = dict(network.named_parameters())
        trained = [key for key, p in parameters.items() if p.requires_grad]
        loose = [key for key in trained if id(parameters[key]) not in owners]
        assert not loose, f"{name}.{loose[0]} requires gradients and no optimizer has it"
        values = ((before[f"network.{name}.{key}"], after[f"network.{name}.{key}"]) for key in parameters)
        moved = {key for key, (old, new) in zip(parameters, values) if not torch.equal(old, new)}
        assert not trained or moved, f"{name} is never trained"
        assert moved <= set(trained), f"{name} is frozen and yet changes"


def state_goes_through_a_file_and_training_goes_on_bit_equal(make: Make) -> None:
    """A training that is saved, loaded and continued equals one that was never stopped.

    Mend: keep whatever training remembers in self.networks, ema, optimizers, schedulers or memory.
    """
    _resumes(make)


def a_target_smaller_than_the_batch(make: Make) -> None:
    """One target image is enough to train and translate, however large the batch.

    Mend: take target images from a stream of order "uniform", which repeats them.
    """
    case = make(n_target=1)
    case.train()
    case.translate()


def the_way_back_and_the_bottlenecks_fit(make: Make) -> None:
    """Where a method has them: images of the same shape, equal for equal noise; codes of one shape.

    Mend: return images of the shape of the input from translate_back, and codes of one shape from bottleneck, or
    None.
    """
    case = make()
    method, images = case.method, CPU.images(case.data.target_test.images())
    method.train(False)
    with torch.inference_mode():
        back = [method.translate_back(images, torch.Generator().manual_seed(0)) for _ in range(2)]
        codes = [method.bottleneck(images, name) for name in (case.data.source_train.name, case.data.target_train.name)]
    if back[0] is not None and back[1] is not None:
        assert back[0].shape == images.shape and torch.isfinite(back[0]).all()
        assert torch.equal(back[0], back[1])
    if codes[0] is not None and codes[1] is not None:
        assert codes[0].shape == codes[1].shape and len(codes[0]) == len(images)
    assert (codes[0] is None) == (codes[1] is None)


def three_hundred_sources_and_three_targets(make: Make) -> None:
    """300 source images and 3 target images can be trained on and translated.

    Mend: do not assume that both domains have equally many images.
    """
    case = make(n_source=300, n_target=3)
    case.train()
    case.translate()


def one_class_and_forty_classes_and_none(make: Make) -> None:
    """Data sets with one class, with forty and with none work, or are refused by `check`.

    Mend: raise bench.Unfit in check for what the method cannot do.
    """
    for n_labels in (1, 40, 0):
        case = make(n_source=80, n_target=40, n_labels=n_labels)
        case.train(0, 1)
        case.translate()


def one_channel(make: Make) -> None:
    """Images of one channel work, or are refused by `check`.

    Mend: build the networks with task.channels.
    """
    case = make(channels=1)
    case.train(0, 1)
    assert case.translate().shape[1] == 1


def resolution_32(make: Make) -> None:
    """Images of 32 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 32)


def resolution_64(make: Make) -> None:
    """Images of 64 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 64)


def resolution_128(make: Make) -> None:
    """Images of 128 pixels work, or are refused by `check` or by the Config.

    Mend: build the networks from config.resolution, or raise bench.Unfit.
    """
    _resolution(make, 128)


def bfloat16_autocast(make: Make) -> None:
    """The slow stages before training, training and translation all run in bfloat16.

    Mend: compute in the dtype that autocast gives, take losses in float32, and leave the weights alone.
    """
    case = make(compute=BFLOAT16)
    losses = case.train()
    assert all(torch.isfinite(value) for value in losses.values())
    assert torch.isfinite(case.translate().float()).all()
    assert all(p.dtype == torch.float32 for net in case.method.networks.values() for p in net.parameters())


def translate_leaves_no_trace(make: Make) -> None:
    """`translate` builds no graph and changes neither weights, buffers nor generators.

    Mend: decorate translate with @torch.no_grad(), and draw from the rng that it gets.
    """
    case = make()
    case.train()
    before, global_state = case.parameters(), torch.get_rng_state()
    own = case.method.rng.get_state()
    assert not case.translate().requires_grad
    assert _equal(before, case.parameters()), "translate changed weights or buffers"
    assert torch.equal(global_state, torch.get_rng_state()), "translate drew from torch's global generator"
    assert torch.equal(own, case.method.rng.get_state()), "translate drew from the generator of training"


def averages_start_from_the_initialised_weights(make: Make) -> None:
    """Averages of weights start as copies of their networks.

    Mend: fill self.ema with copy.deepcopy(network) after the network is initialised.
    """
    case = make()
    for name, average in case.initial.items():
        network = case.method.networks[name].state_dict()
        assert _equal(dict(average.state_dict()), {k: network[k] for k in average.state_dict()}), name


def presets_are_fields_of_config(make: Make) -> None:
    """There are presets `paper` and `cpu`, and they set fields of the Config.

    Mend: add the preset, or spell the field as the Config does.
    """
    cls = type(make().method)
    names = {field.name for field in fields(cls.Config)}
    assert {"paper", "cpu"} <= set(cls.presets)
    for values in cls.presets.values():
        assert set(values) <= names
        cls.Config(**values)


def a_setting_is_refused_in_one_line_or_makes_a_method(make: Make) -> None:
    """0, -1, nan and inf in every field of Config: UserError, or settings with which the networks can be built.

    Mend: give the field bounds with bench.setting(..., low=1), and call super().__post_init__() in the Config.
    """
    case = make()
    cls, task, config = type(case.method), case.method.task, case.method.config
    for part in describe(cls.Config):
        for value in (0, -1, math.nan, math.inf):
            try:
                changed = replace(config, **{part.name: value})
                cls.check(task, changed, case.data)
                if isinstance(value, int):
                    cls(task, changed)
            except UserError as error:
                assert "\n" not in str(error), f"{part.name}={value}: the message has several lines"
            except Exception as error:
                raise AssertionError(
                    f"{part.name}={value} ends in {type(error).__name__}: {error}; give the field bounds with "
                    "bench.setting(..., low=1), and call super().__post_init__() first in the Config's __post_init__"
                ) from error
            else:
                assert math.isfinite(value), f"{part.name}={value} is accepted; call super().__post_init__()"


def discriminators_see_augmented_images_where_asked(make: Make) -> None:
    """augment_d=diffaugment and ada: every module that the method names is reached, and training resumes bit-equal.

    Mend: name the modules that judge images in `discriminators`, and let the Config inherit DiscriminatorFields.
    """
    method = make().method
    switched = isinstance(method.config, DiscriminatorFields)
    assert switched == bool(method.discriminators), (
        "the Config inherits DiscriminatorFields, and `discriminators` names"
    )
    for mode in ("diffaugment", "ada") if switched else ():
        if mode == "ada" and method.config.boundary is None:
            assert _refuses(make, {"augment_d": "ada"}), "boundary=None, and yet ADA is not refused"
            continue
        augmentation = make(more={"augment_d": mode}).method.augmentation
        assert augmentation is not None and augmentation.networks, "`discriminators` matches no network"
        _resumes(make, {"augment_d": mode, "ada_interval": 1})


CHECKS: tuple[Check, ...] = (
    output_has_the_shape_range_and_dtype_of_the_source,
    equal_seeds_give_equal_results,
    guidance_is_what_the_method_says,
    the_steps_of_a_translation_end_with_it,
    losses_are_finite_detached_scalars,
    every_network_is_trained_and_by_one_optimizer,
    state_goes_through_a_file_and_training_goes_on_bit_equal,
    a_target_smaller_than_the_batch,
    the_way_back_and_the_bottlenecks_fit,
    three_hundred_sources_and_three_targets,
    one_class_and_forty_classes_and_none,
    one_channel,
    resolution_32,
    resolution_64,
    resolution_128,
    bfloat16_autocast,
    translate_leaves_no_trace,
    averages_start_from_the_initialised_weights,
    presets_are_fields_of_config,
    a_setting_is_refused_in_one_line_or_makes_a_method,
    discriminators_see_augmented_images_where_asked,
)


def conformance(cls: type[Method], **settings: Any) -> Callable[..., None]:
    """A pytest test of a method, one case for each promise of the contract.

    settings  change fields of the Config, to keep the networks small

    A failure names the promise, what was seen, and what mends it. A case that the method refuses (bench.Unfit) is
    skipped with the reason.
    """

    @pytest.mark.parametrize("promise", CHECKS, ids=lambda check: check.__name__)
    def test(promise: Check, tmp_path: Path) -> None:
        check(cls, promise, tmp_path, settings)

    return test


def check(cls: type[Method], promise: Check, folder: Path, settings: dict[str, Any] | None = None) -> None:
    """Runs one promise; skips it, with the reason, where the method refuses the case."""

    def make(seed: int = 0, compute: Compute = CPU, more: dict[str, Any] | None = None, **task: int) -> Case:
        try:
            return Case(cls, folder, {**(settings or {}), **(more or {})}, seed, compute, **task)
        except Unfit as reason:
            pytest.skip(f"{cls.name}: {reason}")

    try:
        promise(make)
    except Exception as error:
        raise AssertionError(_broken(cls, promise, error)) from error


def _broken(cls: type[Method], promise: Check, error: Exception) -> str:
    """What a failed test says: the promise, what was seen instead, and the mend."""
    said, _, mend = (promise.__doc__ or "").partition("\n")
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    seen = str(error).split("\n")[0] or f"not so: {traceback.extract_tb(error.__traceback__)[-1].line}"
    return f"{cls.name} breaks a promise: {said.strip()}\nSeen: {kind}{seen}\n{' '.join(mend.split())}"


def _refuses(make: Make, more: dict[str, Any]) -> bool:
    try:
        make(more=more)
    except UserError:
        return True
    return False


def _resumes(make: Make, more: dict[str, Any] | None = None) -> None:
    whole, first, again = make(more=more), make(more=more), make(more=more)
    reached: set[str] = set()
    reported: set[str] = set()
    for case in (whole, first):
        _augment_often(case, reached, reported)
    whole.train(0, 2 * STEPS)
    first.train(0, STEPS)
    random = torch.get_rng_state()
    buffer = io.BytesIO()
    torch.save(first.method.state_dict(), buffer)
    buffer.seek(0)
    again.method.load_state_dict(torch.load(buffer, weights_only=True))
    torch.set_rng_state(random)
    again.train(STEPS, 2 * STEPS)
    assert _equal(whole.parameters(), again.parameters())
    augmentation = whole.method.augmentation
    if augmentation is not None:
        missed, silent = set(augmentation.networks) - reached, set(augmentation.adaptive) - reported
        assert not missed, f"images do not reach {missed} through the modules in `discriminators`"
        assert not silent, f"no scores of real images are reported for {silent}; call self.saw_real"


def _augment_often(case: Case, reached: set[str], reported: set[str]) -> None:
    """Starts ADA at a probability of one half; notes which discriminators get images through the augmentation, and of
    which the scores of real images are reported."""
    augmentation = case.method.augmentation
    if augmentation is None:
        return
    for state in augmentation.adaptive.values():
        state.p = 0.5
    plain_augment, plain_saw_real = augmentation.augment, augmentation.saw_real

    def augment(images: list[Tensor], network: str) -> list[Tensor]:
        reached.add(network)
        return plain_augment(images, network)

    def saw_real(network: str, scores: Tensor) -> None:
        reported.add(network)
        plain_saw_real(network, scores)

    augmentation.augment = augment  # type: ignore[method-assign]
    augmentation.saw_real = saw_real  # type: ignore[method-assign]


def _resolution(make: Make, side: int) -> None:
    case = make(resolution=side)
    case.train(0, 1)
    assert case.translate().shape[-1] == side


def _equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
