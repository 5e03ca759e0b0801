"""What training logs under "group/series" becomes a picture and a table beside the log."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from as_record import as_record
from PIL import Image
from test_store import record

from bench.leaderboard.show import show
from bench.runs import curves
from bench.runs.record import write_record

CLASSES = ("Food & Drink", "a/b $x$", "_zero")


def log(folder: Path, *lines: dict) -> None:
    text = "".join(json.dumps({"step": i + 1, "images": 50 * (i + 1), **line}) + "\n" for i, line in enumerate(lines))
    (folder / "train.jsonl").write_text(text)


def masses(step: int) -> dict[str, float]:
    return {f"mass/{name}/{d}": k + step / 10 for k, name in enumerate(CLASSES) for d in ("source", "target")}


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def colours(path: Path) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}


def test_one_file_a_group_with_a_column_a_series(tmp_path: Path) -> None:
    log(tmp_path, {"G": 1.0, "parts/a": 0.5, **masses(0)}, {"G": 2.0, "parts/a": 0.25, "parts/b": 3.0, **masses(1)})
    written = {path.name for path in curves.write(tmp_path)}
    assert written == {"parts.csv", "parts.png", "mass.csv", "mass.png"} == {p.name for p in tmp_path.glob("*.[cp]*")}
    assert rows(tmp_path / "parts.csv") == [
        ["step", "images", "a", "b"],
        ["1", "50", "0.5", ""],
        ["2", "100", "0.25", "3"],
    ]
    header, *_, last = rows(tmp_path / "mass.csv")
    assert header[2:] == [f"{name}/{d}" for name in CLASSES for d in ("source", "target")]
    assert [float(value) for value in last[2:]] == pytest.approx([0.1, 0.1, 1.1, 1.1, 2.1, 2.1])


def test_each_series_has_its_own_colour_in_every_panel(tmp_path: Path) -> None:
    names = [(f"mass/{name}/{way}", sign) for name in CLASSES for way, sign in (("up", 1), ("down", -1))]
    log(tmp_path, *({name: step * sign for name, sign in names} for step in (0, 1)))
    curves.write(tmp_path)
    seen = colours(tmp_path / "mass.png")
    drawn = [tuple(bytes.fromhex(colour[1:])) in seen for colour in curves.COLOURS]
    assert drawn[:2] == [True, True] and not any(drawn[2:-1])
    assert Image.open(tmp_path / "mass.png").width > 3 * 200, "three panels side by side"


def test_many_series_and_many_panels(tmp_path: Path) -> None:
    """More series than colours differ in their dashes; of more panels than a picture holds the table has all."""
    wide = {f"wide/{i}": float(i) for i in range(9)}
    log(tmp_path, *({**wide, **{f"many/{i}/x": 1.0 for i in range(60)}} for _ in range(3)))
    curves.write(tmp_path)
    assert len(rows(tmp_path / "many.csv")[0]) == 62
    assert Image.open(tmp_path / "many.png").height < 2000
    okabe_ito = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"}  # less yellow and black
    assert set(curves.COLOURS) == okabe_ito | {"#999933", "#AA4499"}


def test_nothing_to_draw(tmp_path: Path) -> None:
    assert curves.write(tmp_path) == []
    log(tmp_path, {"G": 1.0, "../outside/a": 1.0, "/a": 2.0})
    assert curves.write(tmp_path) == [], "a group is a plain file name"
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_show_prints_the_last_values(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "runs" / "emoji" / "20" / "toy" / "0-abc"
    folder.mkdir(parents=True)
    done = record()
    done["task"].update(source="a", target="b", resolution=32)
    seconds = ("prepare_seconds", "train_seconds", "images_per_second", "parameters", "peak_memory_bytes")
    done["cost"] = dict.fromkeys(seconds, 0)
    done["provenance"] = dict.fromkeys(("commit", "device", "cpu"), "none")
    write_record(folder, as_record(done))
    log(folder, {"parts/a": 1.0, **masses(0)}, {"parts/a": 0.123456, "parts/[b]": 7.0, **masses(1)})
    show(str(folder), tmp_path)
    lines = [line.split() for line in capsys.readouterr().out.replace("│", " ").splitlines()]
    assert ["a", "0.1235"] in lines and ["[b]", "7"] in lines
    assert ["Food", "&", "Drink", "0.1", "0.1"] in lines and ["_zero", "2.1", "2.1"] in lines
    assert lines.index(["Food", "&", "Drink", "0.1", "0.1"]) < lines.index(["_zero", "2.1", "2.1"])
