"""Every registered data set whose files are at hand keeps every promise of bench.data.dataset."""

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from trees import TREES
from typer.testing import CliRunner

from bench.cli.data import app
from bench.core import registry
from bench.core.errors import UserError
from bench.data.bank import index, prepare
from bench.data.dataset import Dataset, Item
from bench.data.find import find_bank, make
from bench.data.task import subset_order

FACTS = ("name", "domains", "resolution", "homepage", "license", "layout")


def shipped() -> list[str]:
    names = []
    for name in registry.entries("datasets"):
        try:
            if make(name).embedded() is not None:
                names.append(name)
        except UserError:  # needs an argument
            continue
    return names


@cache
def scanned(name: str) -> tuple[Dataset, Path, list[Item]]:
    dataset = make(name)
    root = dataset.embedded()
    assert root is not None
    return dataset, root, index(dataset, root)


def test_something_ships() -> None:
    assert {"emoji", "srmnist"} <= set(shipped())


@pytest.mark.parametrize("name", registry.entries("datasets"))
def test_facts_are_literals_that_the_registry_can_read(name: str) -> None:
    facts = registry.entries("datasets")[name].facts
    assert [fact for fact in FACTS if fact not in facts] == []
    assert len(facts["domains"]) >= 2


@pytest.mark.parametrize("name", shipped())
class TestShipped:
    def test_ids_are_unique_in_a_domain(self, name: str) -> None:
        _, _, items = scanned(name)
        assert len({(item.domain, item.id) for item in items}) == len(items)

    def test_every_domain_has_training_and_held_out_images(self, name: str) -> None:
        dataset, _, items = scanned(name)
        parts = {(item.domain, item.split) for item in items}
        assert parts == {(domain, split) for domain in dataset.domains for split in ("train", "test")}

    def test_no_file_is_in_both_splits(self, name: str) -> None:
        _, _, items = scanned(name)
        train, test = ({item.file for item in items if item.split == split} for split in ("train", "test"))
        assert not train & test

    def test_pairs_have_one_split(self, name: str) -> None:
        _, _, items = scanned(name)
        splits: dict[str, set[str]] = {}
        for item in items:
            if item.pair is not None:
                splits.setdefault(item.pair, set()).add(item.split)
        assert all(len(split) == 1 for split in splits.values())

    def test_training_pairs_of_source_and_target_are_stated_where_there_are_any(self, name: str) -> None:
        dataset, _, items = scanned(name)
        source, target = ({i.pair for i in items if i.domain == d and i.split == "train"} for d in dataset.task)
        assert dataset.training_pairs == bool((source & target) - {None})

    def test_labels_are_known(self, name: str) -> None:
        dataset, _, items = scanned(name)
        assert {item.label for item in items} <= {*dataset.labels, None}
        if dataset.labels:
            assert {item.label for item in items} == set(dataset.labels)

    def test_a_source_has_one_truth(self, name: str) -> None:
        dataset, _, items = scanned(name)
        pairs = [item.pair for item in items if item.domain == dataset.task[1] and item.pair is not None]
        assert len(set(pairs)) == len(pairs)

    def test_load_gives_uint8_squares(self, name: str) -> None:
        dataset, root, items = scanned(name)
        for resolution in {dataset.resolution, min(16, dataset.resolution)}:
            for item in (items[0], items[-1]):
                image = dataset.load(root, item, resolution)
                assert image.shape == (3, resolution, resolution)
                assert image.dtype == np.uint8
                assert image.std() > 0

    def test_load_gives_the_same_again(self, name: str) -> None:
        dataset, root, items = scanned(name)
        side = min(16, dataset.resolution)
        first = dataset.load(root, items[-1], side)
        assert (make(name).load(root, items[-1], side) == first).all()

    def test_order_of_files_does_not_matter(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dataset, root, _ = scanned(name)
        straight = prepare(dataset, root, 8)
        plain = type(dataset).scan

        def shuffled(self: Dataset, root: Path) -> list[Item]:
            items = plain(self, root)
            np.random.default_rng(5).shuffle(items)
            return items

        monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
        monkeypatch.setattr(type(dataset), "scan", shuffled)
        mixed = prepare(make(name), root, 8)
        assert mixed.folder.parent != straight.folder.parent  # built anew, not found
        assert mixed.manifest == straight.manifest
        target = dataset.domains[1]
        assert [mixed.ids[row] for row in subset_order(mixed, target, 1)[:50]] == [
            straight.ids[row] for row in subset_order(straight, target, 1)[:50]
        ]


@pytest.mark.parametrize("name", TREES)
def test_from_the_official_archive_to_a_subset(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user does: prepare from the packed files, verify, draw; the bank is the one that the folder gives."""
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tree").mkdir()
    root = TREES[name](tmp_path / "tree")
    archive = shutil.make_archive(str(tmp_path / "official"), "tar", root)
    run = CliRunner()

    def bench_data(*words: str) -> str:
        result = run.invoke(app, [*words, "--resolution", "16"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert " images at " in bench_data("prepare", name, "--from", archive)
    bank = find_bank(make(name), 16)
    assert bank.manifest == prepare(make(name), root, 16).manifest
    assert "as prepared" in (verified := bench_data("verify", name))
    assert f"all {len(bank.ids)} originals decode to the same pixels" in verified
    size = len(bank.rows(make(name).task[1], "train"))
    files = bench_data("subset", name, "--target-size", str(size), "--files").splitlines()
    assert len(files) == size
    assert all((root / file).is_file() for file in files)
