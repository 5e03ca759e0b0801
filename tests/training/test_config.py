"""`--set`: every value is checked against its field's type."""

from dataclasses import dataclass
from typing import Literal

import pytest

from bench.core.errors import UserError
from bench.training.config import as_json, build, from_json


@dataclass(frozen=True)
class Fields:
    width: int = 64
    rate: float = 1e-4
    flip: bool = True
    mode: Literal["a", "b"] = "a"
    stride: Literal[1, 2] = 1
    decay: float | None = None
    levels: tuple[int, ...] = (3, 4)


PRESETS = {"paper": {}, "cpu": {"width": 8}}


def test_defaults_preset_settings_in_this_order() -> None:
    assert build(Fields, PRESETS, "paper", []) == Fields()
    assert build(Fields, PRESETS, "cpu", ["rate=3e-4"]) == Fields(width=8, rate=3e-4)
    assert build(Fields, PRESETS, "cpu", ["width=9"]).width == 9


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("flip=false", "flip", False),
        ("mode=b", "mode", "b"),
        ("stride=2", "stride", 2),
        ("decay=0.5", "decay", 0.5),
        ("decay=none", "decay", None),
        ("levels=1,2,5", "levels", (1, 2, 5)),
    ],
)
def test_values(setting: str, field: str, value: object) -> None:
    assert getattr(build(Fields, PRESETS, "paper", [setting]), field) == value


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("widht=3", "did you mean 'width'"),
        ("width=3.5", "whole number"),
        ("rate=fast", "a number"),
        ("flip=1", "true or false"),
        ("mode=c", "choose one of a, b"),
        ("stride=3", "choose one of 1, 2"),
        ("levels=1,x", "whole number"),
        ("width", "not field=value"),
    ],
)
def test_wrong_values(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(Fields, PRESETS, "paper", [setting])


def test_json_round_trip() -> None:
    config = Fields(levels=(7,), decay=0.9)
    assert from_json(Fields, as_json(config)) == config
