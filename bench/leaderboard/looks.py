"""The look of each row, the same in the page and in the plots: colour, marker and line of the number-th method."""

from typing import Any

from bench.core.colours import COLOURS
from bench.leaderboard.board import Board, Row

# Marks and dashes by the names of matplotlib and of plotly.
MARKS = (("o", "circle"), ("s", "square"), ("D", "diamond"), ("^", "triangle-up"), ("X", "x"), ("*", "star"),
         ("v", "triangle-down"), ("P", "cross"), ("p", "pentagon"))  # fmt: skip
DASHES = (("-", "solid"), ("--", "dash"), (":", "dot"), ("-.", "dashdot"))
# Anchors are told apart by their grey, their line and their mark.
ANCHORS = {
    "real": ("#111111", ("-", "solid"), ("+", "cross-thin-open")),
    "identity": ("#666666", ("--", "dash"), ("x", "x-thin-open")),
    "copies": ("#999999", (":", "dot"), ("1", "y-down-open")),
    "truth": ("#333333", ("-.", "dashdot"), ("2", "y-up-open")),
    "truth-blurred": ("#888888", ((0, (6, 2, 1, 2, 1, 2)), "longdashdot"), ("3", "y-left-open")),
}


def looks(board: Board) -> dict[Row, dict[str, Any]]:
    """colour, marks and dashes of every row; no two of the first 32 methods are alike."""
    looks_of = {}
    methods = 0
    for row in board.rows:
        if row.anchor:
            colour, dashes, mark = ANCHORS[row.method]
            looks_of[row] = {"colour": colour, "mark": mark, "dashes": dashes}
        else:
            looks_of[row] = look(methods)
            methods += 1
    return looks_of


def look(number: int) -> dict[str, Any]:
    return {
        "colour": COLOURS[number % len(COLOURS)],
        "mark": MARKS[number % len(MARKS)],
        "dashes": DASHES[number // len(COLOURS) % len(DASHES)],
    }
