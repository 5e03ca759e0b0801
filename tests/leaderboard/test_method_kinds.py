"""Methods of different kinds stand in different tables; anchors stand in all of them."""

import pytest
from as_record import as_record
from records import boards, run, runs

from bench.leaderboard.board import Board, method_kind
from bench.leaderboard.cells import column
from bench.leaderboard.render.csv import cells_csv
from bench.leaderboard.tables import published_table, tables

PAIRED = {"method_kind": "paired"}


def of_all_kinds() -> list[Board]:
    records = runs("oracle", [0.1, 0.11], identity=PAIRED)
    records += runs("unpaired-one", [0.5, 0.51]) + runs("unpaired-two", [0.9, 0.91])
    records += runs("drawn", [0.05, 0.06], identity={"method_kind": "generator"})
    return boards([*records, run("copies", 0.7)])


def test_each_kind_has_a_board_of_its_own_with_the_anchors() -> None:
    found = {board.method_kind: [row.label for row in board.rows] for board in of_all_kinds()}
    assert found == {
        "unpaired": ["copies", "unpaired-one", "unpaired-two"],
        "paired": ["copies", "oracle"],
        "generator": ["copies", "drawn"],
    }


def test_a_better_paired_method_does_not_take_the_lead_from_an_unpaired_one() -> None:
    unpaired = of_all_kinds()[0]
    ranks = {row.label: cell.rank for row, cell in column(unpaired, "kd_effnet", 5).cells.items()}
    assert ranks["unpaired-one"] in ("best", "leads")


def test_titles_say_what_stands_apart() -> None:
    titles = [tables(board, ["kd_effnet"])[0].title for board in of_all_kinds()]
    assert "paired" not in titles[0]
    assert "paired methods (upper bounds)" in titles[1]
    assert "generators (they ignore the source)" in titles[2]


def test_the_csv_file_names_the_kind_of_every_line() -> None:
    lines = [line.split(",") for line in cells_csv(of_all_kinds()).splitlines()]
    kind, row = lines[0].index("method_kind"), lines[0].index("row")
    assert {line[row]: line[kind] for line in lines[1:] if line[row] != "copies"} == {
        "unpaired-one": "unpaired",
        "unpaired-two": "unpaired",
        "oracle": "paired",
        "drawn": "generator",
    }


def test_anchors_alone_make_one_board() -> None:
    assert [board.method_kind for board in boards([run("real", 0.1), run("copies", 0.2)])] == ["unpaired"]


@pytest.mark.parametrize(
    ("method", "expected"), [("pix2pix", "paired"), ("cyclegan", "unpaired"), ("nobody-knows", "unpaired")]
)
def test_a_record_from_before_kinds_were_written_has_that_of_its_method(method: str, expected: str) -> None:
    assert method_kind(as_record(run(method, 0.5)).identity) == expected
    assert method_kind(as_record(run("copies", 0.5)).identity) is None


@pytest.mark.parametrize(
    ("dataset", "start", "method"),
    [("scenenet_rgbd", "paired (", "2x_pix2pix"), ("lsun_bedrooms", "generator (", "transfergan")],
)
def test_published_figures_say_which_methods_are_not_unpaired(dataset: str, start: str, method: str) -> None:
    table = published_table(dataset, [])
    assert table is not None
    assert any(note.startswith(start) and method in note for note in table.notes)
    balagan = published_table("afhq", [])
    assert balagan is None or not any(note.startswith(("paired", "generator")) for note in balagan.notes)
