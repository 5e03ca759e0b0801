"""What a method promises of its Config."""

import math
from dataclasses import fields, replace
from typing import Any

from bench.core.errors import UserError
from bench.testing.case import Make
from bench.testing.resuming import resumes
from bench.training.augment_d import DiscriminatorFields
from bench.training.config import describe


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
        resumes(make, {"augment_d": mode, "ada_interval": 1})


def _refuses(make: Make, more: dict[str, Any]) -> bool:
    try:
        make(more=more)
    except UserError:
        return True
    return False
