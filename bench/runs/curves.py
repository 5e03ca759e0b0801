"""What training logs under a name with a slash, as pictures and tables beside the log.

"group/series" is a line of GROUP.png and a column of GROUP.csv; "group/panel/series" is a line of the panel of that
name, all panels with the same axes. Both files are made from train.jsonl alone, so that a resumed run draws the whole.
What was measured while training (validation.jsonl) is drawn in the same way, each metric on axes of its own.
"""

import io
import re
from itertools import cycle
from pathlib import Path

import pandas as pd

from bench.core.colours import COLOURS
from bench.core.files import write_bytes, write_text
from bench.training import log

STYLES = ("-", "--", ":", "-.")
PANELS = 24  # a picture shows no more; the table has all
GROUP = re.compile(r"\w[\w.-]*")  # what may be the name of a file


def logged_groups(folder: Path, file: str = log.FILE) -> dict[str, pd.DataFrame]:
    """A table for each group that a log of the run has: columns (panel, series), one row a line of the log; the index
    is (step, images)."""
    lines = log.read(folder / file)
    names = list(dict.fromkeys(name for line in lines for name in line.values if "/" in name))
    index = pd.MultiIndex.from_tuples([(line.step, line.images) for line in lines], names=["step", "images"])
    groups: dict[str, dict[tuple[str, str], list[float | None]]] = {}
    for name in names:
        group, rest = name.split("/", 1)
        panel, _, series = rest.rpartition("/")
        if GROUP.fullmatch(group):
            groups.setdefault(group, {})[panel, series] = [line.values.get(name) for line in lines]
    return {
        group: pd.DataFrame(columns, index=index, columns=pd.MultiIndex.from_tuples(columns), dtype=float)
        for group, columns in groups.items()
    }


def write(folder: Path) -> list[Path]:
    """Writes GROUP.csv and GROUP.png for each group of the run in `folder`; returns what it wrote."""
    written = []
    for group, table in logged_groups(folder).items():
        written += _write(folder, group, table, picture(group, table))
    for group, table in logged_groups(folder, log.VALIDATION).items():
        apart = table.copy()
        metrics = table.columns.get_level_values(1)
        apart.columns = pd.MultiIndex.from_tuples([(name, "on training images") for name in metrics])
        written += _write(folder, group, table, picture(group, apart, one_scale=False))
    return written


def _write(folder: Path, group: str, table: pd.DataFrame, drawn: bytes) -> list[Path]:
    flat = table.copy()
    flat.columns = pd.Index(["/".join(names).removeprefix("/") for names in table.columns.tolist()])
    write_text(folder / f"{group}.csv", flat.reset_index().to_csv(index=False, float_format="%.6g"))
    write_bytes(folder / f"{group}.png", drawn)
    return [folder / f"{group}.csv", folder / f"{group}.png"]


def picture(group: str, table: pd.DataFrame, one_scale: bool = True) -> bytes:
    """A PNG of a group against the images seen: small multiples where it has several panels; one_scale: all panels
    have the same values on their axes."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = list(dict.fromkeys(table.columns.get_level_values(0)))
    series = list(dict.fromkeys(table.columns.get_level_values(1)))
    shown = panels[:PANELS]
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    size = (max(2.0 * columns, 4.5), 1.6 * rows + 0.9) if len(shown) > 1 else (6.4, 4.0)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=one_scale, squeeze=False).flat)
    seen = table.index.get_level_values("images") / 1000
    looks = dict(zip(series, zip(cycle(COLOURS), (style for style in cycle(STYLES) for _ in COLOURS))))
    lines = {}
    for position, (panel, axis) in enumerate(zip(shown, axes)):
        for name, values in table[panel].items():
            colour, style = looks[name]
            (lines[name],) = axis.plot(seen, values, color=colour, linestyle=style, linewidth=1.3)
        axis.set_title(panel, fontsize=8, parse_math=False)
        axis.tick_params(labelsize=7, labelbottom=position + columns >= len(shown))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(alpha=0.3, linewidth=0.5)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    hidden = f" ({len(shown)} of {len(panels)})" if len(shown) < len(panels) else ""
    figure.suptitle(f"{group}{hidden}", fontsize=9, x=0.01, ha="left", parse_math=False)
    figure.supxlabel("thousands of images seen", fontsize=8)
    legend = figure.legend(lines.values(), lines, loc="outside upper right", ncols=min(6, len(lines)), fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
