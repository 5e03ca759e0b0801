"""digits8 against scikit-learn's own reader of the digits."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bench.core.errors import UserError
from bench.data.bank import prepare
from bench.data.dataset import Dataset, Item
from bench.data.find import make
from bench.data.task import load_task

DIGITS = load_digits()


def root_of(dataset: Dataset) -> Path:
    root = dataset.embedded()
    assert root is not None
    return root


def items_of(name: str) -> list[Item]:
    dataset = make(name)
    return dataset.scan(root_of(dataset))


def row(item: Item) -> int:
    return int(item.file.split("/")[1])


@pytest.mark.parametrize(("name", "frequent"), [("digits8", "0"), ("digits8:4", "4")])
def test_class_law(name: str, frequent: str) -> None:
    counts = Counter((item.domain, item.split, item.label) for item in items_of(name))
    for split in ("train", "test"):
        plain = {counts["plain", split, label] for label in "0147"}
        assert len(plain) == 1, "the source has each class equally often"
        moved = {label: counts["moved", split, label] for label in "0147"}
        law = {label: number / sum(moved.values()) for label, number in moved.items()}
        assert law == pytest.approx({label: 0.7 if label == frequent else 0.1 for label in "0147"})


def test_no_digit_serves_two_purposes_and_labels_are_sklearns() -> None:
    purposes: dict[int, set[tuple[str, str]]] = {}
    for item in items_of("digits8"):
        purposes.setdefault(row(item), set()).add((item.domain, item.split))
        assert DIGITS.target[row(item)] == int(item.label or -1)
    assert all(len(purpose) == 1 for purpose in purposes.values())


@pytest.mark.parametrize("domain", ["plain", "moved"])
def test_images_are_sklearns_with_the_shift_and_a_little_noise(domain: str) -> None:
    dataset = make("digits8")
    differences = []
    for item in [item for item in items_of("digits8") if item.domain == domain][:200]:
        digit = DIGITS.images[row(item)] / 8 - 1
        if domain == "moved":
            digit = 0.6 * np.concatenate([digit[:, -1:], digit[:, :-1]], axis=1) - 0.3
        image = dataset.load(root_of(dataset), item, 8)
        assert (image == image[0]).all(), "grey"
        difference = image[0] / 127.5 - 1 - digit
        differences += difference[np.abs(digit) < 0.9].tolist()  # clipping cuts the noise at -1 and 1
    assert np.mean(differences) == pytest.approx(0, abs=0.001)
    assert np.std(differences) == pytest.approx(0.02, rel=0.05)


def test_draws_of_one_digit_differ_in_noise_alone() -> None:
    dataset = make("digits8")
    zeros = [item for item in items_of("digits8") if item.domain == "moved" and item.label == "0"][:7]
    images = np.stack([dataset.load(root_of(dataset), item, 8)[0] for item in zeros]).astype(float)
    assert len({row(item) for item in zeros}) == 1
    assert len({image.tobytes() for image in images}) == 7
    assert np.ptp(images, axis=0).max() < 0.2 * 127.5


def test_the_task_has_held_out_images_in_both_domains() -> None:
    data = load_task("digits8", 650)
    assert data.resolution == 8
    assert (len(data.source_train), len(data.target_train)) == (260, 650)
    assert (len(data.source_test), len(data.target_test)) == (96, 240)
    assert np.bincount(data.target_train.labels).tolist() == [455, 65, 65, 65]


def test_each_frequent_class_has_a_bank_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    folders = {prepare(make(name), root_of(make(name)), 8).folder for name in ("digits8", "digits8:7")}
    assert len(folders) == 2
    assert prepare(make("digits8:0"), root_of(make("digits8:0")), 8).folder in folders, "0 is the default"


def test_bad_argument_and_bad_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no task '5'"):
        make("digits8:5")
    assert make("digits8:moved-plain").task == ("moved", "plain")
    half = tmp_path / "digits.csv.gz"
    half.write_bytes(root_of(make("digits8")).read_bytes()[:2000])
    with pytest.raises(UserError, match=f"{half}.*install scikit-learn again"):
        make("digits8").scan(half)
