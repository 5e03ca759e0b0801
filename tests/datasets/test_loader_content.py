"""What the loaders make of labels, boxes, halves and colours, against values known by hand from the miniature trees."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import DOGS, TREES, WOLVES, afd_crops, colours, digit, room

from bench.core.errors import UserError
from bench.data.dataset import Dataset, Item
from bench.data.find import make
from bench.data.modality import depth_metres, grey_values, label_ids
from bench.data.scan import index
from bench.data.task import load_task


def built(name: str, folder: Path, tree: str | None = None) -> tuple[Dataset, Path, dict[tuple[str, str], Item]]:
    """The data set `name` on its tree: the items by domain and id."""
    root = TREES[tree or name](folder)
    dataset = make(name)
    return dataset, root, {(item.domain, item.id): item for item in index(dataset, root)}


def trained_on(items: dict[tuple[str, str], Item]) -> dict[str, set[str]]:
    """Domain -> ids of its training images."""
    found: dict[str, set[str]] = {}
    for (domain, id), item in items.items():
        if item.split == "train":
            found.setdefault(domain, set()).add(id)
    return found


def near(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 3) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= tolerance)


def test_afd_cuts_faces_out_of_imagenet(tmp_path: Path) -> None:
    dataset, root, items = built("afd", tmp_path)
    assert {item.label for (domain, _), item in items.items() if domain == "wolf"} == set(WOLVES)
    assert {item.label for (domain, _), item in items.items() if domain == "dog"} == set(DOGS)
    item = items["dog", "n02085936/n02085936_2.JPEG@80,10,150,90"]  # the seventh picture; 160 wide: the right half
    image = dataset.load(root, item, 128)  # 70x80, enlarged
    for y, x in ((5, 5), (64, 64), (120, 120)):
        assert near(image[:, y, x], colours(7)[1])


def test_afd_takes_other_dogs(tmp_path: Path) -> None:
    dataset, _, items = built(f"afd:{DOGS[0]},{DOGS[3]}", tmp_path, "afd")
    assert {item.label for (domain, _), item in items.items() if domain == "dog"} == {DOGS[0], DOGS[3]}
    assert dataset.variant != make("afd").variant


def test_afd_takes_ready_crops(tmp_path: Path) -> None:
    dataset, root = make("afd"), afd_crops(tmp_path)
    items = {item.id: item for item in dataset.scan(root)}
    assert len(items) == 95
    assert items["wolf/breed-02/5.jpg"].label == "breed-02"
    assert near(dataset.load(root, items["dog/breed-00/2.jpg"], 128)[:, 60, 20], colours(2)[0])


def test_animal_faces_keep_funits_classes_apart(tmp_path: Path) -> None:
    dataset, root, items = built("animal_faces", tmp_path)
    assert {item.label for (domain, _), item in items.items() if domain == "unseen"} == {"n02123045", "n02124075"}
    both = [item for item in items.values() if item.file.endswith("/n02085620_1.JPEG")]
    assert len(both) == 2  # two faces of one photograph
    assert len({item.split for item in both}) == 1
    left = next(item for item in both if item.id.endswith("@5,10,75,90"))
    assert near(dataset.load(root, left, 64)[:, 32, 32], colours(1)[0])


def test_one_class_to_another(tmp_path: Path) -> None:
    dataset, _, items = built("birds:0297-0300", tmp_path, "birds")
    assert dataset.domains == dataset.task == ("0297", "0300")
    counts = Counter((item.domain, item.label, item.split) for item in items.values())
    expected = {(label, label, split): n for label in ("0297", "0300") for split, n in (("train", 9), ("test", 1))}
    assert counts == expected
    with pytest.raises(UserError, match="unknown class of birds '9999'"):
        make("birds:9999-0300").scan(tmp_path)


def test_foods_are_cut_by_their_boxes(tmp_path: Path) -> None:
    dataset, root, items = built("foods", tmp_path)
    assert Counter(item.label for item in items.values()) == {**dict.fromkeys("345678", 10), "1": 16, "2": 16}
    assert len({item.label for (domain, _), item in items.items() if domain == "unseen"}) == 1  # 32 of 256: 1 of 8
    shared = {item.label: item for item in items.values() if "/1@" in item.id}
    assert near(dataset.load(root, shared["1"], 64)[:, 32, 32], (250, 230, 0))
    assert near(dataset.load(root, shared["2"], 64)[:, 32, 32], (0, 20, 250))
    splits: dict[str | None, dict[str, str]] = {}
    for item in items.values():
        splits.setdefault(item.label, {})[item.id.split("@")[0][2:]] = item.split
    assert "test" in {splits["1"][photo] for photo in "123456"}
    for photo in "123456":  # shows both dishes, and is held out as both or as none
        assert splits["1"][photo] == splits["2"][photo]


def test_celeba_attributes(tmp_path: Path) -> None:
    dataset, root, items = built("celeba", tmp_path)
    men = {id for domain, id in items if domain == "man"}
    assert men == {f"{i:06}.jpg" for i in (*range(2, 17, 2), 22, 24)}
    assert items["man", "000006.jpg"].attributes == ("Male", "Smiling")
    assert items["woman", "000015.jpg"].attributes == ("Smiling", "Wearing_Hat")
    image = dataset.load(root, items["woman", "000005.jpg"], 128)
    assert near(image[:, 64, 10], colours(5)[0])
    assert near(image[:, 64, 118], colours(5)[1])


def test_celeba_pairs_of_attributes(tmp_path: Path) -> None:
    _, root, items = built("celeba:Smiling", tmp_path, "celeba")
    assert {id for domain, id in items if domain == "Smiling"} == {f"{i:06}.jpg" for i in (3, 6, 9, 12, 15, 21, 24)}
    assert {domain for domain, _ in items} == {"not_Smiling", "Smiling"}
    pair = make("celeba:Smiling-Male")
    marked = {(item.domain, int(item.id[:6])) for item in pair.scan(root)}
    assert marked == {("Smiling", i) for i in (3, 9, 15, 21)} | {("Male", i) for i in (2, 4, 8, 10, 14, 16, 22)}
    assert make("celeba:man-woman").task == ("man", "woman")
    with pytest.raises(UserError, match="unknown attribute of CelebA 'Smilin'; did you mean 'Smiling'"):
        make("celeba:Smilin").scan(root)


def test_celeba_takes_the_numbers_of_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, root, _ = built("celeba", tmp_path)
    module = __import__(type(dataset).__module__, fromlist=["TRAIN"])
    assert (module.TRAIN, module.TEST) == ((10_000, 1_000), 1_000)
    monkeypatch.setattr(module, "TRAIN", (5, 3))
    monkeypatch.setattr(module, "TEST", 1)
    counts = Counter((item.domain, item.split) for item in dataset.scan(root))
    assert counts == {("woman", "train"): 5, ("woman", "test"): 1, ("man", "train"): 3, ("man", "test"): 1}


def test_cars_by_the_colour_of_the_box(tmp_path: Path) -> None:
    dataset, root, items = built("stanford_cars", tmp_path)
    red = {f"{part}/{i:05}.jpg" for part in ("cars_train", "cars_test") for i in (1, 2, 3)}
    assert {id for domain, id in items if domain == "red_car"} == red
    assert {id for domain, id in items if domain == "car"} == {
        f"{part}/{i:05}.jpg" for part in ("cars_train", "cars_test") for i in (5, 6, 7, 8)
    }
    image = dataset.load(root, items["car", "cars_train/00006.jpg"], 128)
    for y, x in ((0, 0), (0, 127), (64, 64), (127, 127)):  # nothing of the green outside of the box
        assert near(image[:, y, x], (60, 60, 200), 6)


def test_cars_list_overrides_the_rule(tmp_path: Path) -> None:
    dataset, root, _ = built("stanford_cars", tmp_path)
    (root / "red_cars.txt").write_text(
        "cars_train/00004.jpg red\ncars_train/00001.jpg other\ncars_test/00001.jpg skip\n"
    )
    domains = {item.id: item.domain for item in dataset.scan(root)}
    assert domains["cars_train/00004.jpg"] == "red_car"
    assert domains["cars_train/00001.jpg"] == "car"
    assert "cars_test/00001.jpg" not in domains
    (root / "red_cars.txt").write_text("cars_train/99999.jpg red\n")
    with pytest.raises(UserError, match=r"red_cars.txt names cars_train/99999.jpg, which no annotation names"):
        dataset.scan(root)


@pytest.mark.parametrize(
    ("colour", "red"),
    [
        ((200, 20, 20), 1.0),
        ((255, 63, 0), 1.0),  # hue 14.8 degrees
        ((255, 67, 0), 0.0),  # hue 15.8 degrees
        ((255, 0, 63), 1.0),
        ((128, 65, 65), 0.0),  # saturation 0.49
        ((63, 0, 0), 0.0),  # value 0.247
        ((0, 0, 0), 0.0),
        ((20, 20, 200), 0.0),
    ],
)
def test_what_is_red(colour: tuple[int, int, int], red: float) -> None:
    module = __import__(type(make("stanford_cars")).__module__, fromlist=["redness"])
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[10:50, 10:50] = colour  # a sixth at each edge does not count
    assert module.redness(image) == red


def test_all_of_srmnist_from_idx_files(tmp_path: Path) -> None:
    dataset, root, items = built("srmnist:full", tmp_path)
    counts = Counter((item.domain, item.split, item.label) for item in items.values())
    for label in "0123456789":
        assert counts["mnist", "train", label] == 20
        assert counts["srmnist", "train", label] == (180 if label == "0" else 20)
    used = {(item.domain, item.id.split("-")[0]) for item in items.values()}
    assert len({digit for _, digit in used}) == len(used) == 500
    plain = next(item for item in items.values() if item.domain == "mnist" and item.label == "7")
    split, number = plain.id.split("-")[0].split("/")
    assert int(number) % 10 == 7
    assert dataset.load(root, plain, 32).max() == (digit(7, int(number) // 10 + (100 if split == "test" else 0))).max()
    assert (dataset.digit(root, plain) == digit(7, int(number) // 10 + (100 if split == "test" else 0))).all()  # type: ignore[attr-defined]
    assert make("srmnist").embedded() is not None
    assert dataset.embedded() is None


def test_svhn_pixels_and_zeros(tmp_path: Path) -> None:
    dataset, root, items = built("mnist_svhn", tmp_path)
    item = items["svhn", "train/00020"]
    assert item.label == "0"  # written as class 10
    image = dataset.load(root, item, 32)
    assert image[:, 12, 5].tolist() == [160, 200, 0]
    assert image[:, 2, 5].tolist() == [160, 0, 0]
    assert items["mnist", "test/00034"].label == "4"


def test_edges_are_left_and_photographs_right(tmp_path: Path) -> None:
    dataset, root, items = built("edges_shoes_bags", tmp_path)
    counts = Counter((item.domain, item.split, item.label) for item in items.values())
    assert counts["edges", "train", "shoes"] == counts["photo", "train", "shoes"] == 18
    assert counts["edges", "train", "bags"] == 12
    assert counts["photo", "train", "bags"] == 2  # 90 % are shoes
    edges, photo = (items[domain, "edges2shoes/train/3_AB.jpg"] for domain in ("edges", "photo"))
    assert edges.pair == photo.pair
    assert near(dataset.load(root, edges, 128)[:, 64, 120], colours(3)[0])
    assert near(dataset.load(root, photo, 128)[:, 64, 5], colours(3)[1])


@pytest.mark.parametrize(("domain", "crop", "size"), [("face", 160, (178, 218)), ("portrait", 178, (200, 240))])
def test_portraits_and_faces_have_their_crops(tmp_path: Path, domain: str, crop: int, size: tuple[int, int]) -> None:
    dataset = make("celeba_portraits")
    for inside, black in ((crop, True), (crop - 2, False)):  # a white frame around a black square of that side
        image = Image.new("RGB", size, "white")
        left, top = (size[0] - inside) // 2, (size[1] - inside) // 2
        image.paste("black", (left, top, left + inside, top + inside))
        image.save(tmp_path / "image.png")
        loaded = dataset.load(tmp_path, Item("image.png", domain, "train", None, "image.png"), 128)
        assert (loaded == 0).all() == black


def test_flowers_in_opponent_channels(tmp_path: Path) -> None:
    dataset, root, items = built("flowers_opponent", tmp_path)
    ten = {n for n in range(1, 97) if n % 12 < 10}
    held = {n for n in ten if n % 4 == 1 or n % 16 == 2}
    assert {int(item.pair or 0) for item in items.values()} == ten
    assert {int(item.pair or 0) for item in items.values() if item.split == "test"} == held
    seen: dict[int, set[str]] = {}
    for item in items.values():
        seen.setdefault(int(item.pair or 0), set()).add(item.domain)
    assert all(seen[n] == {"theta1", "theta2", "rgb"} for n in held)
    assert {frozenset(seen[n]) for n in ten - held} == {frozenset({"theta1", "theta2"}), frozenset({"theta1", "rgb"})}
    assert items["rgb", "image_00005.jpg"].label == "waterlily"  # FLOWERS[5] is 73
    red, green, blue = colours(5)[0]
    for domain, difference in (("theta1", red - green), ("theta2", green - blue)):
        image = dataset.load(root, items[domain, "image_00005.jpg"], 128)
        assert grey_values(image)[64, 10] * 510 - 255 == pytest.approx(difference, abs=4)


def test_scenenet_depth_and_classes(tmp_path: Path) -> None:
    dataset, root, items = built("scenenet_rgbd", tmp_path)
    assert {id.rsplit("/", 1)[1] for _, id in items} == {"0", "750"}  # every 30th frame, numbered in 25s
    seen: dict[str, set[str]] = {}
    for (domain, id), item in items.items():
        if item.split == "train":
            seen.setdefault(id.rsplit("/", 1)[0], set()).add(domain)
        assert item.split == ("train" if id.startswith("train") else "test")
    assert {frozenset(domains) for domains in seen.values()} == {
        frozenset({"segmentation", "rgb"}),
        frozenset({"depth", "rgb"}),
    }
    id = "val/0/2/750"
    depth = depth_metres(dataset.load(root, items["depth", id], 256), dataset.far)
    assert depth[100, 50] == pytest.approx(1.024, rel=0.01)  # picture 24 of the tree
    assert depth[100, 200] == pytest.approx(5.0, rel=0.01)
    assert (depth[:8] == 0).all()  # filled up from 240 to 256 rows
    assert (depth[8] > 0).all()
    assert room(24)[0][0, 0] == 1024
    ids = label_ids(dataset.load(root, items["segmentation", id], 256))
    assert set(np.unique(ids)) == {0, 4, 12, 255}
    assert (ids[:8] == 255).all()
    assert (ids[8:68] == 0).all()
    assert (ids[68:248, :128] == 12).all()  # wall; of the 320 columns 32 to 287 stay
    assert (ids[68:248, 128:] == 4).all()  # chair
    assert near(dataset.load(root, items["rgb", id], 256)[:, 128, 10], colours(24)[0])


def test_sun_depth_and_classes(tmp_path: Path) -> None:
    dataset, root, items = built("sun_rgbd", tmp_path)
    id = next(id for (domain, id), item in items.items() if item.split == "test" and domain == "depth")
    number = int(id[-8:-4])
    depth = depth_metres(dataset.load(root, items["depth", id], 256), dataset.far)
    assert depth[100, 50] == pytest.approx(2 + number / 1000, rel=0.01)
    assert depth[100, 200] == pytest.approx(3.0, rel=0.01)
    segmentation = items["segmentation", id]
    assert segmentation.file == f"sunrgbd_train_test_labels/img-{number:06}.png"
    ids = label_ids(dataset.load(root, segmentation, 256))
    assert ids[100, 50] == 1  # bed
    assert ids[100, 200] == 7  # bag: objects
    train = {
        domain: {i for d, i in items if d == domain and items[d, i].split == "train"} for domain in dataset.domains
    }
    assert not train["depth"] & train["segmentation"]
    assert train["depth"] | train["segmentation"] == train["rgb"]


def test_the_37_classes_of_sun_become_13() -> None:
    module = __import__(type(make("sun_rgbd")).__module__, fromlist=["TO_13"])
    rooms = __import__("bench.datasets.layouts.rooms", fromlist=["CLASSES"])
    named = {1: "Wall", 2: "Floor", 4: "Bed", 5: "Chair", 6: "Sofa", 7: "Table", 9: "Window", 11: "Picture"}
    named |= {22: "Ceiling", 23: "Books", 25: "TV", 3: "Furniture", 14: "Table", 20: "Floor", 32: "Furniture"}
    named |= {0: "none", 29: "Objects", 37: "Objects"}
    assert {number: rooms.CLASSES[module.TO_13[number]] for number in named} == named
    assert len(module.TO_13) == 38


def test_freiburg_modalities(tmp_path: Path) -> None:
    dataset, root, items = built("freiburg_forest", tmp_path)
    id = "b1-00051"
    assert {domain for domain, name in items if name == id} == set(dataset.domains)
    ids = label_ids(dataset.load(root, items["segmentation", id], 256))
    assert ids[200, 20] == 0  # sky
    assert ids[200, 240] == 3  # a tree is vegetation
    assert ids[96, 20] == 255  # row 105 of 280 has a colour that is no class
    assert grey_values(dataset.load(root, items["depth", id], 256))[200, 20] == pytest.approx(0.2, abs=0.002)
    assert grey_values(dataset.load(root, items["nir", id], 256))[200, 240] == pytest.approx(0.8, abs=0.002)
    train = {
        domain: {i for d, i in items if d == domain and items[d, i].split == "train"} for domain in dataset.domains
    }
    assert train["depth"] == train["nir"]
    assert not train["depth"] & train["segmentation"]


def test_makeup_sizes_and_genders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, root, items = built("biased_makeup", tmp_path)
    module = __import__(type(dataset).__module__, fromlist=["SIZES"])
    assert module.SIZES == {
        ("nomakeup", "male"): (1330, 100),
        ("nomakeup", "female"): (70, 0),
        ("makeup", "female"): (1400, 100),
    }
    monkeypatch.setattr(
        module, "SIZES", {("nomakeup", "male"): (9, 3), ("nomakeup", "female"): (1, 0), ("makeup", "female"): (8, 2)}
    )
    counts = Counter((item.domain, item.label, item.split) for item in dataset.scan(root))
    assert counts == {
        ("nomakeup", "male", "train"): 9,
        ("nomakeup", "male", "test"): 3,
        ("nomakeup", "female", "train"): 1,
        ("makeup", "female", "train"): 8,
        ("makeup", "female", "test"): 2,
    }
    assert near(dataset.load(root, items["nomakeup", "nomakeup/female 0.jpg"], 256)[:, 9, 9], colours(21)[0])


def test_morph_ages_genders_and_people(tmp_path: Path) -> None:
    dataset, root, items = built("morph", tmp_path)
    for (domain, id), item in items.items():
        age = int(id[-6:-4])
        assert age < 30 if domain == "young" else age >= 40
        assert item.label == ("female" if "F" in Path(id).name else "male")
    assert items["young", "Album2/000001_00M21.JPG"].attributes == ("european",)
    people = {split: {Path(i.id).name[:6] for i in items.values() if i.split == split} for split in ("train", "test")}
    assert people["test"]
    assert not people["train"] & people["test"]
    assert near(dataset.load(root, items["young", "Album2/000000_00F20.JPG"], 256)[:, 9, 9], colours(1)[0])


def test_cityscapes_and_synthia(tmp_path: Path) -> None:
    dataset, root, items = built("cityscapes_synthia", tmp_path)
    assert not [id for _, id in items if "berlin" in id or "FOG" in id or "Omni_B" in id]
    counts = Counter((item.domain, item.label, item.split) for item in items.values())
    assert counts["synthia", "day", "train"] == 3
    assert counts["synthia", "day", "test"] == 0
    assert counts["synthia", "night", "train"] + counts["synthia", "night", "test"] == 8
    item = next(item for item in items.values() if item.id.endswith("aachen_000002_000019_leftImg8bit.png"))
    image = dataset.load(root, item, 256)  # 512x256: columns 128 to 383
    assert image[:, 0, 0].tolist() == list(colours(2)[0])
    assert image[:, 0, 127].tolist() == list(colours(2)[0])
    assert image[:, 0, 128].tolist() == list(colours(2)[1])


def test_handbags_two_experiments(tmp_path: Path) -> None:
    dataset, root, items = built("biased_handbags", tmp_path)
    kinds = Counter((item.domain, item.label, item.split) for item in items.values())
    assert kinds["source", "flat_black", "train"] == 10
    assert kinds["target", "textured_red", "test"] == 0  # what is held out is what an unbiased translation gives
    assert kinds["target", "flat_red", "test"] == 6
    item = items["target", "edges2handbags/train/red_textured_0_AB.jpg"]
    assert near(dataset.load(root, item, 256)[:, 9, 9], colours(13)[1])
    other = make("biased_handbags:texture")
    assert {(item.domain, item.label) for item in other.scan(root)} == {
        ("source", "flat_red"),
        ("target", "textured_black"),
        ("target", "textured_red"),
    }
    assert other.variant == "texture"
    with pytest.raises(UserError, match="unknown experiment of biased_handbags 'colour'; did you mean 'color'"):
        make("biased_handbags:colour")


def test_a_task_with_truth_from_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path))
    TREES["sun_rgbd"](tmp_path / "sun_rgbd")
    task = load_task("sun_rgbd:rgb-segmentation", 5, 64)
    assert (task.source_train.name, task.target_train.name, task.target_train.kind) == ("rgb", "segmentation", "labels")
    assert (task.truth >= 0).all()
    assert [task.target_test.ids[i] for i in task.truth] == task.source_test.ids
