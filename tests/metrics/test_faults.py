"""Which metric sees which fault: the order that the design asks for, and the table of the docs."""

import re
from pathlib import Path

import metric_faults as faults
import numpy as np
import pytest
from metric_faults import FaultCell

PAGE = Path(__file__).parents[2] / "docs" / "metrics-explained.md"
Table = dict[str, dict[str, FaultCell]]


@pytest.fixture(scope="module")
def table() -> Table:
    return faults.table()


def mean(table: Table, metric: str, generator: str) -> float:
    return float(table[metric][generator].values.mean())


def test_a_shrunken_generator_beats_a_perfect_one_on_the_frechet_distance_but_not_on_recall(table: Table) -> None:
    assert mean(table, "fd_effnet", "shrunken") < mean(table, "fd_effnet", "perfect")
    assert table["fd_effnet"]["shrunken"].mark == "fooled"
    assert table["recall_effnet"]["shrunken"].mark == "seen"
    assert mean(table, "recall_effnet", "shrunken") < 0.5 * mean(table, "recall_effnet", "perfect")


def test_a_copier_looks_perfect_from_afar_and_is_seen_by_the_tests_of_memorising(table: Table) -> None:
    for blind in ("kd_effnet", "fd_effnet", "recall_effnet", "precision_effnet"):
        assert table[blind]["copier"].mark == ""
    for name in ("nn_ratio", "nn_share_p1", "kd_effnet_gap", "c_t", "authentic_share"):
        assert table[name]["copier"].mark == "seen", name
    assert mean(table, "nn_ratio", "copier") < 0.1 < 0.9 < mean(table, "nn_ratio", "perfect") < 1.1


def test_a_collapse_is_seen_by_recall_and_not_by_precision(table: Table) -> None:
    assert table["recall_effnet"]["collapsed"].mark == "seen"
    assert table["precision_effnet"]["collapsed"].mark == ""
    assert table["kd_effnet"]["collapsed"].mark == "seen"


def test_a_perfect_generator_is_unbiased_where_the_metric_says_so(table: Table) -> None:
    for name, truth in (("kd_effnet", 0.0), ("nn_ratio", 1.0), ("density_effnet", 1.0)):
        values = table[name]["perfect"].values
        assert abs(values.mean() - truth) < 3 * values.std(ddof=1) / len(values) ** 0.5, name


def test_marks() -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 100
    assert faults.mark(high, low, "lower") == "seen" == faults.mark(low, high, "higher") == faults.mark(low, high, None)
    assert faults.mark(low, high, "lower") == "fooled" == faults.mark(high, low, "higher")
    assert faults.mark(low + 15, low, "lower") == ""


def test_the_readme_has_this_table(table: Table) -> None:
    """Marks as they are; numbers to 15 % or half a unit of the second digit, for other machines' rounding."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`.*?\| (.*) \|$", text[text.index("| metric | perfect | copier") :], re.MULTILINE)
    assert [name for name, _ in rows[: len(table)]] == list(table), (
        "python scripts/metric_faults.py prints the new table"
    )
    for name, cells in rows[: len(table)]:
        scale = faults.METRICS[name].scale
        for generator, shown in zip(faults.GENERATORS, cells.split(" | "), strict=True):
            cell = table[name][generator]
            assert (cell.mark or "") == "".join(re.findall("seen|fooled", shown)), (name, generator)
            number = float(re.findall(r"-?[\d.]+(?:e[+-]\d+)?", shown)[0])
            tolerance = max(0.15 * abs(number), 0.1 * scale * table[name]["perfect"].values.std())
            assert cell.values.mean() * scale == pytest.approx(number, abs=tolerance), (name, generator)
