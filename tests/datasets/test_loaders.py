"""The data sets of the papers on miniature trees: counts, splits and pairs, and every promise of the contract."""

from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from trees import TREES

from bench.core import registry
from bench.core.errors import UserError
from bench.data.bank import prepare
from bench.data.dataset import Dataset, Item
from bench.data.find import make
from bench.data.scan import index
from bench.data.task import subset_order

COLOURS = ("green", "yellow", "blue", "orange", "black", "brown", "grey", "pink", "purple", "red", "white")
# Domain -> (training, held-out) images, counted by hand from the trees.
COUNTS: dict[str, dict[str, tuple[int, int] | None]] = {
    "afd": {"dog": (64, 16), "wolf": (12, 3)},  # 80 and 15 faces, a fifth held out
    "afhq": {"dog": (4, 2), "cat": (5, 2), "wild": (3, 2)},
    "celeba": {"woman": (8, 2), "man": (8, 2)},  # 1-16 train, 21-24 test, the four of val are left out
    "stanford_cars": {"car": (6, 2), "red_car": (5, 1)},  # two of 16 are neither
    "srmnist:full": {"mnist": (200, 50), "srmnist": (360, 90)},  # 20 (5) a class; each zero nine times
    "mnist_svhn": {"mnist": (400, 100), "svhn": (30, 10)},
    "edges_shoes_bags": {"edges": (30, 15), "photo": (20, 10)},  # 18 shoes and 2 bags; 9 and 1
    "celeba_portraits": {"face": (8, 2), "portrait": (4, 1)},
    "animal_faces": {"seen": (39, 5), "unseen": (20, 2)},  # 4 and 2 classes of 11 faces on 10 photographs
    "birds": {"seen": (72, 8), "unseen": (18, 2)},
    "foods": {"seen": None, "unseen": None},  # which of the eight classes is unseen is drawn; see below
    "cat2dog": {"cat": (4, 2), "dog": (5, 2)},
    "color": dict.fromkeys(COLOURS, (4, 1)),
    "artworks": {"photo": (5, 2), "monet": (4, 1), "vangogh": (3, 1), "ukiyoe": (3, 1), "cezanne": (3, 1)},
    "flowers_opponent": {"theta2": None, "rgb": None, "theta1": (52, 28)},  # halves are drawn; see below
    "scenenet_rgbd": {"depth": None, "segmentation": None, "rgb": (12, 4)},
    "sun_rgbd": {"depth": (8, 4), "segmentation": (8, 4), "rgb": (16, 4)},
    "freiburg_forest": {"depth": (5, 3), "segmentation": (5, 3), "rgb": (10, 3), "nir": (5, 3)},
    "biased_makeup": {"nomakeup": (22, 2), "makeup": (18, 2)},
    "morph": {"young": None, "old": None},
    "cityscapes_synthia": {"cityscapes": (10, 2), "synthia": (9, 2)},
    "biased_handbags": {"source": (10, 2), "target": (18, 6)},
}


@cache
def scanned(name: str) -> tuple[Dataset, Path, list[Item]]:
    root = TREES[name](Path(mkdtemp(prefix=name.split(":")[0])))
    dataset = make(name)
    return dataset, root, index(dataset, root)


def test_every_data_set_of_the_papers_has_a_tree() -> None:
    entries = registry.entries("datasets")
    ships = {name for name, entry in entries.items() if name != "folder" and entry.load()().embedded()} | {"folder"}
    assert {name.split(":")[0] for name in TREES} | ships == set(entries)
    assert COUNTS.keys() == TREES.keys()


@pytest.mark.parametrize("name", TREES)
class TestMiniature:
    def test_counts(self, name: str) -> None:
        _, _, items = scanned(name)
        counts = Counter((item.domain, item.split) for item in items)
        assert {item.domain for item in items} == COUNTS[name].keys()
        for domain, expected in COUNTS[name].items():
            assert counts[domain, "train"] > 0
            assert counts[domain, "test"] > 0
            if expected is not None:
                assert (counts[domain, "train"], counts[domain, "test"]) == expected

    def test_says_what_it_is(self, name: str) -> None:
        facts = registry.find("datasets", name).facts
        for fact in ("name", "domains", "resolution", "homepage", "license", "layout", "paper", "compare", "protocol"):
            assert facts[fact]

    def test_no_image_is_in_both_splits(self, name: str) -> None:
        dataset, root, items = scanned(name)
        train, test = (
            {(item.domain, dataset.content(root, item)) for item in items if item.split == split}
            for split in ("train", "test")
        )
        assert not {(domain, content) for domain, content in train & test if content is not None}

    def test_pairs_are_one_to_one_and_of_one_split(self, name: str) -> None:
        _, _, items = scanned(name)
        paired = [item for item in items if item.pair is not None]
        assert len({(item.domain, item.pair) for item in paired}) == len(paired)
        splits: dict[str | None, set[str]] = {}
        for item in paired:
            splits.setdefault(item.pair, set()).add(item.split)
        assert all(len(split) == 1 for split in splits.values())

    def test_load_gives_uint8_squares(self, name: str) -> None:
        dataset, root, items = scanned(name)
        for item in {item.domain: item for item in items}.values():
            for resolution in (dataset.resolution, 16):
                image = dataset.load(root, item, resolution)
                assert image.shape == (3, resolution, resolution)
                assert image.dtype == np.uint8
                assert image.std() > 0

    def test_bank_does_not_depend_on_the_order_or_place(self, name: str, tmp_path: Path) -> None:
        dataset, root, _ = scanned(name)
        first = prepare(dataset, root, 8)
        other = TREES[name](tmp_path / "some where else")
        plain = type(dataset).scan

        class Shuffled(type(dataset)):  # type: ignore[misc]
            def scan(self, root: Path) -> list[Item]:
                items = plain(self, root)
                np.random.default_rng(5).shuffle(items)
                return items

        again = prepare(Shuffled(make(name).argument), other, 8)
        assert again.folder != first.folder
        assert again.manifest == first.manifest
        order = subset_order(again, dataset.task[1], 1)
        assert [again.ids[row] for row in order] == [first.ids[row] for row in subset_order(first, dataset.task[1], 1)]

    def test_an_empty_folder_is_one_line(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(UserError) as error:
            make(name).scan(tmp_path)
        assert "\n" not in str(error.value)
        assert str(tmp_path) in str(error.value)


def test_tasks_after_the_colon_share_a_bank() -> None:
    assert make("afhq:cat-wild").task == ("cat", "wild")
    assert make("afhq:cat-wild").variant == make("afhq").variant
    assert make("artworks:photo-cezanne").task == ("photo", "cezanne")
    assert make("color:red-blue").task == ("red", "blue")
    with pytest.raises(UserError, match="no task 'dog-bird'"):
        make("afhq:dog-bird")
