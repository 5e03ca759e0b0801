"""Own data in the layouts that other programs use: CycleGAN's, torchvision's ImageFolder, a CSV of paths."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.find import find_bank, full_name, make
from bench.data.scan import index
from bench.data.task import load_task


def draw(root: Path, *names: str, side: int = 16) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (i % 256, i // 256, 99)).save(root / name)
    return root


def facts(name: str) -> set[tuple[str, str, str, str | None]]:
    """(domain, split, id, label) of what the scan finds, before anything is held out."""
    dataset = make(name)
    root = dataset.embedded()
    assert root is not None
    return {(item.domain, item.split, item.id, item.label) for item in dataset.scan(root)}


def many(pattern: str, n: int) -> list[str]:
    return [pattern.format(i) for i in range(n)]


class TestCycleGan:
    def test_a_is_the_source_and_the_test_folders_are_held_out(self, tmp_path: Path) -> None:
        draw(tmp_path, "trainA/1.png", "trainB/1.png", "trainB/2.png", "testA/3.png", "testB/4.png")
        task = load_task(f"folder:{tmp_path}", 2, 16)
        assert task.source_train.ids == ["trainA/1.png"] and task.source_test.ids == ["testA/3.png"]
        assert sorted(task.target_train.ids) == ["trainB/1.png", "trainB/2.png"]
        assert task.target_test.ids == ["testB/4.png"]

    def test_the_task_can_be_turned_round(self, tmp_path: Path) -> None:
        draw(tmp_path, "trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png")
        assert load_task(f"folder:{tmp_path}:source=B:target=A", 1, 16).target_test.ids == ["testA/3.png"]

    def test_a_domain_without_test_images_holds_some_out(self, tmp_path: Path) -> None:
        draw(tmp_path, *many("trainA/{}.png", 10), *many("trainB/{}.png", 10), "testB/x.png")
        task = load_task(f"folder:{tmp_path}", 10, 16)
        assert len(task.source_test) == 2 and task.target_test.ids == ["testB/x.png"]

    def test_half_of_the_layout_is_refused(self, tmp_path: Path) -> None:
        draw(tmp_path, "trainA/1.png", "trainA/2.png")
        with pytest.raises(UserError, match=r"there is no folder .*/trainB; CycleGAN's layout is trainA/ trainB/"):
            load_task(f"folder:{tmp_path}", 1, 16)


class TestImageFolder:
    def test_classes_become_domains(self, tmp_path: Path) -> None:
        draw(tmp_path, "cat/1.png", "cat/2.png", "dog/1.png", "dog/sub/2.png", "owl/1.png")
        assert facts(f"folder:{tmp_path}:source=cat:target=dog") == {
            ("source", "train", "cat/1.png", None),
            ("source", "train", "cat/2.png", None),
            ("target", "train", "dog/1.png", None),
            ("target", "train", "dog/sub/2.png", "sub"),
        }

    def test_several_classes_of_one_domain_are_its_labels(self, tmp_path: Path) -> None:
        draw(tmp_path, "cat/1.png", "dog/1.png", "owl/1.png")
        found = facts(f"folder:{tmp_path}:source=cat+owl:target=dog")
        assert {(domain, label) for domain, _, _, label in found} == {
            ("source", "cat"), ("source", "owl"), ("target", None),
        }  # fmt: skip

    def test_train_and_val_above_the_classes(self, tmp_path: Path) -> None:
        draw(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/4.png")
        assert facts(f"folder:{tmp_path}:source=dog:target=cat") == {
            ("source", "train", "train/dog/2.png", None),
            ("source", "test", "val/dog/4.png", None),
            ("target", "train", "train/cat/1.png", None),
            ("target", "test", "val/cat/3.png", None),
        }

    def test_source_and_target_below_train_and_test_need_no_choice(self, tmp_path: Path) -> None:
        draw(tmp_path, "train/source/1.png", "train/target/2.png", "test/source/3.png", "test/target/4.png")
        assert len(facts(f"folder:{tmp_path}")) == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("", "holds cat, dog; say which is the source and which the target: folder:DIR:source=NAME:target=NAME"),
            (":source=cat", "holds cat, dog; say which is the source"),
            (":source=cat:target=dgo", "unknown name in .*; did you mean 'dog'"),
            (":source=cat:target=cat", "cat is chosen both as source and as target"),
        ],
    )
    def test_a_missing_or_wrong_choice_is_one_line(self, tmp_path: Path, options: str, message: str) -> None:
        draw(tmp_path, "cat/1.png", "dog/1.png")
        with pytest.raises(UserError, match=message) as caught:
            facts(f"folder:{tmp_path}{options}")
        assert "\n" not in str(caught.value)


class TestTable:
    def write(self, root: Path, *lines: str) -> str:
        draw(root, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
        (root / "images.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return f"folder:{root / 'images.csv'}"

    def test_columns_of_paths_domains_classes_and_splits(self, tmp_path: Path) -> None:
        name = self.write(
            tmp_path, "path,domain,class,split", "a/1.png,source,x,train", "a/2.png,source,,val",
            "b/1.png,target,y,", "b/2.png,target,x,test",
        )  # fmt: skip
        assert facts(name) == {
            ("source", "train", "a/1.png", "x"),
            ("source", "test", "a/2.png", None),
            ("target", "train", "b/1.png", "y"),
            ("target", "test", "b/2.png", "x"),
        }

    def test_other_domains_are_chosen_by_name_and_the_rest_left_out(self, tmp_path: Path) -> None:
        name = self.write(tmp_path, "domain,path", "day,a/1.png", "night,b/1.png", "dusk,b/2.png")
        assert {(d, i) for d, _, i, _ in facts(f"{name}:source=day:target=night")} == {
            ("source", "a/1.png"), ("target", "b/1.png"),
        }  # fmt: skip
        with pytest.raises(UserError, match=r"images.csv holds day, dusk, night; say which"):
            facts(name)

    def test_the_banks_root_is_the_folder_of_the_csv(self, tmp_path: Path) -> None:
        rows = [f"{folder}/{i}.png,{domain}" for folder, domain in (("a", "source"), ("b", "target")) for i in (1, 2)]
        bank = find_bank(make(self.write(tmp_path, "path,domain", *rows)), 16)
        assert sorted(bank.files) == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["file,domain", "a/1.png,source"], "has no column 'path'; the columns are path, domain"),
            (["path,domain", "a/9.png,source", "b/1.png,target"], r"line 2 of .* names a/9.png, which is not below"),
            (["path,domain", "../a.png,source", "b/1.png,target"], r"line 2 of .* give paths below"),
            (["path,domain", "/etc/a.png,source", "b/1.png,target"], r"line 2 of .* give paths below"),
            (["path,domain", "a/1.png,source", "b/1.png"], "line 3 of .* has no path or no domain"),
            (["path,domain,split", "a/1.png,source,x", "b/1.png,target,"], "line 2 of .* the split 'x'; write train"),
            (["path,domain"], "images.csv holds nothing"),
        ],
    )
    def test_a_bad_table_is_one_line(self, tmp_path: Path, lines: list[str], message: str) -> None:
        with pytest.raises(UserError, match=message):
            facts(self.write(tmp_path, *lines))


def test_an_ambiguous_folder_is_refused_and_a_named_layout_is_read(tmp_path: Path) -> None:
    draw(tmp_path, "source/1.png", "target/1.png", "trainA/1.png", "trainA/2.png", "trainB/1.png")
    with pytest.raises(
        UserError, match=r"laid out as source-target and as cyclegan; say which: add .*:layout=cyclegan"
    ):
        facts(f"folder:{tmp_path}")
    assert len(facts(f"folder:{tmp_path}:layout=cyclegan")) == 3
    assert len(facts(f"folder:{tmp_path}:layout=source-target")) == 2


class TestHeldOut:
    def test_a_number_and_a_share(self, tmp_path: Path) -> None:
        draw(tmp_path, *many("source/{}.png", 10), *many("target/{}.png", 20))
        order = sorted(
            many("{}.png", 20), key=lambda name: hashlib.sha256(f"folder\nheld out\n{name}".encode()).hexdigest()
        )
        for option, source, target in (("3", 3, 3), ("0.5", 5, 10), ("9", 9, 9)):
            task = load_task(f"folder:{tmp_path}:held-out={option}", 1, 16)
            assert (len(task.source_test), len(task.target_test)) == (source, target)
            assert set(task.target_test.ids) == set(order[:target])

    def test_it_is_part_of_the_tasks_name_in_one_spelling(self, tmp_path: Path) -> None:
        draw(tmp_path, *many("source/{}.png", 4), *many("target/{}.png", 4))
        assert full_name(make(f"folder:{tmp_path}:held-out=02")) == f"folder:{tmp_path}:held-out=2"
        assert full_name(make(f"folder:{tmp_path}:held-out=0.50:layout=source-target")) == (
            f"folder:{tmp_path}:layout=source-target:held-out=0.5"
        )

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("4", r"holding out 4 of the 4 images of the domain source leaves none .* at most 3"),
            ("0", "held-out=0: give a number of images"),
            ("1.5", "held-out=1.5: give a number"),
            ("x", "held-out=x: give a number"),
            ("nan", "held-out=nan: give a number"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, tmp_path: Path, option: str, message: str) -> None:
        draw(tmp_path, *many("source/{}.png", 4), *many("target/{}.png", 9))
        with pytest.raises(UserError, match=message):
            load_task(f"folder:{tmp_path}:held-out={option}", 1, 16)

    def test_test_parts_of_its_own_stay(self, tmp_path: Path) -> None:
        draw(tmp_path, "source/train/1.png", "source/test/2.png", "target/train/1.png", "target/test/2.png")
        with pytest.raises(UserError, match="has test parts of its own; leave out held-out=2"):
            index(make(f"folder:{tmp_path}:held-out=2"), tmp_path)


def test_a_path_with_colons_is_a_path_and_a_wrong_option_is_named(tmp_path: Path) -> None:
    place = draw(tmp_path / "a:b=c", "source/1.png", "source/2.png", "target/1.png", "target/2.png")
    assert len(facts(f"folder:{place}:held-out=1")) == 4
    with pytest.raises(UserError, match=r"unknown option of folder:DIR: 'heldout'; did you mean 'held-out'"):
        make(f"folder:{place}:heldout=1")
    with pytest.raises(UserError, match="gives held-out twice or without a value"):
        make(f"folder:{place}:held-out=1:held-out=2")
    with pytest.raises(UserError, match="did you mean 'cyclegan'"):
        make(f"folder:{place}:layout=cycelgan")
