"""`ink`, `styles` and `fashion` against their archives read with other means: counts, truth, hidden labels."""

import csv
import importlib.util
import io
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from bench.data.bank import index
from bench.data.dataset import Item
from bench.data.find import make
from bench.data.task import TaskData, load_task
from bench.runs.measure import reference_of

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "datasets" / "embedded"
STYLES = ZipFile(EMBEDDED / "styles64.zip")
ROWS = list(csv.DictReader(io.StringIO(STYLES.read("index.csv").decode())))
FASHION = np.load(EMBEDDED / "fashion28.npz")


@cache
def items_of(name: str) -> list[Item]:
    dataset = make(name)
    root = dataset.embedded()
    assert root is not None
    return index(dataset, root)


@cache
def task(name: str) -> TaskData:
    return load_task(name, 25, 32)


def png(file: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(STYLES.read(file))).convert("RGB"))


def test_ink_has_all_emoji_of_two_styles() -> None:
    counts = Counter((item.domain, item.split) for item in items_of("ink"))
    held_out = sum(row["split"] == "test" for row in ROWS)
    assert (len(ROWS), held_out) == (1554, 317)
    assert counts == {(d, s): n for d in ("flat", "ink") for s, n in (("train", 1237), ("test", 317))}
    assert {item.file for item in items_of("ink")} == {
        f"{d}/{row['split']}/{row['category']}/{row['name']}.png" for row in ROWS for d in ("flat", "ink")
    }


@pytest.mark.parametrize("name", ["ink", "styles"])
def test_truth_of_an_emoji_is_its_ink_drawing(name: str) -> None:
    data = load_task(name, 25, 64)
    assert (data.truth >= 0).all()
    for i in range(0, len(data.source_test), 97):
        emoji = data.source_test.ids[i].split("/")[0]
        label = data.label_names[data.source_test.labels[i]]
        truth = data.target_test.images([data.truth[i]])[0]
        assert (truth.transpose(1, 2, 0) == png(f"ink/test/{label}/{emoji}.png")).all()


def test_training_images_equal_to_held_out_ones_are_left_out() -> None:
    """Counted here by comparing all pixels; a hand that points right is drawn like one that points left."""
    copies = []
    for style in ("flat", "ink"):
        pixels = {
            f"{row['split']} {row['name']}": png(
                f"{style}/{row['split']}/{row['category']}/{row['name']}.png"
            ).tobytes()
            for row in ROWS
        }
        held_out = {content for name, content in pixels.items() if name.startswith("test ")}
        copies += [(style, n.split()[1]) for n, content in pixels.items() if n[:6] == "train " and content in held_out]
    assert len(copies) == 6
    data = task("ink")
    left_out = data.source_train.bank.manifest["copies_left_out"]
    assert sorted((domain, name) for domain, name, _ in left_out) == sorted(copies)
    assert len(data.source_train) == 1237 - 1
    assert data.source_train.bank.manifest["counts"]["ink"]["train"] != {}
    assert sum(data.source_train.bank.manifest["counts"]["ink"]["train"].values()) == 1237 - 5


def test_training_pairs_of_ink_are_found_by_name() -> None:
    data = load_task("ink", 1000, 32)
    partner = data.source_train.matches(data.target_train)
    ids = data.source_train.ids
    known = np.flatnonzero(partner >= 0)
    assert len(known) >= 999  # all but the flat emoji that is left out as a copy
    assert all(ids[partner[i]] == data.target_train.ids[i] for i in known)


def test_styles_has_each_emoji_in_four_styles_and_says_which_by_a_hidden_label() -> None:
    data = task("styles")
    assert (len(data.source_test), len(data.target_test)) == (4 * 317, 317)
    assert len(data.source_train) == 4 * 1237 - 2  # two copies
    bank = data.source_train.bank
    files = bank.files
    for domain in (data.source_train, data.source_test):
        names = [bank.manifest["hidden"][i] for i in domain.hidden]
        assert names == [name.split("/")[1] for name in domain.ids]
        assert [files[row].split("/")[0] for row in domain.rows] == names
    assert (data.target_train.hidden == -1).all()
    assert sorted(data.label_names) == sorted({row["category"] for row in ROWS}), "no class is called after a style"


def test_told_styles_are_the_labels_of_the_same_images() -> None:
    data, usual = (load_task(name, 50, 32) for name in ("styles:told", "styles"))
    assert data.dataset == "styles:told"
    assert data.label_names == ("gradient", "flat", "noto", "twemoji")
    assert data.source_train.ids == usual.source_train.ids
    assert np.array_equal(data.source_train.labels, usual.source_train.hidden)
    assert (data.target_test.labels == -1).all()
    assert data.target_train.ids == usual.target_train.ids


def test_gradient_and_ink_never_show_one_emoji_in_training() -> None:
    """Every training emoji is seen in flat and in one of the others; all held-out emoji in all three styles."""
    unseen, seen = load_task("style_pairs", 600, 32), load_task("style_pairs:flat-ink", 600, 32)
    flat = unseen.others["flat"]
    assert (unseen.source_train.matches(unseen.target_train) == -1).all()
    assert (flat.matches(unseen.source_train) >= 0).mean() > 0.99  # but copies of held-out emoji
    assert (flat.matches(unseen.target_train) >= 0).mean() > 0.99
    assert 0.4 < len(unseen.source_train) / len(flat) < 0.6
    assert seen.target_train.ids == unseen.target_train.ids
    for data in (unseen, seen):
        assert (len(data.source_test), len(data.target_test)) == (317, 317)
        assert [data.target_test.ids[i] for i in data.truth] == data.source_test.ids


def test_data_sets_without_hidden_labels_have_none() -> None:
    assert (task("ink").source_train.hidden == -1).all()


def test_fashion_has_the_mass_shift_of_the_paper() -> None:
    """Section 4.2, 3: 26 % of the edges and 90 % of the photographs are of shoes."""
    counts = Counter((i.domain, i.split, i.label == "bag") for i in items_of("fashion"))
    edges, photographs = (counts[d, "train", False] + counts[d, "train", True] for d in ("outlines", "photos"))
    assert counts["outlines", "train", False] / edges == pytest.approx(0.26, abs=0.001)
    assert counts["photos", "train", False] / photographs == pytest.approx(0.90, abs=0.001)
    shoes = Counter((i.domain, i.label) for i in items_of("fashion") if i.split == "train" and i.label != "bag")
    assert {n for (d, _), n in shoes.items() if d == "outlines"} == {146}
    assert {n for (d, _), n in shoes.items() if d == "photos"} == {1250}


def test_fashion_trains_on_different_images_in_both_domains_and_holds_others_out_in_both() -> None:
    data = task("fashion")
    outlines, photographs = ({i.id for i in items_of("fashion") if i.domain == d} for d in ("outlines", "photos"))
    assert {name for name in outlines & photographs if name.startswith("train/")} == set()
    assert (data.truth >= 0).all()
    assert [data.target_test.ids[i] for i in data.truth] == data.source_test.ids
    assert Counter(data.source_test.labels.tolist()) == {0: 200, 1: 200, 2: 200, 3: 200}


def test_fashion_photograph_is_the_archives_with_a_black_margin() -> None:
    data = task("fashion")
    row = {int(index): i for i, index in enumerate(FASHION["test_index"])}
    for i in (0, 333, 799):
        split, number = data.target_test.ids[i].split("/")
        assert split == "test"
        padded = np.zeros((32, 32), np.uint8)
        padded[2:30, 2:30] = FASHION["test_images"][row[int(number)]]
        assert (data.target_test.images([i])[0] == padded).all()
        assert FASHION["test_labels"][row[int(number)]] == data.target_test.labels[i]


def test_fashion_boots_goes_from_three_classes_to_the_fourth() -> None:
    counts = Counter((item.domain, item.split, item.label) for item in items_of("fashion:boots"))
    others = {
        ("shoes_and_bags", s, c): n for c in ("sandal", "sneaker", "bag") for s, n in (("train", 2500), ("test", 200))
    }
    assert counts == {**others, ("boots", "train", "boot"): 2500, ("boots", "test", "boot"): 200}
    assert (task("fashion:boots").truth == -1).all()


def outlines() -> Callable[[np.ndarray], np.ndarray]:
    spec = importlib.util.spec_from_file_location("draw_outlines", ROOT / "scripts" / "draw_outlines.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.packed


@pytest.mark.parametrize("split", ["train", "test"])
def test_outlines_of_the_archive_are_those_that_the_script_draws(split: str) -> None:
    rows = slice(None, None, 40)
    assert (outlines()(FASHION[f"{split}_images"][rows]) == FASHION[f"{split}_outlines"][rows]).all()


def test_an_outline_is_white_on_black_and_lies_on_the_edge_of_its_photograph() -> None:
    data = task("fashion")
    drawn, photograph = data.source_test.images(), data.target_test.images(data.truth)
    assert set(np.unique(drawn)) == {0, 255}
    inside = photograph[:, 0].astype(int)
    steep = np.abs(np.diff(inside, axis=1, prepend=0)) + np.abs(np.diff(inside, axis=2, prepend=0))
    assert steep[drawn[:, 0] > 0].mean() > 3 * steep.mean()


def test_fashion_biased_has_ten_images_of_the_common_kind_for_one_of_each_other() -> None:
    counts = Counter((item.domain, item.split, item.label) for item in items_of("fashion:biased"))
    for domain, common in (("outlines", "sneaker"), ("photos", "boot")):
        for label in ("sandal", "sneaker", "bag", "boot"):
            assert counts[domain, "train", label] == (1000 if label == common else 100)
            assert counts[domain, "judge", label] == 250
            assert counts[domain, "test", label] == 200


def test_fashion_biased_shows_no_image_twice_and_no_method_the_judges_images() -> None:
    items = items_of("fashion:biased")
    for split in ("train", "judge"):
        photographs = {item.id for item in items if item.domain == "photos" and item.split == split}
        others = {i.id for i in items if (i.domain, i.split) != ("photos", split) and not i.id.startswith("test")}
        assert len(photographs) in (1300, 1000) and not photographs & others
    data = load_task("fashion:biased", 110, 32)
    bank = data.source_train.bank
    seen = {*data.source_train.rows, *data.target_train.rows}
    assert {bank.splits[row] for row in seen} == {"train"} and not data.others
    assert (data.truth >= 0).all() and len(data.truth) == 800


def test_classifiers_that_measure_learn_from_the_images_that_are_kept_for_them() -> None:
    """Table 5.3 of the thesis: equally many of each kind, none of which the translation is trained on."""
    data = load_task("fashion:biased", 110, 32)
    reference = reference_of(data)
    assert reference.target_pool is not None
    for kept in (reference.source_train, reference.target_pool):
        assert Counter(kept.labels.tolist()) == dict.fromkeys(range(4), 250)
    plain = reference_of(load_task("fashion", 110, 32))
    assert (len(plain.source_train), len(plain.known_target)) == (1688, 4167)


def test_fashion_tuning_trains_on_the_images_of_fashion_and_holds_out_others() -> None:
    tuning, fashion = items_of("fashion:tuning"), items_of("fashion")
    shown = {item.id for item in fashion}
    assert [item for item in tuning if item.split == "train"] == [item for item in fashion if item.split == "train"]
    held_out = [item for item in tuning if item.split == "test"]
    assert Counter((item.domain, item.label) for item in held_out) == {
        (domain, label): 200 for domain in ("outlines", "photos") for label in ("sandal", "sneaker", "bag", "boot")
    }
    assert not shown & {item.id for item in held_out}
