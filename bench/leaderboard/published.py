"""The figures that papers printed. They stand beside ours and are never ranked with them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.core.errors import UserError
from bench.core.registry import find

PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE.parent / "results" / "published", PACKAGE / "published")  # in a checkout, in an installed wheel


@dataclass(frozen=True)
class Figure:
    """One printed number. target_size is None where the paper used the whole domain or does not say."""

    paper: str
    table: str
    dataset: str
    source: str
    target: str
    target_size: int | None
    method: str
    metric: str
    value: float
    note: str


@cache
def figures() -> tuple[Figure, ...]:
    """All of results/published/published.csv; none where the file was not installed."""
    for place in PLACES:
        path = place / "published.csv"
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                return tuple(_figure(row) for row in csv.DictReader(file))
    return ()


def of(dataset: str) -> list[Figure]:
    """Those of a data set; what follows a colon in its name (another task) has none of its own."""
    return [figure for figure in figures() if figure.dataset == dataset]


def why_apart(dataset: str, published: Iterable[str], measured: Iterable[str]) -> str:
    """Why published figures of these metrics are not ranked with ours."""
    try:
        facts = find("datasets", dataset).facts
    except UserError:
        facts = {}
    said = [str(facts["compare"])] if facts.get("compare") else ["the paper's split and code are not ours"]
    if absent := sorted(set(published) - set(measured)):
        said.append(f"not measured here: {', '.join(absent)}")
    return "Never ranked with ours: " + "; ".join(said) + "."


def _figure(row: dict[str, str]) -> Figure:
    size = row["target_size"]
    numbers = {"target_size": int(size) if size.isdigit() else None, "value": float(row["value"])}
    return Figure(**{**row, **numbers})  # type: ignore[arg-type]
