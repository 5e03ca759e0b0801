"""The same tables as Markdown, LaTeX, CSV and in the terminal."""

import csv
import io
import math
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from records import boards, run, runs, write
from rich.console import Console

from bench.core.errors import UserError
from bench.leaderboard import published
from bench.leaderboard.board import MAIN
from bench.leaderboard.draw import Chosen, draw
from bench.leaderboard.numbers import number
from bench.leaderboard.render.latex import escape as latex_escape
from bench.leaderboard.render.latex import latex
from bench.leaderboard.render.markdown import markdown
from bench.leaderboard.render.page import payload
from bench.leaderboard.tables import published_table, tables
from bench.leaderboard.tables import value as shown
from bench.statistics.estimate import Estimate
from bench.training import log

HOSTILE = r"evil | <script>alert(1)</script> \input{/etc/passwd} % $x$ #1 {_^~&} [a] ünïcode"
TWO = runs("a", [0.001, 0.0011, 0.0009]) + runs("b", [0.005, 0.0051, 0.0049]) + runs("identity", [0.01])


def page(records: list[dict[str, Any]], *metrics: str) -> str:
    return "\n".join(markdown(tables(board, metrics or ("kd_effnet",))) for board in boards(records))


def test_one_size_has_metrics_across() -> None:
    found = page(TWO)
    assert "|  | kd\\_effnet x1000 ↓ n=100/100 | runs |" in found
    assert "| a | **1.00 ± 0.25** | 3 |" in found  # x1000; 4.3027 * 0.1 / sqrt(3) = 0.248
    assert "| b | 5.00 ± 0.25 | 3 |" in found
    assert found.index("| identity | 10 | 1 |") < found.index("| a |")


def test_a_metric_without_any_value_keeps_its_column_and_says_why() -> None:
    found = page([run("a", None, reason="images in reference: 2; at least 3 are needed"), *runs("identity", [None])])
    assert "kd\\_effnet x1000 ↓ n=- | runs |" in found
    assert "| a | n/a [2] | 1 |" in found and "images in reference: 2; at least 3 are needed" in found


def test_runs_without_any_value_have_a_table_that_says_why() -> None:
    records = [run("a", None, size=size, metric="l1_truth", reason="there is no ground truth") for size in (5, 10)]
    (board,) = boards(records)
    found = markdown(tables(board, board.main_metrics))
    assert "l1\\_truth ↓: d, 32 px" in found and "| a | n/a [1] | n/a [1] |" in found
    assert "1. there is no ground truth" in found


def test_a_metric_that_is_not_among_the_main_ones_has_a_table_where_it_alone_was_measured() -> None:
    (board,) = boards([run("a", 0.5, metric="l1_truth")])
    assert "l1\\_truth" in markdown(tables(board, board.main_metrics))


def test_several_sizes_have_a_table_a_metric() -> None:
    records = [*TWO, *runs("a", [0.002, 0.002, 0.002], size=10), run("b", None, size=10, reason="too few images")]
    found = page(records)
    assert "kd\\_effnet x1000 ↓: d, 32 px, protocol default, n=100/100" in found
    assert "|  | 5 | 10 | per doubling | runs |" in found
    assert "| a | **1.00 ± 0.25** | 2 ± 0 | +1.00 ± 0.16 | 3 |" in found  # 2.776 * sqrt(0.02 / 4 / 1.5)
    assert "| b | 5.00 ± 0.25 | n/a [1] | - | 1-3 |" in found
    assert "1. too few images" in found
    assert "| identity | 10 | - | - | 0-1 |" in found


def test_a_slope_of_two_draws_has_no_interval() -> None:
    assert "| a | 1 | 3 | +2 | 1 |" in page([run("a", 0.001), run("a", 0.003, size=10)])


def test_level_and_diverged_and_other_counts_are_shown_as_such() -> None:
    lost = run("lost", None, status="diverged", error="the loss is nan", metrics={})
    records = runs("a", [1.0, 1.2]) + runs("b", [1.1, 1.0]) + [lost] + runs("real", [0.2], n_ref=50)
    found = page(records)
    assert "| a | 1100 ± 1271 ° | 2 |" in found  # 12.706 * 0.1414 / sqrt(2) = 1.2706
    assert "| lost | diverged [2] | 1 |" in found and "2. the loss is nan" in found
    assert "| real | 200 [1] | 1 |" in found and "1. n 100/50, not 100/100" in found


@pytest.mark.parametrize(
    ("number_", "text"),
    [(0.012345, "0.0123"), (1234.6, "1230"), (-4.561, "-4.56"), (123456.0, "123000"), (0.0, "0"), (-1e-15, "0")],
)
def test_numbers(number_: float, text: str) -> None:
    assert number(number_) == text


def test_intervals_are_shown_with_two_digits_and_no_minus_zero() -> None:
    assert shown(Estimate(-0.3, -12.3, 11.7, 2, 2), 1) == "0 ± 12"
    assert shown(Estimate(0.0123456, 0.0100, 0.0147, 2, 2), 1000) == "12.3 ± 2.4"
    assert shown(Estimate(5.0, 5.0, 5.0, 2, 2), 1) == "5 ± 0"
    assert shown(Estimate(5.0, math.nan, math.nan, 1, 3), 1) == "5"


def test_markup_in_names_stays_text() -> None:
    found = page(runs(HOSTILE, [0.02]))
    assert "<script>" not in found and "evil \\| &lt;script&gt;" in found
    (line,) = [line for line in found.splitlines() if line.startswith("| evil")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 4


def test_published_figures_stand_apart_with_the_reason() -> None:
    records = runs("cyclegan", [0.001, 0.002], size=1000, identity={"dataset": "afd"})
    (board,) = boards(records)
    beside = published_table(board.dataset, board.metrics())
    assert beside is not None
    (best,) = [cells for label, cells in beside.rows if cells[3].text == "60.88" and cells[0].text == "balagan table1"]
    assert [cell.text for cell in best[1:3]] == ["dog -> wolf", "1000"]
    assert best[0].note and beside.notes[best[0].note - 1] == "BalaGAN with 40 modalities"
    assert "balagan (published): BalaGAN with 40 modalities" in {
        row[0] for row in payload([board], "")["published"]["afd"]["rows"]
    }
    assert not any(cell.bold for _, cells in beside.rows for cell in cells)
    assert "by order of size only" in beside.notes[0] and "not measured here: fid" in beside.notes[0]
    assert all("published" not in label for table in tables(board, ["kd_effnet"]) for label, _ in table.rows)
    (other,) = boards(runs("a", [1.0]))
    assert published_table(other.dataset, []) is None


def test_every_published_figure_is_shown() -> None:
    """The cells of all tables are the lines of the file, no more and no fewer."""
    with (Path(__file__).parents[2] / "results/published/published.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    expected = Counter(
        (line["dataset"], f"{line['paper']} {line['table']}", f"{line['source']} -> {line['target']}",
         line["target_size"] if line["target_size"].isdigit() else "-",
         f"{line['method']} (published)", line["note"], line["metric"], float(line["value"]))
        for line in lines
    )  # fmt: skip
    found: Counter[tuple[Any, ...]] = Counter()
    for dataset in {line["dataset"] for line in lines}:
        table = published_table(dataset, [])
        assert table is not None
        for label, cells in table.rows:
            *start, _ = (cell.text for cell in cells[:4])
            note = table.notes[cells[0].note - 1] if cells[0].note else ""
            figures = zip(table.headings[3:], (cell.text for cell in cells[3:]), strict=True)
            found.update((dataset, *start, label, note, name, float(text)) for name, text in figures if text != "-")
    assert found == expected


def test_two_figures_of_one_cell_are_both_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = "p,t1,d,a,b,9,m,fid,{},\n"
    header = "paper,table,dataset,source,target,target_size,method,metric,value,note\n"
    (tmp_path / "published.csv").write_text(header + line.format(1.5) + line.format(1.5) + line.format(2))
    monkeypatch.setattr(published, "PLACES", (tmp_path,))
    monkeypatch.setattr(published, "figures", published.figures.__wrapped__)
    table = published_table("d", [])
    assert table is not None
    assert [[cell.text for cell in cells] for _, cells in table.rows] == [["p t1", "a -> b", "9", "1.5 / 1.5 / 2"]]


def test_files(tmp_path: Path) -> None:
    records = [*TWO, *runs("a", [0.5], size=9), *runs("=cmd()", [0.1, 0.11, 0.12])]
    write(tmp_path, records)
    (tmp_path / "runs/d/5/a/broken").mkdir()
    (tmp_path / "runs/d/5/a/broken/record.json").write_text("{")
    said = io.StringIO()
    folder = draw(tmp_path, Chosen(metrics=("kd_effnet",)), Console(file=said))
    assert "left out:" in said.getvalue() and "**1.00 ± 0.25**" in said.getvalue()
    with (folder / "runs.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(records) and {line["method"] for line in lines} == {"a", "b", "identity", "'=cmd()"}
    with (folder / "leaderboard.csv").open() as file:
        cells = {(line["row"], line["target_size"]): line for line in csv.DictReader(file)}
    assert cells["a", "5"]["rank"] == "best" and float(cells["b", "5"]["to_leader"]) == pytest.approx(0.004)
    assert cells["b", "9"]["state"] == "missing" and cells["b", "9"]["mean"] == ""
    assert "measured at commit cccccccccc" in (folder / "leaderboard.md").read_text()
    with pytest.raises(UserError, match="unknown metric"):
        draw(tmp_path, Chosen(metrics=("kd_efnet",)), Console(file=said))
    with pytest.raises(UserError, match="unknown dataset"):
        draw(tmp_path, Chosen(dataset="dd"), Console(file=said))


def test_runs_csv_says_where_the_measure_on_training_images_was_best(tmp_path: Path) -> None:
    measured, other = write(tmp_path, runs("a", [0.01, 0.02]))
    curve = {100: 0.3, 200: 0.1, 300: 0.2}
    for images, value in curve.items():
        log.append(measured / log.VALIDATION, log.Line(images // 10, images, {f"validation/{log.CHOOSES}": value}))
    folder = draw(tmp_path, Chosen(), Console(file=io.StringIO()))
    with (folder / "runs.csv").open() as file:
        lines = {line["folder"]: line for line in csv.DictReader(file)}
    names = ("validated_best_images", "validated_best", "validated_end", "value")
    assert [lines[str(measured)][name] for name in names] == ["200", "0.1", "0.2", "0.01"]
    assert [lines[str(other)][name] for name in names] == ["", "", "", "0.02"]


def test_latex_has_no_live_markup() -> None:
    text = latex_escape(HOSTILE)
    assert r"\input" not in text.replace(r"\textbackslash{}input", "") and text.isascii()
    assert not re.search(r"(?<!\\)[%#&]", text)


def test_latex_compiles(tmp_path: Path) -> None:
    """Without pdflatex it is skipped; in CI (I2I_BENCH_CI) it fails."""
    if shutil.which("pdflatex") is None:
        missing = "no pdflatex here: apt-get install texlive-latex-recommended"
        pytest.fail(missing) if os.environ.get("I2I_BENCH_CI") else pytest.skip(missing)
    records = [
        *TWO,
        *runs("a", [-0.5, 0.1], size=9),
        *runs(HOSTILE, [0.1, 0.11, 0.12]),
        *runs("[x]", [0.1, 0.11, 0.12]),
    ]
    for size in (5, 10, 20, 40, 80):  # too wide for a page as it is
        records += runs("cyclegan", [0.1, 0.1234567, 0.1345678], size=size, identity={"dataset": "afd"})
        records += runs("real", [0.1], size=size, n_ref=size, identity={"dataset": "afd"})
        records += runs(f"a method with a name of some length and width={size}", [0.1], identity={"dataset": "afd"})
    found = [table for board in boards(records) for table in tables(board, ["kd_effnet"])]
    found.append(published_table("afd", []) or found[0])
    text = latex(found, "cited\n" + HOSTILE)
    assert r"\textbf{1.00 $\pm$ 0.25}" in text and r"\toprule" in text
    labels = re.findall(r"\\caption\{.+\}\\label\{(tab:[a-z0-9-]+)\}", text)
    assert len(labels) == len(set(labels)) == len(found)
    assert labels[0] == "tab:kd-effnet-x1000-afd-32-px-protocol-default"
    whole = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
        + text
        + f"See \\ref{{{labels[0]}}}.\\end{{document}}\n"
    )
    (tmp_path / "t.tex").write_text(whole)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "t.pdf").stat().st_size > 10_000


def test_what_people_prefer_is_a_metric_of_the_main_table() -> None:
    records = runs("a", [80.0], metric="user_preference_pct") + runs("b", [20.0], metric="user_preference_pct")
    found = [markdown(tables(board, MAIN)) for board in boards(records)]
    assert "user\\_preference\\_pct ↑ n=100/100" in found[0] and "| a | 80 | 1 |" in found[0]


def test_published_rows_name_what_their_tables_translate() -> None:
    """SceneNet and SUN RGB-D have no near infrared, and Table 5 of BalaGAN states no target size."""
    with (Path(__file__).parents[2] / "results/published/published.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["dataset"] for row in rows if "nir" in row["source"]} == {"freiburg_forest"}
    ablation = [row for row in rows if (row["paper"], row["table"]) == ("balagan", "table5")]
    assert len(ablation) == 9 and {row["target_size"] for row in ablation} == {""}
