"""What a bank takes from a folder: splits, capped sizes, copies, links, odd names, attributes, kinds of content."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.bank import prepare
from bench.data.dataset import Dataset, Item
from bench.data.find import find_bank, make, prepare_from
from bench.data.modality import depth_image, depth_metres, label_ids, label_image
from bench.data.scan import index
from bench.data.task import load_task


class Listed(Dataset):
    """Two domains whose items a test writes down."""

    name = "listed"
    domains = ("old", "new", "newest")
    resolution = 8
    homepage = license = layout = "-"

    def __init__(self, items: Sequence[Item], argument: str | None = None) -> None:
        super().__init__(argument)
        self.items = list(items)

    def scan(self, root: Path) -> list[Item]:
        return list(self.items)


def listed(counts: dict[str, tuple[int, int]]) -> list[Item]:
    """So many training and test images of each domain."""
    return [
        Item(f"{split}-{i}", domain, split, None, f"{domain}/{split}-{i}.png")
        for domain, numbers in counts.items()
        for split, n in zip(("train", "test"), numbers)
        for i in range(n)
    ]


def parts(items: list[Item], domain: str) -> tuple[set[str], set[str]]:
    return tuple({i.id for i in items if (i.domain, i.split) == (domain, s)} for s in ("train", "test"))  # type: ignore


def by_hash(purpose: str, ids: list[str]) -> list[str]:
    return sorted(ids, key=lambda id: hashlib.sha256(f"listed\n{purpose}\n{id}".encode()).hexdigest())


def test_capped_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listed, "train_sizes", {"old": 20, "new": 20, "newest": 20})
    data = Listed(listed({"old": (30, 5), "new": (30, 0), "newest": (22, 0)}))
    items = index(data, tmp_path)
    names = [f"train-{i}" for i in range(30)]
    train, test = parts(items, "old")  # it has a test part: the surplus is left out
    assert train == set(by_hash("trained on", names)[:20])
    assert test == {f"test-{i}" for i in range(5)}
    train, test = parts(items, "new")  # it has none: the surplus is held out
    assert test == set(by_hash("held out", names)[:10])
    assert train == set(names) - test
    train, test = parts(items, "newest")  # a surplus of two is less than a quarter of the cap: a fifth is held out
    assert (len(train), len(test)) == (18, 4)


def test_a_cap_that_is_larger_than_the_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listed, "train_sizes", {"old": 100, "new": 100})
    items = index(Listed(listed({"old": (10, 5), "new": (10, 0), "newest": (1, 1)})), tmp_path)
    assert [len(part) for part in parts(items, "old")] == [10, 5]
    assert [len(part) for part in parts(items, "new")] == [8, 2]


def test_tasks_after_the_colon() -> None:
    items = listed({"old": (1, 1)})
    assert Listed(items).task == ("old", "new")
    assert Listed(items, "newest-old").task == ("newest", "old")
    assert Listed(items, "old-new").argument is None  # the default by another name
    for wrong in ("old", "old-", "old-old", "old-newer", ""):
        with pytest.raises(UserError, match="listed:SOURCE-TARGET with two of old, new, newest"):
            Listed(items, wrong)


def test_a_task_the_other_way_round_has_the_same_bank_and_its_own_target() -> None:
    forth, back = load_task("emoji", 20, 32), load_task("emoji:noto-twemoji", 20, 32)
    assert (back.source_train.name, back.target_train.name) == ("noto", "twemoji")
    assert back.target_train.bank.folder == forth.target_train.bank.folder
    assert back.target_train.ids == forth.target_train.ids  # the order is by data set, seed and id
    assert (forth.dataset, back.dataset) == ("emoji", "emoji:noto-twemoji")


def folder_data(root: Path, names: Sequence[str] = tuple("abcdefghij")) -> Path:
    """source/ and target/ with train/ and test/; every image has its own colour."""
    colour = 0
    for domain in ("source", "target"):
        for split in ("train", "test"):
            (root / domain / split).mkdir(parents=True)
            for name in names:
                colour += 1
                Image.new("RGB", (8, 8), (colour, 0, 0)).save(root / domain / split / f"{name}.png")
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path / "cache" / "data"))
    return folder_data(tmp_path / "pictures")


def test_copies_of_held_out_images_do_not_train(root: Path) -> None:
    target = root / "target"
    shutil.copy(target / "test" / "c.png", target / "train" / "a.png")
    shutil.copy(target / "test" / "c.png", target / "train" / "copy.png")
    shutil.copy(target / "train" / "d.png", target / "train" / "twice.png")  # both train: no harm done
    shutil.copy(target / "test" / "e.png", root / "source" / "train" / "e.png")  # another domain
    said = []
    bank = find_bank(make(f"folder:{root}"), 8, lambda *line: said.append(line))
    names = {(bank.domains[i], bank.ids[i]) for i in range(len(bank.ids))}
    assert not names & {("target", "train/a.png"), ("target", "train/copy.png")}
    assert {("target", "test/c.png"), ("target", "train/twice.png"), ("source", "train/e.png")} <= names
    assert len(names) == 40
    assert bank.manifest["copies_left_out"] == [
        ["target", "train/a.png", "test/c.png"],
        ["target", "train/copy.png", "test/c.png"],
    ]
    assert any("copies of held-out ones" in stage and "target/train/a.png" in stage for stage, *_ in said)
    assert len(bank.rows("target", "train")) == bank.manifest["counts"]["target"]["train"]["-"] == 10


def test_nothing_but_copies_to_train_on(root: Path) -> None:
    shutil.rmtree(root / "target" / "train")
    shutil.copytree(root / "target" / "test", root / "target" / "train")
    with pytest.raises(UserError, match="every training image of the domain target is a copy"):
        find_bank(make(f"folder:{root}"), 8)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_that_leave_the_folder(root: Path, tmp_path: Path, what: str) -> None:
    outside = folder_data(tmp_path / "outside")
    link = root / "target" / "train" / ("z.png" if what == "file" else "more")
    link.symlink_to(outside / "source" / "train" / ("a.png" if what == "file" else ""))
    with pytest.raises(UserError, match=rf"{link} leads out of {root} by a symbolic link, to {outside}"):
        find_bank(make(f"folder:{root}"), 8)


def test_links_that_stay_inside_and_a_root_that_is_a_link(root: Path, tmp_path: Path) -> None:
    (root / "target" / "train" / "z.png").symlink_to(root / "target" / "train" / "a.png")
    (tmp_path / "link").symlink_to(root)
    assert len(find_bank(make(f"folder:{tmp_path / 'link'}"), 8).ids) == 41


def test_a_link_to_its_own_folder_ends(root: Path) -> None:
    (root / "target" / "train" / "again").symlink_to(root / "target" / "train")
    assert len(find_bank(make(f"folder:{root}"), 8).ids) == 40


ODD = [
    "two words",
    "it's",
    'a "quote"',
    "<b>&amp;",
    "größe",
    "日本",
    "🐺\u200d",
    "-rf",
    "$(x)",
    "a;b",
    "%s",
    "[red]",
    "~",
]


def test_odd_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    root = folder_data(tmp_path / 'odd "root" <i> ü', ODD)
    task = load_task(f"folder:{root}", len(ODD), 8)
    assert sorted(task.target_train.ids) == sorted(f"train/{name}.png" for name in ODD)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\rb", "a\x9bb"])
def test_control_characters_in_a_file_name(root: Path, name: str) -> None:
    Image.new("RGB", (8, 8)).save(root / "target" / "train" / f"{name}.png")
    with pytest.raises(UserError, match="control characters") as caught:
        find_bank(make(f"folder:{root}"), 8)
    assert str(caught.value).isprintable()


class Scene(Dataset):
    """Depth and label maps of a room, and what is in it."""

    name = "scene"
    domains = ("depth", "segmentation")
    labels = ("room",)
    attributes = ("chair", "table", "lamp")
    kinds = {"depth": "depth", "segmentation": "labels"}
    far = 20.0
    resolution = 8
    homepage = license = layout = "-"

    def scan(self, root: Path) -> list[Item]:
        return [
            Item(f"{i}", domain, "test" if i == 3 else "train", "room", "room", f"{i}", ("chair", "lamp")[: i % 3])
            for i in range(4)
            for domain in self.domains
        ]

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        if item.domain == "depth":
            return depth_image(np.full((resolution, resolution), float(item.id)), self.far)
        return label_image(np.full((resolution, resolution), 40 + int(item.id)))


def test_attributes_and_kinds_are_in_the_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "room").mkdir()
    bank = prepare(Scene(), tmp_path, 8)
    assert bank.manifest["attributes"] == ["chair", "table", "lamp"]
    assert bank.attributes is not None
    has = {0: [0, 0, 0], 1: [1, 0, 0], 2: [1, 0, 1], 3: [0, 0, 0]}
    assert bank.attributes.tolist() == [has[int(name)] for name in bank.ids]
    assert bank.content_sha256() == bank.manifest["content_sha256"]
    assert (bank.manifest["kinds"], bank.manifest["far"]) == (Scene.kinds, 20.0)
    rows = bank.rows("segmentation", "train")
    assert label_ids(bank.images[rows])[:, 0, 0].tolist() == [40, 41, 42]
    rows = bank.rows("depth", "train")
    assert depth_metres(bank.images[rows], 20.0)[:, 0, 0] == pytest.approx([0, 1, 2], rel=0.007)


def test_attribute_that_the_data_set_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scene, "attributes", ("chair",))
    with pytest.raises(UserError, match="unknown attribute of room: 'lamp'"):
        index(Scene(), tmp_path)


def test_an_image_has_at_most_one_hidden_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scene, "hidden", ("chair", "lamp"))
    with pytest.raises(UserError, match="room has two hidden labels, chair and lamp; an image has at most one"):
        index(Scene(), tmp_path)


class Boxed(Dataset):
    """A data set that comes in two archives: source.zip and target.tar.gz."""

    name = "boxed"
    domains = ("source", "target")
    resolution = 8
    homepage = license = "-"
    layout = "source/ and target/"

    def scan(self, root: Path) -> list[Item]:
        found = sorted(root.glob("*/*/*.png"))
        if {file.parts[-3] for file in found} != {"source", "target"}:
            raise UserError(f"{root} needs {self.layout}")
        return [
            Item("/".join(f.parts[-2:]), f.parts[-3], f.parts[-2], None, f.relative_to(root).as_posix()) for f in found
        ]


def packed(root: Path, parent: str, *folders: str) -> list[Path]:
    """One archive a folder, whose members begin with `parent`."""
    archives = []
    for number, folder in enumerate(folders):
        stage = root.parent / f"stage{number}"
        shutil.copytree(root / folder, stage / parent / folder)
        kind = ("zip", "gztar")[number % 2]
        archives.append(Path(shutil.make_archive(str(root.parent / f"official{number}"), kind, stage)))
    return archives


@pytest.mark.parametrize("parent", ["", "boxed-v1"])
def test_from_archives(root: Path, parent: str) -> None:
    archives = packed(root, parent, "source", "target")
    bank = prepare_from(Boxed(), archives, 8)
    assert bank.manifest == prepare(Boxed(), root, 8).manifest
    place = Path(os.environ["I2I_BENCH_DATA"]) / "boxed" / parent
    before = (place / "source" / "train" / "a.png").stat().st_mtime_ns
    assert prepare_from(Boxed(), archives[::-1], 8).folder == bank.folder  # not unpacked again
    assert (place / "source" / "train" / "a.png").stat().st_mtime_ns == before
    for archive in archives:
        archive.unlink()
    assert find_bank(Boxed(), 4).images.shape == (40, 3, 4, 4)  # the unpacked files are remembered


def test_an_archive_short_then_both(root: Path) -> None:
    archives = packed(root, "", "source", "target")
    with pytest.raises(UserError, match="boxed needs source/ and target/"):
        prepare_from(Boxed(), archives[:1], 8)
    assert len(prepare_from(Boxed(), archives, 8).ids) == 40


def test_unpacking_never_replaces_what_somebody_put_there(root: Path) -> None:
    mine = folder_data(Path(os.environ["I2I_BENCH_DATA"]) / "boxed")
    with pytest.raises(UserError, match="boxed is there already: leave out --from to use it"):
        prepare_from(Boxed(), packed(root, "", "source", "target"), 8)
    assert len(list(mine.rglob("*.png"))) == 40


@pytest.mark.parametrize("bad", ["text", "half", "folder and archive"])
def test_from_something_else(root: Path, bad: str) -> None:
    archives: list[Any] = packed(root, "", "source", "target")
    if bad == "text":
        archives[0].write_text("not found")
    elif bad == "half":
        archives[0].write_bytes(archives[0].read_bytes()[:500])
    else:
        archives[0] = root
    with pytest.raises(UserError, match=rf"{archives[0]} is no whole \.zip or \.tar archive"):
        prepare_from(Boxed(), archives, 8)
    assert not (Path(os.environ["I2I_BENCH_DATA"]) / "boxed").exists()


@pytest.mark.parametrize("n_test", [0, 5])
def test_images_for_the_classifiers_are_neither_trained_on_nor_held_out(n_test: int, tmp_path: Path) -> None:
    counts = {"old": (30, n_test), "new": (30, n_test), "newest": (30, n_test)}
    kept = [Item(f"a-judge-{i}", "old", "judge", None, f"old/judge-{i}.png") for i in range(7)]
    plain, with_judge = (index(Listed([*listed(counts), *more]), tmp_path) for more in ([], kept))
    assert [item for item in with_judge if item.split != "judge"] == plain
    assert {item.id for item in with_judge if item.split == "judge"} == {item.id for item in kept}
