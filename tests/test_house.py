"""The rooms of the house: imports run downwards, in no circle, and plug-ins use the public API alone."""

from pathlib import Path

import house
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def modules() -> dict[str, house.Module]:
    return house.read_modules(ROOT)


def test_every_file_of_the_checkout_is_read(modules: dict[str, house.Module]) -> None:
    assert {"bench.runs.lifecycle", "bench.methods.cyclegan", "bench.datasets.layouts.rooms"} <= set(modules)
    assert "bench.core.errors" in modules["bench.runs.lifecycle"].imports


def test_every_room_has_its_floor(modules: dict[str, house.Module]) -> None:
    rooms = {house.room_of(name) for name in modules} - {"bench", "__main__", "methods", "datasets"}
    assert rooms <= set(house.ROOMS)


def test_no_import_runs_up(modules: dict[str, house.Module]) -> None:
    assert house.upward(modules) == []


def test_no_imports_run_in_a_circle(modules: dict[str, house.Module]) -> None:
    assert house.circles(modules) == []


def test_methods_and_data_sets_import_the_public_api_alone(modules: dict[str, house.Module]) -> None:
    assert house.strangers(modules) == []


def tree(folder: Path, **files: str) -> dict[str, house.Module]:
    """A small checkout: names with two underscores for a slash."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return house.read_modules(folder)


def test_an_arrow_that_runs_up_is_found_also_under_type_checking(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bench.runs.spec import RunSpec\n"
    found = house.upward(tree(tmp_path, bench__core__errors=text, bench__runs__spec="class RunSpec: ...\n"))
    assert found == ["bench.core.errors -> bench.runs.spec"]


def test_a_circle_through_a_function_and_a_relative_import_is_found(tmp_path: Path) -> None:
    one = "def later():\n    from .two import x\n"
    two = "from bench.data import one\nx = 1\n"
    assert house.circles(tree(tmp_path, bench__data__one=one, bench__data__two=two)) == [
        ["bench.data.one", "bench.data.two"]
    ]


def test_a_method_that_reaches_into_the_harness_or_another_method_is_found(tmp_path: Path) -> None:
    files = {
        "bench__training__loop": "class Loop: ...\n",
        "methods__nn__layers": "",
        "methods__one": "from bench.training.loop import Loop\nfrom bench.methods.nn import layers\n",
        "methods__two": "from bench.methods.one import Secret\n",
        "methods__base": "from bench import register\n@register\nclass Base: ...\n",
        "methods__heir": "from bench.methods.base import Base\n",
        "methods__thief": "from bench.methods.base import _private\n",
    }
    assert sorted(house.strangers(tree(tmp_path, **files))) == [
        "bench.methods.one -> bench.training.loop",
        "bench.methods.thief -> bench.methods.base",
        "bench.methods.two -> bench.methods.one",
    ]
