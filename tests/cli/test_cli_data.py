"""`bench data`, as a user types it."""

import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli.data import app
from bench.core.errors import UserError
from bench.data.dataset import Item
from bench.data.export import export
from bench.data.find import find_bank, make
from bench.data.task import load_task
from bench.datasets.folder import Folder
from bench.runs.outside import read_outputs

ARCHIVE = Path(__file__).parents[2] / "datasets" / "embedded" / "emoji64.zip"


def bench_data(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_says_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    rows = {line.split("│")[1].strip(): line for line in bench_data("list").splitlines() if line.startswith("│")}
    assert "ships" in rows["emoji"]
    assert "3812" in rows["emoji"]  # 1,906 emoji in two styles
    assert "64x64" in rows["emoji"]
    assert "CC-BY 4.0" in rows["emoji"]
    assert " no " in rows["afd"]
    assert "folder" in rows


def test_subset_prints_the_ids_and_pipes_into_sha256sum() -> None:
    result = CliRunner().invoke(app, ["subset", "emoji", "--target-size", "20", "--resolution", "32"])
    assert len(result.stdout.splitlines()) == 20
    assert result.stderr.strip() == f"sha256 {hashlib.sha256(result.stdout.encode()).hexdigest()}"


def test_prepare_then_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    for domain, breeds in (("dog", 16), ("wolf", 3)):
        for breed in range(breeds):
            (tmp_path / domain / f"b{breed}").mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (16, 16), (breed, i, 0)).save(tmp_path / domain / f"b{breed}" / f"{i}.png")
    assert "38 images at" in bench_data("prepare", "afd", "--from", str(tmp_path), "--resolution", "16")
    verified = bench_data("verify", "afd", "--resolution", "16")
    assert "as prepared" in verified
    assert "wolf" in verified

    images = find_bank(make("afd"), 16).folder / "images.npy"
    data = bytearray(images.read_bytes())
    data[-37 * 3 * 16 * 16] ^= 1  # in the second of 38 images, at which opening does not look
    images.write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        bench_data("verify", "afd", "--resolution", "16")


def test_show_has_the_same_emoji_in_both_rows(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    bench_data("show", "emoji", "--resolution", "32", "--count", "5", "--output", str(output))
    assert Image.open(output).size == (2 + 5 * 34, 2 + 2 * 34)  # gaps of two pixels
    with pytest.raises(UserError, match="cannot write"):
        bench_data("show", "emoji", "--resolution", "32", "--output", "/dev/null/x.png")


def test_show_writes_over_no_file_that_is_there(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    output.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"sheet.png is there already; choose another --output, or remove it"):
        bench_data("show", "emoji", "--resolution", "32", "--output", str(output))
    assert output.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [output]


def test_the_docs_have_the_table_of_the_registry() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    table = bench_data("list", "--markdown").strip()
    assert table in page, "put the output of `python -m bench data list --markdown` into docs/datasets.md"
    assert len(table.splitlines()) > 20


def test_list_needs_no_torch() -> None:
    program = "import sys; from bench.cli.data import list_; list_(); list_(True); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_parts_of_a_subset() -> None:
    task = load_task("emoji", 20, 32, subset_seed=3)
    words = ("subset", "emoji", "--resolution", "32")
    for option in ("--seed", "--subset-seed"):
        assert bench_data(*words, "--target-size", "20", option, "3").splitlines() == task.target_train.ids
    assert bench_data(*words, "--part", "held-out-source").splitlines() == task.source_test.ids
    files = bench_data(*words, "--part", "held-out-target", "--files").splitlines()
    root = make("emoji").embedded()
    assert root is not None
    assert set(files) <= set(ZipFile(root).namelist())
    assert [Path(file).stem for file in files] == task.target_test.ids
    assert {Path(file).parts[:2] for file in files} == {("noto", "test")}
    with pytest.raises(UserError, match="add --target-size N"):
        bench_data(*words)
    with pytest.raises(UserError, match="leave out --target-size"):
        bench_data(*words, "--part", "held-out-source", "--target-size", "20")


def test_the_command_that_evaluate_names_is_right(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "x.png")
    with pytest.raises(UserError) as caught:
        read_outputs(tmp_path, load_task("emoji", 20, 32))
    command = str(caught.value).split("python -m bench data ")[1].split()
    assert len(bench_data(*command, "--resolution", "32").splitlines()) == 382


def test_show_prints_how_many_each_label_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = bench_data("show", "emoji", "--resolution", "32", "--output", str(tmp_path / "x.png"))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    index = csv.DictReader(io.StringIO(ZipFile(ARCHIVE).read("index.csv").decode()))
    flags = sum(row["category"] == "flags" for row in index)
    assert ["noto", "flags", str(flags)] in [row[:3] for row in rows]
    longest = max(rows, key=lambda row: len(row[3]))
    assert int(longest[2]) == max(int(row[2]) for row in rows)


def test_labels_that_look_like_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    for domain in ("source", "target"):
        for i, label in enumerate(("[red]", "<b>", "[bold]")):
            (tmp_path / "data" / domain / label).mkdir(parents=True)
            Image.new("RGB", (16, 16), (i, 9, len(domain))).save(tmp_path / "data" / domain / label / "1.png")
    name = f"folder:{tmp_path / 'data'}"
    for shown in (
        bench_data("verify", name, "--resolution", "16"),
        bench_data("show", name, "--resolution", "16", "--output", str(tmp_path / "x.png")),
    ):
        assert "[red]" in shown and "<b>" in shown and "[bold]" in shown


def test_verify_finds_an_original_that_no_longer_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits that rot in place change neither size nor times."""
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    for domain in ("source", "target"):
        (tmp_path / domain).mkdir()
        for i in range(3):
            Image.new("RGB", (16, 16), (i, 9, len(domain))).save(tmp_path / domain / f"{i}.bmp")
    name = f"folder:{tmp_path}"
    assert "all 6 originals decode to the same pixels" in bench_data("verify", name, "--resolution", "16")
    plain = Folder.load

    def rotten(self: Folder, root: Path, item: Item, resolution: int) -> np.ndarray:
        return plain(self, root, item, resolution) ^ (item.file == "target/1.bmp")

    monkeypatch.setattr(Folder, "load", rotten)
    with pytest.raises(UserError, match=r"originals that no longer decode .*: 1, the first is target/1\.bmp"):
        bench_data("verify", name, "--resolution", "16")


def test_images_are_written_into_the_folder_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And beside it nothing is touched, whatever it is called."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / ".here.partial").mkdir()
    monkeypatch.chdir(here)
    names = export(load_task("emoji", 1, 32).target_test, Path(), lambda *_: None)
    assert sorted(path.name for path in here.iterdir()) == sorted(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".here.partial", "here"]
