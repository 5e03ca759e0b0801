"""All promises in their order, and what runs them."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import Unfit
from bench.testing import learning, settings, sizes, translations
from bench.testing.case import CPU, Case, Check
from bench.training.compute import Compute
from bench.training.method import Method

CHECKS: tuple[Check, ...] = (
    translations.output_has_the_shape_range_and_dtype_of_the_source,
    learning.equal_seeds_give_equal_results,
    translations.guidance_is_what_the_method_says,
    translations.the_steps_of_a_translation_end_with_it,
    learning.losses_are_finite_detached_scalars,
    learning.every_network_is_trained_and_by_one_optimizer,
    learning.state_goes_through_a_file_and_training_goes_on_bit_equal,
    sizes.a_target_smaller_than_the_batch,
    translations.the_way_back_and_the_bottlenecks_fit,
    sizes.three_hundred_sources_and_three_targets,
    sizes.one_class_and_forty_classes_and_none,
    sizes.one_channel,
    sizes.resolution_32,
    sizes.resolution_64,
    sizes.resolution_128,
    learning.bfloat16_autocast,
    translations.translate_leaves_no_trace,
    learning.averages_start_from_the_initialised_weights,
    settings.presets_are_fields_of_config,
    settings.a_setting_is_refused_in_one_line_or_makes_a_method,
    settings.discriminators_see_augmented_images_where_asked,
    learning.parts_of_a_batch_train_as_the_whole_batch_does,
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
