"""Writes the table of docs/presets.md: what every method's five settings reached on fashion:tuning.

python scripts/tuning.py [--results results/tuning] [--page docs/presets.md]
"""

import argparse
from pathlib import Path

import pandas as pd

import bench
from bench.core import markdown
from bench.core.files import write_text

BEGIN, END = "<!-- the table: scripts/tuning.py writes it -->\n", "<!-- end of the table -->\n"
COLUMNS = ("method", "rate x 1", "rate x 1/2", "rate x 2", "half the batch", "a quarter")
RATES = ("lr", "lr_g")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--results", type=Path, default=Path("results") / "tuning")
    parser.add_argument("--page", type=Path, default=Path("docs") / "presets.md")
    given = parser.parse_args()
    before, rest = given.page.read_text(encoding="utf-8").split(BEGIN)
    write_text(given.page, before + BEGIN + table(given.results) + END + rest.split(END)[1])


def table(results: Path) -> str:
    """A row a method: `translated` with each setting, the best in bold."""
    rows = bench.load_results(results)
    return markdown.table(COLUMNS, [[method, *_cells(runs)] for method, runs in rows.groupby("method")]) + "\n"


def _cells(runs: pd.DataFrame) -> list[str]:
    """The five scores of a method; n/a where all outputs are the same image, of which nothing is measured."""
    rate = next(f"config.{name}" for name in RATES if runs.get(f"config.{name}", pd.Series(dtype=float)).notna().any())
    batch = runs["config.batch_size"].max()
    middle = runs[rate].median()
    scores = [
        runs[(runs[rate] == middle * factor) & (runs["config.batch_size"] == size)]["translated"].item()
        for factor, size in ((1, batch), (0.5, batch), (2, batch), (1, batch / 2), (1, batch / 4))
    ]
    best = pd.Series(scores).max()
    return ["n/a" if pd.isna(score) else f"**{score:.3f}**" if score == best else f"{score:.3f}" for score in scores]


if __name__ == "__main__":
    main()
