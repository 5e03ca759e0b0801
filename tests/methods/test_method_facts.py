"""Every method states its year, its kind and its needs as literals, so that listing imports nothing."""

import pytest
from typer.testing import CliRunner

from bench.cli.list import app
from bench.core.registry import entries
from bench.training.needs import KINDS, NEEDS, kind_of_method


@pytest.mark.parametrize("name", list(entries("methods")))
def test_year_kind_and_needs_are_literals_of_known_words(name: str) -> None:
    facts = entries("methods")[name].facts
    assert 2014 <= facts["year"] <= 2026
    assert facts["kind"] in KINDS
    assert isinstance(facts["needs"], tuple) and set(facts["needs"]) <= set(NEEDS)


def test_a_method_that_uses_pairs_of_any_kind_is_paired() -> None:
    for name, entry in entries("methods").items():
        uses_pairs = bool({"pairs", "anchor"} & set(entry.facts["needs"]))
        assert (kind_of_method(name) == "paired") == uses_pairs, name


def test_the_list_shows_year_kind_and_needs_and_explains_the_words() -> None:
    shown = CliRunner().invoke(app, ["methods"], env={"COLUMNS": "200"}).output
    (line,) = [line for line in shown.splitlines() if line.startswith("│ pix2pix ")]
    assert [cell.strip() for cell in line.split("│")][3:6] == ["2017", "paired", "pairs"]
    for word in [*KINDS, *NEEDS]:
        assert f"  {word}: " in shown


def test_the_list_of_data_sets_says_where_paired_methods_can_train() -> None:
    shown = CliRunner().invoke(app, ["datasets"], env={"COLUMNS": "200"}).output.splitlines()
    assert any("emoji " in line and "training" in line for line in shown)
    assert not any("srmnist" in line and "training" in line for line in shown)
