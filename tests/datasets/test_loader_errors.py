"""What is wrong with the files is one line that names the file and the mend."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from trees import CELEBA_ATTRIBUTES, TREES

from bench.core.errors import UserError
from bench.data.find import make
from bench.data.scan import index

Damage = Callable[[Path], object]


def remove(name: str) -> Damage:
    return lambda root: shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def write(name: str, text: str) -> Damage:
    return lambda root: (root / name).write_text(text)


def append(name: str, text: str) -> Damage:
    return lambda root: (root / name).write_text((root / name).read_text() + text)


def replace(name: str, old: str, new: str) -> Damage:
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new))


def rename(name: str, new: str) -> Damage:
    return lambda root: (root / name).rename(root / new)


def halve(name: str) -> Damage:
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[: (root / name).stat().st_size // 2])


def matlab(name: str, **content: object) -> Damage:
    return lambda root: savemat(root / name, content)


COORDINATES = "animalface_coordinates.txt"
CASES: list[tuple[str, Damage, str]] = [
    # something is missing
    ("afhq", remove("afhq/val/wild"), r"there is no folder .*afhq/val/wild; extract afhq.zip"),
    ("afhq", rename("afhq/val", "afhq/test"), r"is AFHQ version 2; get afhq.zip, version 1"),
    ("color", remove("purple"), r"has no folder purple/ with images"),
    ("artworks", remove("cezanne2photo"), r"there is no folder .*cezanne2photo/trainA; extract the CycleGAN archives"),
    ("cat2dog", remove("cat2dog/testB"), r"there is no folder .*cat2dog/testB"),
    ("celeba", remove("list_attr_celeba.txt"), r"there is no file .*list_attr_celeba.txt; get img_align_celeba.zip"),
    ("celeba", remove("img_align_celeba"), r"there is no folder .*img_align_celeba"),
    ("celeba_portraits", remove("portraits"), r"there is no folder .*portraits; put the painted images"),
    (
        "stanford_cars",
        remove("devkit/cars_test_annos.mat"),
        r"there is no file .*cars_test_annos.mat; get cars",
    ),
    ("srmnist:full", remove("t10k-labels-idx1-ubyte"), r"there is no file .*t10k-labels-idx1-ubyte \(nor with .gz\)"),
    ("mnist_svhn", remove("test_32x32.mat"), r"there is no file .*test_32x32.mat; get it \(format 2"),
    ("edges_shoes_bags", remove("edges2handbags/val"), r"there is no folder .*edges2handbags/val; extract edges2handb"),
    ("birds", remove("nabirds/image_class_labels.txt"), r"there is no file .*image_class_labels.txt; extract nabirds"),
    ("foods", remove("UECFOOD256/3/bb_info.txt"), r"there is no file .*UECFOOD256/3/bb_info.txt; extract UECFOOD256"),
    ("flowers_opponent", remove("setid.mat"), r"there is no file .*setid.mat; get 102flowers.tgz"),
    (
        "scenenet_rgbd",
        remove("wnid_to_class.txt"),
        r"no file .*wnid_to_class.txt; get it from .*pySceneNetRGBD",
    ),
    ("scenenet_rgbd", remove("scenenet_rgbd_val.pb"), r"there is no file .*scenenet_rgbd_val.pb \(nor in train_proto"),
    ("scenenet_rgbd", remove("val"), r"no images <part>/<video>/photo/\*.jpg in .*val"),
    ("sun_rgbd", remove("sunrgbd_training_images.txt"), r"there is no file .*sunrgbd_training_images.txt"),
    ("biased_handbags", remove("labels.csv"), r"there is no file .*labels.csv; write it: file,color,texture"),
    ("cityscapes_synthia", remove("SYNTHIA-SEQS-01-NIGHT"), r"there is no folder SYNTHIA-SEQS-\*-NIGHT"),
    # half an archive, or the list of another version: files that are listed are not there, or not listed
    ("afd", remove("n02085936/n02085936_4.JPEG"), r"names 1 of 80 images that are not there, the first is .*_4.JPEG"),
    ("animal_faces", remove("ILSVRC/Data/CLS-LOC/train/n02123045"), r"names 10 of 60 images that are not there"),
    (
        "celeba",
        remove("img_align_celeba/000007.jpg"),
        r"list_attr_celeba.txt names 1 of 24 images .*000007.jpg",
    ),
    (
        "celeba",
        lambda root: Image.new("RGB", (178, 218)).save(root / "img_align_celeba/9.jpg"),
        r"does not list 1 images",
    ),
    ("stanford_cars", remove("cars_train/00002.jpg"), r"cars_train_annos.mat names 1 of 8 images .*00002.jpg"),
    ("birds", remove("nabirds/images/0297"), r"images.txt names 10 of 100 images"),
    ("foods", remove("UECFOOD256/2/201.jpg"), r"2/bb_info.txt names 1 of 16 images"),
    ("flowers_opponent", remove("jpg/image_00013.jpg"), r"imagelabels.mat names 1 of 80 images .*image_00013.jpg"),
    ("scenenet_rgbd", remove("train/0/1/photo"), r"train/0/1/photo holds 0 frames, other videos 3; extract"),
    ("scenenet_rgbd", remove("val/0/2/depth/750.png"), r"names 1 of 36 images .*val/0/2/depth/750.png"),
    ("sun_rgbd", remove("sunrgbd_train_test_labels/img-000011.png"), r"names 1 of 20 images .*img-000011.png"),
    ("sun_rgbd", remove("SUNRGBD/kv1/NYUdata/NYU0003/depth_bfx"), r"NYU0003/depth_bfx holds 0 depth images"),
    ("freiburg_forest", remove("freiburg_forest_annotated/train/nir_gray/b1-00004.tif"), r"b1-00004 is in only one of"),
    (
        "biased_makeup",
        append("labels.csv", "makeup/ghost.jpg,female\n"),
        r"csv names 1 of 45 images .*ghost.jpg",
    ),
    ("morph", remove("Album2/000005_00M25.JPG"), r"nonCommercial.csv names 1 of 81 images .*000005_00M25.JPG"),
    # label files of another version or damaged
    ("afd", append(COORDINATES, "n02085620/n02085620_1.JPEG 1 2 3\n"), r"line 97 of .* has 4 columns instead of 5"),
    ("afd", append(COORDINATES, "n02085620/n02085620_1.JPEG 1 2 three 4\n"), r"is no four numbers"),
    ("afd", append(COORDINATES, "n02085620/n02085620_1.JPEG 9 9 9 20\n"), r"the box 9 9 9 20 .* is empty"),
    ("afd", replace(COORDINATES, "n02114712/", "n99999999/"), r"lists no face of n02114712: it is another version"),
    ("celeba", replace("list_attr_celeba.txt", "24\n", "25\n"), r"lists 24 images but announces 25: it is cut off"),
    ("celeba", replace("list_attr_celeba.txt", "24\n", ""), r"does not begin with the number of images"),
    (
        "celeba",
        replace("list_attr_celeba.txt", "000003.jpg -1", "000003.jpg 0"),
        r"says '0' of 000003.jpg where 1",
    ),
    ("celeba", replace("list_attr_celeba.txt", CELEBA_ATTRIBUTES[3], ""), r"has 41 columns instead of 40"),
    (
        "celeba",
        replace("list_eval_partition.txt", "000003.jpg 0\n", ""),
        r"only one of .* lists 000003.jpg",
    ),
    ("celeba", replace("list_eval_partition.txt", "000003.jpg 0", "000003.jpg 7"), r"in the part '7'; known: 0, 1, 2"),
    ("stanford_cars", matlab("devkit/cars_train_annos.mat", other=1), r"holds no 'annotations': it is another file"),
    ("stanford_cars", matlab("devkit/cars_train_annos.mat", annotations=[1, 2]), r"have no field 'bbox_x1'"),
    ("stanford_cars", halve("devkit/cars_train_annos.mat"), r"cannot read .*cars_train_annos.mat"),
    ("srmnist:full", halve("train-images-idx3-ubyte"), r"of \d+ bytes: it is cut off; get it again"),
    ("srmnist:full", write("train-images-idx3-ubyte", "hello"), r"is no idx file of bytes"),
    (
        "srmnist:full",
        rename("t10k-labels-idx1-ubyte", "train-labels-idx1-ubyte"),
        r"\(100,\) labels for \(400, 28",
    ),
    ("mnist_svhn", matlab("train_32x32.mat", X=np.zeros((4, 4)), y=[1]), r"instead of \(32, 32, 3, N\)"),
    ("birds", replace("nabirds/image_class_labels.txt", "00000003-0004 298\n", ""), r"only one of .* 00000003-0004"),
    ("foods", append("UECFOOD256/2/bb_info.txt", "201 5 5 9\n"), r"2/bb_info.txt has 4 columns instead of 5"),
    ("flowers_opponent", matlab("imagelabels.mat", labels=[1, 2, 3]), r"does not share out the 3 images"),
    ("scenenet_rgbd", append("wnid_to_class.txt", "12 thing.n.01 Gadget\n"), r"has the line '12 thing.n.01 Gadget'"),
    ("biased_makeup", replace("labels.csv", "male 3.jpg,male", "male 3.jpg,man"), r"says 'man' of nomakeup/male 3.jpg"),
    ("biased_makeup", write("labels.csv", "file\nmakeup/1.jpg\n"), r"has no column 'gender'"),
    ("biased_handbags", replace("labels.csv", ",black,", ",blue,"), r"'blue'; write red or black"),
    ("morph", replace("morph_2008_nonCommercial.csv", ",F,", ",X,"), r"gives gender 'X'"),
]


@pytest.mark.parametrize(("name", "damage", "message"), CASES)
def test_bad_layout(name: str, damage: Damage, message: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    damage(root)
    with pytest.raises(UserError, match=message or None) as error:
        index(make(name), root)
    assert "\n" not in str(error.value)


def first_load(name: str, root: Path, domain: str) -> np.ndarray:
    dataset = make(name)
    return dataset.load(root, next(item for item in dataset.scan(root) if item.domain == domain), 64)


@pytest.mark.parametrize(
    ("name", "damage", "domain", "message"),
    [
        ("celeba", "img_align_celeba/{:06}.jpg", "woman", r"is 300x300, not 178x218: take img_align_celeba.zip"),
        ("edges_shoes_bags", "edges2shoes/train/{}_AB.jpg", "edges", r"is 300x300, not two squares side by side"),
    ],
)
def test_images_of_another_version(name: str, damage: str, domain: str, message: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    for i in range(1, 19):
        Image.new("RGB", (300, 300), (i, i, i)).save(root / damage.format(i))
    with pytest.raises(UserError, match=message):
        first_load(name, root, domain)


def test_box_of_other_images(tmp_path: Path) -> None:
    root = TREES["foods"](tmp_path)
    for file in root.rglob("*.jpg"):
        Image.new("RGB", (60, 60)).save(file)
    with pytest.raises(UserError, match=r"the box \(110, 20, 190, 140\) lies outside of .* \(60x60\)"):
        make("foods").load(root, next(i for i in make("foods").scan(root) if "@110,20" in i.id), 64)


def test_sun_label_of_another_list(tmp_path: Path) -> None:
    root = TREES["sun_rgbd"](tmp_path)
    for file in (root / "sunrgbd_train_test_labels").iterdir():
        Image.new("L", (300, 260), 40).save(file)
    with pytest.raises(UserError, match="holds the id 40; SUN RGB-D has 37 classes"):
        first_load("sun_rgbd", root, "segmentation")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\x7f\x01", "the file is cut off"),
        (b"\x0b", "wire type 3"),
        (b"", "does not describe the video"),
    ],
)
def test_damaged_protobuf(content: bytes, message: str, tmp_path: Path) -> None:
    root = TREES["scenenet_rgbd"](tmp_path)
    for file in root.rglob("*.pb"):
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        first_load("scenenet_rgbd", root, "segmentation")


def test_unknown_object_of_scenenet(tmp_path: Path) -> None:
    root = TREES["scenenet_rgbd"](tmp_path)
    (root / "wnid_to_class.txt").write_text("wnid name 13_classes\n4546855 wall.n.01 Wall\n")
    with pytest.raises(UserError, match=r"wnid_to_class.txt does not know the WordNet number 3001627"):
        first_load("scenenet_rgbd", root, "segmentation")


def test_all_149_kinds_of_ready_crops(tmp_path: Path) -> None:
    for c in range(148):
        (tmp_path / f"n{c:08}").mkdir()
        (tmp_path / f"n{c:08}" / "1.jpg").touch()
    with pytest.raises(UserError, match="holds 148 of 149 class folders"):
        make("animal_faces").scan(tmp_path)
