"""The task of a run: who trains, who is held out, and where the data are found."""

import csv
import hashlib
import io
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.find import find_bank, make, prepare_from
from bench.data.task import load_task

ARCHIVE = Path(__file__).parents[2] / "datasets" / "embedded" / "emoji64.zip"
EMOJI_125 = "55fe72cd2fd8dc90bb5f908a362d581a7087ac3d59478e58471b9bb7f86955b8"


def emoji_subset(size: int, seed: int) -> list[str]:
    """The first `size` training images in the order of sha256(data set, seed, image id), from index.csv alone."""
    rows = csv.DictReader(io.StringIO(ZipFile(ARCHIVE).read("index.csv").decode()))
    train = [row["codepoints"] for row in rows if row["split"] == "train"]
    return sorted(train, key=lambda name: hashlib.sha256(f"emoji\n{seed}\n{name}".encode()).digest())[:size]


def test_subset_of_emoji_is_what_the_index_says() -> None:
    task = load_task("emoji", 125, 32)
    assert task.target_train.ids == emoji_subset(125, 0)
    lines = "\n".join(emoji_subset(125, 0)) + "\n"
    assert hashlib.sha256(lines.encode()).hexdigest() == EMOJI_125
    assert task.subset_sha256 == EMOJI_125


def test_subset_seed_gives_another_subset() -> None:
    task = load_task("emoji", 50, 32, subset_seed=3)
    assert task.target_train.ids == emoji_subset(50, 3) != emoji_subset(50, 0)
    assert task.subset_sha256 != load_task("emoji", 50, 32).subset_sha256


def test_subsets_are_nested() -> None:
    small, large = (load_task("srmnist", size, 16).target_train.ids for size in (125, 250))
    assert large[:125] == small
    assert len(set(large)) == 250


def test_held_out_images_are_never_trained_on() -> None:
    task = load_task("emoji", 1524, 32)
    for train, test, domain in (
        (task.source_train, task.source_test, "twemoji"),
        (task.target_train, task.target_test, "noto"),
    ):
        assert (len(train), len(test)) == (1524, 382)
        assert not set(train.rows) & set(test.rows)
        assert {train.bank.domains[row] for row in (*train.rows, *test.rows)} == {domain}


def test_truth_is_the_same_code_point_in_the_other_style() -> None:
    task = load_task("emoji", 20, 32)
    assert [task.target_test.ids[i] for i in task.truth] == task.source_test.ids
    assert (load_task("srmnist", 20, 16).truth == -1).all()


def test_images_and_labels_of_a_domain() -> None:
    target = load_task("emoji", 20, 32).target_train
    assert target.images().shape == (20, 3, 32, 32)
    picked = target.images([4, 4, 0])
    assert (picked[0] == picked[1]).all()
    name = next(n for n in ZipFile(ARCHIVE).namelist() if n.startswith("noto") and Path(n).stem == target.ids[4])
    decoded = Image.open(io.BytesIO(ZipFile(ARCHIVE).read(name))).resize((32, 32), Image.Resampling.BICUBIC)
    assert (picked[0].transpose(1, 2, 0) == np.asarray(decoded)).all()
    assert load_task("emoji", 20, 32).label_names[target.labels[4]] == name.split("/")[2]
    picked[:] = 0  # a batch is a copy; the bank on disk is read-only


@pytest.mark.parametrize("size", [0, -5, 1525])
def test_impossible_target_size_names_the_largest(size: int) -> None:
    with pytest.raises(UserError, match=rf"--target-size {size} .*1524 training images.*noto.*1 to 1524"):
        load_task("emoji", size, 32)


@pytest.mark.parametrize("resolution", [0, -1, 65])
def test_resolution_that_is_not_offered(resolution: int) -> None:
    with pytest.raises(UserError, match=f"--resolution {resolution} must be between 1 and 64"):
        load_task("emoji", 20, resolution)


def test_without_a_resolution_it_is_the_data_sets_own() -> None:
    assert load_task("sr-mnist", 20).resolution == 32


def test_unknown_name_and_needless_argument() -> None:
    with pytest.raises(UserError, match="did you mean 'emoji'"):
        load_task("emojis", 20)
    with pytest.raises(UserError, match=r"emoji has no task .large.; write emoji or emoji:SOURCE-TARGET"):
        load_task("emoji:large", 20)


def test_missing_data_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_task("afd", 125)
    line = str(caught.value)
    assert "\n" not in line
    assert "data of afd are missing" in line
    assert "https://github.com/NVlabs/FUNIT" in line
    assert "wolf/<3 breeds>" in line
    assert line.endswith("python -m bench data prepare afd --from DIR")


def animal_faces(root: Path) -> Path:
    for domain, breeds in (("dog", 16), ("wolf", 3)):
        for breed in range(breeds):
            (root / domain / f"breed-{breed:02}").mkdir(parents=True)
            for i in range(5):
                Image.new("RGB", (40, 50), (breed, i, 0)).save(root / domain / f"breed-{breed:02}" / f"{i}.png")
    return root


def test_prepared_once_it_is_found_again_even_without_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    root = animal_faces(tmp_path / "faces")
    dataset = make("afd")
    first = prepare_from(dataset, root, 16)
    assert load_task("afd", 5, 16).target_train.bank.folder == first.folder
    assert load_task("afd", 5, 8).resolution == 8  # the folder is remembered, not only the bank

    Image.new("RGB", (40, 50), "white").save(root / "wolf" / "breed-00" / "new.png")
    assert len(find_bank(dataset, 16).ids) == len(first.ids) + 1  # nothing stale

    shutil.rmtree(root)
    assert find_bank(dataset, 16).folder == first.folder
    with pytest.raises(UserError, match="prepare afd --from DIR --resolution 32"):
        find_bank(dataset, 32)


def test_files_in_the_data_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path))
    animal_faces(tmp_path / "afd")
    assert load_task("animal-faces", 5, 16).dataset == "afd"


def test_prepare_from_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nowhere; --from names the folder"):
        prepare_from(make("afd"), tmp_path / "nowhere")
    with pytest.raises(UserError, match="leave out --from"):
        prepare_from(make("emoji"), tmp_path)


def test_loading_a_task_imports_no_torch() -> None:
    program = (
        "import sys; from bench.data.task import load_task; load_task('emoji', 20, 32); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("name", "mirror"), [("digits8", False), ("srmnist", False), ("emoji", False), ("ink", False)])
def test_whether_images_may_be_mirrored_is_a_fact_of_the_data_set(name: str, mirror: bool) -> None:
    assert load_task(name, 20, 8).mirror is mirror
