"""Own folders and the layout of the animal faces."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from bench.core import registry
from bench.core.errors import UserError
from bench.data.find import make
from bench.data.scan import index
from bench.data.task import load_task


def draw(root: Path, *names: str, side: int = 32) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (i % 256, 0, 99)).save(root / name)
    return root


def test_plain_folders_hold_out_a_fifth_by_hash(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(10)]
    draw(tmp_path, *(f"{domain}/{name}" for domain in ("source", "target") for name in names))
    task = load_task(f"folder:{tmp_path}", 8, 32)
    order = sorted(names, key=lambda name: hashlib.sha256(f"folder\nheld out\n{name}".encode()).hexdigest())
    assert set(task.source_test.ids) == set(task.target_test.ids) == set(order[:2])
    assert set(task.source_train.ids) == set(task.target_train.ids) == set(order[2:])
    assert task.label_names == ()
    assert (task.target_train.labels == -1).all()
    assert task.dataset == f"folder:{tmp_path}"


def test_classes_and_splits_come_from_the_folders(tmp_path: Path) -> None:
    draw(
        tmp_path,
        *("source/train/cat/1.png", "source/train/dog/1.png", "source/test/cat/2.png"),
        *("target/train/1.png", "target/test/2.png"),
    )
    dataset = make(f"folder:{tmp_path}")
    facts = {(item.id, item.split, item.label) for item in dataset.scan(tmp_path) if item.domain == "source"}
    assert facts == {
        ("train/cat/1.png", "train", "cat"),
        ("train/dog/1.png", "train", "dog"),
        ("test/cat/2.png", "test", "cat"),
    }
    task = load_task(f"folder:{tmp_path}", 1, 32)
    assert task.label_names == ("cat", "dog")
    assert task.source_train.labels.tolist() == [0, 1]
    assert task.target_train.labels.tolist() == [-1]
    assert task.source_test.ids == ["test/cat/2.png"]


def test_the_place_of_the_folder_does_not_change_the_task(tmp_path: Path) -> None:
    names = [f"{domain}/{i}.png" for domain in ("source", "target") for i in range(9)]
    tasks = [load_task(f"folder:{draw(tmp_path / place, *names)}", 3, 16) for place in ("here", "there")]
    assert tasks[0].subset_sha256 == tasks[1].subset_sha256
    assert tasks[0].manifest_sha256 == tasks[1].manifest_sha256


def test_small_images_are_named_with_the_option(tmp_path: Path) -> None:
    draw(tmp_path, "source/a.png", "source/b.png", "target/a.png", "target/b.png", side=20)
    with pytest.raises(UserError, match=r"[ab]\.png is 20x20, smaller than 256x256; .*--resolution 20"):
        load_task(f"folder:{tmp_path}", 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "there is no folder .*/source; folder:DIR needs"),
        (["source/a.png", "source/b.png"], "there is no folder .*/target"),
        (["source/train/a.png", "source/b.png", "target/a.png"], "holds b.png beside train/"),
        (["source/a.png", "target/a.png", "target/b.png"], "domain source has 1 images to train on and 0"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, names: list[str], message: str) -> None:
    draw(tmp_path, *names)
    with pytest.raises(UserError, match=message):
        load_task(f"folder:{tmp_path}", 1, 32)


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "readme.txt").touch()
    with pytest.raises(UserError, match=r"no images in .*/source; put images there \(\.png"):
        load_task(f"folder:{tmp_path}", 1, 32)


@pytest.mark.parametrize("name", ["folder", "folder:"])
def test_folder_without_a_path(name: str) -> None:
    with pytest.raises(UserError, match="needs a path: --dataset folder:DIR"):
        make(name)


def faces(root: Path, dogs: int = 16, wolves: int = 3) -> Path:
    names = [
        f"{d}/breed-{b:02}/{i}.png" for d, n in (("dog", dogs), ("wolf", wolves)) for b in range(n) for i in range(5)
    ]
    return draw(root, *names)


def test_a_name_with_a_zero_byte_is_one_line() -> None:
    with pytest.raises(UserError, match="holds a zero byte"):
        make("folder:a\0b")


def test_animal_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make("afd")
    items = index(dataset, faces(tmp_path))
    assert Counter((item.domain, item.split) for item in items) == {
        ("dog", "train"): 64,  # fewer than the paper's: a fifth is held out
        ("dog", "test"): 16,
        ("wolf", "train"): 12,
        ("wolf", "test"): 3,
    }
    assert {item.label for item in items if item.domain == "wolf"} == {"breed-00", "breed-01", "breed-02"}


def test_animal_faces_train_on_the_papers_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.find("datasets", "afd").facts["train_sizes"] == {"dog": 10_000, "wolf": 1_000}
    dataset = make("afd")
    monkeypatch.setattr(type(dataset), "train_sizes", {"dog": 40, "wolf": 10})
    counts = Counter((item.domain, item.split) for item in index(dataset, faces(tmp_path)))
    assert counts == {("dog", "train"): 40, ("dog", "test"): 40, ("wolf", "train"): 10, ("wolf", "test"): 5}


def test_animal_faces_without_wolves(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*wolf; afd needs face crops by breed"):
        make("afd").scan(faces(tmp_path, wolves=0))


def test_animal_faces_with_a_missing_breed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dog must hold 16 folders of images, not 15: mend it"):
        make("afd").scan(faces(tmp_path, dogs=15))
