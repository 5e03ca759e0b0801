"""`bench translate` and `bench show --images`: files in, files out, and nothing where something is wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trained_runs import RESULTS, tiny_run

import bench
from bench.core.placing import placed
from bench.core.progress import Quiet
from bench.data.images import CONTACT_SHEET
from bench.data.task import load_task
from bench.runs.outside import read_outputs
from bench.runs.settings import RunSettings
from bench.use.given import stems
from bench.use.held_out import write_held_out
from bench.use.load import load_run
from bench.use.trained import Trained
from bench.use.translate_files import Wanted, translate_files


def loaded(method: str = "cyclegan", **fields: str) -> Trained:
    return load_run(tiny_run(method, **fields).folder, RunSettings(device="cpu"), Quiet())


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Images of four sizes and formats, one of them in a folder, one wide, one smaller than the network wants."""
    folder = tmp_path / "mine"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a.jpg", (64, 48)), ("b.webp", (200, 100)), ("more/c.gif", (32, 32)), ("d.tif", (7, 9))):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def written(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def silent(done: int, total: int) -> None:
    assert 0 < done <= total


def test_every_image_gets_a_png_of_its_name_and_a_place_on_the_sheet(mine: Path, tmp_path: Path) -> None:
    trained, out = loaded(), tmp_path / "out"
    paths = translate_files(trained, Wanted([mine]), out, silent)
    assert written(out) == ["a.png", "b.png", CONTACT_SHEET, "d.png", "more/c.png"]
    assert sorted(paths) == sorted(out / name for name in written(out))
    source = np.asarray(Image.open(mine / "more" / "c.gif").convert("RGB"))
    expected = trained.translate(source.transpose(2, 0, 1)[None], trained.guides()[0])[0]
    assert np.abs(np.asarray(Image.open(out / "more" / "c.png")).astype(int) - expected.transpose(1, 2, 0)).max() <= 1
    assert Image.open(out / CONTACT_SHEET).size == (2 * (2 * 34 + 2), 2 * (4 * 34 + 2))


def test_several_translations_have_numbers(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    translate_files(loaded("munit", guide="noise"), Wanted([mine / "a.jpg"], per_image=2), out, silent)
    assert written(out) == ["a-1.png", "a-2.png", CONTACT_SHEET]
    assert (out / "a-1.png").read_bytes() != (out / "a-2.png").read_bytes()


def test_references_stand_above_their_columns(mine: Path, tmp_path: Path) -> None:
    trained, out = loaded("munit", guide="reference"), tmp_path / "out"
    wanted = Wanted([mine / "a.jpg", mine / "b.webp"], references=[mine / "more", mine / "d.tif"])
    translate_files(trained, wanted, out, silent)
    assert written(out) == ["a-1.png", "a-2.png", "b-1.png", "b-2.png", CONTACT_SHEET]
    sheet = np.asarray(Image.open(out / CONTACT_SHEET))[::2, ::2]
    assert (sheet[:34, :36] == 255).all()
    assert np.array_equal(sheet[2:34, 36:68], np.asarray(Image.open(mine / "more" / "c.gif").convert("RGB")))
    assert np.array_equal(sheet[36:68, 70:102], np.asarray(Image.open(out / "a-2.png")))


def test_the_images_on_the_way_are_written_too(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    translate_files(loaded("unsb"), Wanted([mine / "a.jpg"], steps=True), out, silent)
    steps = [name for name in written(out) if ".step-" in name]
    assert steps == [f"a.step-{number}.png" for number in range(1, len(steps) + 1)] and steps
    assert {*written(out)} - {*steps} == {"a.png", CONTACT_SHEET}


@pytest.mark.parametrize("bad", ["damaged", "there"])
def test_where_one_image_is_wrong_nothing_is_written(bad: str, mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if bad == "damaged":
        (mine / "z.png").write_bytes(b"no image")
    else:
        out.mkdir()
        (out / "b.png").write_bytes(b"mine")
    before = written(out) if out.exists() else None
    with pytest.raises(bench.UserError, match=r"cannot decode the image .*z.png" if bad == "damaged" else "is there"):
        translate_files(loaded(), Wanted([mine]), out, silent)
    assert (written(out) if out.exists() else None) == before


@pytest.mark.parametrize("in_the_way", ["a file where a folder is wanted", "a link that leads nowhere"])
def test_nothing_is_written_where_something_is_in_the_way(in_the_way: str, mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if in_the_way.startswith("a file"):
        (out / "more").write_bytes(b"mine")
    else:
        (out / "b.png").symlink_to("nowhere")
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(bench.UserError, match="is there already; choose another --out"):
        translate_files(loaded(), Wanted([mine]), out, silent)
    assert sorted(path.name for path in out.iterdir()) == before


def test_files_that_have_moved_go_again_where_a_later_one_cannot(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), placed(tmp_path / "out", ["a.png", "b.png"]) as part:
        (part / "a.png").write_bytes(b"whole")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("per_image", [-1, 0, 10**9])
def test_a_number_of_translations_that_makes_no_sense(per_image: int, mine: Path, tmp_path: Path) -> None:
    with pytest.raises(bench.UserError, match=f"--per-image {per_image}: at least 1 and at most 1000"):
        translate_files(loaded("munit", guide="noise"), Wanted([mine], per_image=per_image), tmp_path / "out", silent)


def test_names_that_would_be_the_same_keep_their_endings() -> None:
    assert stems(["a.jpg", "a.png", "b.PNG", "c. 5", "contact-sheet.jpg"]) == [
        "a.jpg", "a.png", "b", "c. 5", "contact-sheet.jpg",
    ]  # fmt: skip


def test_all_held_out_translations_are_read_back_as_another_programs(tmp_path: Path) -> None:
    run = tiny_run("cyclegan")
    write_held_out("cyclegan", RESULTS, tmp_path / "out")
    assert np.array_equal(read_outputs(tmp_path / "out", load_task("ink", 20, 32)), run.translations())
    with pytest.raises(bench.UserError, match="is there already; choose another --images"):
        write_held_out("cyclegan", RESULTS, tmp_path / "out")


def bench_command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_command_takes_several_images_and_says_where_they_are(mine: Path, tmp_path: Path) -> None:
    run = tiny_run("cyclegan").folder
    done = bench_command(
        tmp_path, "translate", str(run), "--images", "mine/a.jpg", "mine/b.webp", "--out", ".", "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"2 images of 32x32 in ., all in {CONTACT_SHEET}\n"
    assert {"a.png", "b.png", CONTACT_SHEET} <= set(written(tmp_path))
    wrong = bench_command(tmp_path, "translate", str(run), "--images", "nowhere", "--out", "out", "--device", "cpu")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: there is no image or folder nowhere")
    assert not (tmp_path / "out").exists()
