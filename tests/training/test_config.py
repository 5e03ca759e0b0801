"""`--set` and stored settings: every value is checked against its field's type and bounds."""

from dataclasses import dataclass
from typing import Literal

import pytest

from bench.core.errors import UserError
from bench.training.config import as_json, build, describe, from_json, setting
from bench.training.method import Config


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


@dataclass(frozen=True)
class Bounded(Config):
    batch_size: int = 4
    width: int | None = setting(None, "channels", low=1)
    rate: float = setting(0.1, "learning rate", above=0, below=1)
    shares: tuple[float, ...] = setting((0.5,), "shares of the training", high=1)
    plain: float = 1.0
    step: int = -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size=0", "batch_size=0: choose a whole number of at least 1"),
        ("batch_size=nan", "batch_size=nan: choose a whole number of at least 1"),
        ("budget_kimg=nan", "budget_kimg=nan: choose a number above 0 and at most 1000000000"),
        ("width=0", "width=0: choose a whole number of at least 1, or none"),
        ("rate=0", "rate=0.0: choose a number above 0 and below 1"),
        ("rate=1", "rate=1.0: choose a number above 0 and below 1"),
        ("rate=inf", "rate=inf: choose a number above 0 and below 1"),
        (
            "shares=0.5,1.5",
            "shares=0.5,1.5: choose values separated by commas, each a number of at least 0 and at most 1",
        ),
        ("plain=-1", "plain=-1.0: choose a number of at least 0"),
        (f"batch_size={10**30}", f"batch_size={10**30}: choose a whole number of at least 1, at most 2147483647"),
        ("plain=1e999", "plain=inf: choose a number of at least 0"),
    ],
)
def test_values_out_of_bounds(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build(Bounded, {"paper": {}}, "paper", [text])
    assert str(caught.value) == message


def test_values_at_the_bounds() -> None:
    made = build(Bounded, {"paper": {}}, "paper", ["batch_size=1", "shares=0,1", "plain=0", "step=-7", "rate=0.999"])
    assert (made.batch_size, made.shares, made.plain, made.step, made.rate) == (1, (0.0, 1.0), 0.0, -7, 0.999)
    assert repr(Bounded(budget_kimg=3).budget_kimg) == "3.0"  # so that the run has one name, however it was typed


@pytest.mark.parametrize(
    "values",
    [{"width": 0}, {"width": "8"}, {"width": True}, {"rate": float("nan")}, {"batch_size": 2.0}, {"rate": None}],
)
def test_settings_from_python_and_from_a_stored_run_are_checked_alike(values: dict[str, object]) -> None:
    for make in (lambda: Bounded(**values), lambda: from_json(Bounded, values)):  # type: ignore[arg-type]
        with pytest.raises(UserError, match=f"^{next(iter(values))}=.*: choose "):
            make()


def test_a_stored_field_that_is_not_known() -> None:
    with pytest.raises(UserError, match="unknown field 'widht'; did you mean 'width'"):
        from_json(Bounded, {"widht": 8})


def test_a_field_declared_anew_keeps_help_and_bounds() -> None:
    parts = {part.name: part for part in describe(Bounded)}
    assert parts["batch_size"].default == 4
    assert parts["batch_size"].help == "source images of one iteration"
    assert str(parts["batch_size"].kind) == "a whole number of at least 1"
    assert str(parts["step"].kind) == "a whole number" and parts["plain"].help is None


def test_a_bound_declared_anew_replaces_that_end() -> None:
    @dataclass(frozen=True)
    class Closer(Bounded):
        rate: float = setting(0.0, low=0)

    (rate,) = (part for part in describe(Closer) if part.name == "rate")
    assert str(rate.kind) == "a number of at least 0 and below 1" and rate.help == "learning rate"


def test_fields_of_a_second_base_are_checked_too() -> None:
    @dataclass(frozen=True)
    class Mixin:
        colour: str = "red"

        def __post_init__(self) -> None:
            if self.colour != "red":
                raise UserError("red only")

    @dataclass(frozen=True)
    class Both(Config, Mixin):
        pass

    with pytest.raises(UserError, match="red only"):
        Both(colour="blue")
    with pytest.raises(UserError, match="batch_size=0"):
        Both(batch_size=0)
