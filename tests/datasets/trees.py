"""For every data set of the papers a miniature tree with the official layout and the official file formats.

`TREES[name](folder)` builds it and returns the folder that --from names. Every picture is unlike all others: the
colours of its left and right part are `colours(number)`, where numbers count up in the order of drawing.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

Colour = tuple[int, int, int]
WOLVES = ("n02114367", "n02114548", "n02114712")
DOGS = (
    *("n02085620", "n02085936", "n02088238", "n02088364", "n02094433", "n02099601", "n02099712", "n02106166"),
    *("n02106550", "n02106662", "n02107142", "n02108089", "n02108915", "n02110185", "n02110958", "n02111889"),
)
CELEBA_ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose"),
    *("Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses"),
    *("Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks"),
    *("Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick"),
    *("Wearing_Necklace", "Wearing_Necktie", "Young"),
)


def colours(number: int) -> tuple[Colour, Colour]:
    left = (number * 37 % 256, number * 91 % 256, number // 2 % 256)
    return left, (255 - left[0], left[2], 255 - left[1])


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        image.save(path, quality=95, subsampling=0)
    else:
        image.save(path)


def two_halves(width: int, height: int, left: Colour, right: Colour) -> Image.Image:
    image = Image.new("RGB", (width, height), left)
    image.paste(right, (width // 2, 0, width, height))
    return image


class Painter:
    """Draws pictures that all differ."""

    def __init__(self, root: Path) -> None:
        self.root, self.number = root, 0

    def draw(self, name: str, width: int = 128, height: int = 128) -> int:
        self.number += 1
        save(self.root / name, two_halves(width, height, *colours(self.number)))
        return self.number

    def many(self, pattern: str, count: int, width: int = 128, height: int = 128) -> None:
        for i in range(1, count + 1):
            self.draw(pattern.format(i), width, height)

    def write(self, name: str, lines: list[str]) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def afd(root: Path) -> Path:
    """ImageNet's folders; FUNIT's list also names a class that is not on disk, as for users who fetch 19 of 149."""
    painter, lines = Painter(root), ["n02123045/n02123045_1.JPEG 3 4 90 91"]
    for synset in (*DOGS, *WOLVES):
        for i in range(1, 6):
            painter.draw(f"{synset}/{synset}_{i}.JPEG", 160, 140)
            lines.append(f"{synset}/{synset}_{i}.JPEG 80 10 150 90")
    painter.write("animalface_coordinates.txt", lines)
    return root


def afd_crops(root: Path) -> Path:
    painter = Painter(root)
    for domain, breeds in (("dog", 16), ("wolf", 3)):
        for breed in range(breeds):
            painter.many(f"{domain}/breed-{breed:02}/{{}}.jpg", 5)
    return root


def animal_faces(root: Path) -> Path:
    painter, lines = Painter(root), []
    for synset in ("n02085620", "n02085936", "n02088238", "n02114367", "n02123045", "n02124075"):
        for i in range(1, 11):
            name = f"{synset}/{synset}_{i}.JPEG"
            painter.draw(f"ILSVRC/Data/CLS-LOC/train/{name}", 160, 140)
            lines += [f"{name} 80 10 150 90"] + ([f"{name} 5 10 75 90"] if i == 1 else [])
    painter.write("animalface_coordinates.txt", lines)
    return root


def afhq(root: Path) -> Path:
    painter = Painter(root)
    for kind, count in (("cat", 5), ("dog", 4), ("wild", 3)):
        painter.many(f"afhq/train/{kind}/flickr_{kind}_{{:06}}.jpg", count, 256, 256)
        painter.many(f"afhq/val/{kind}/flickr_{kind}_{{:06}}.jpg", 2, 256, 256)
    return root


def celeba(root: Path) -> Path:
    """24 images: even ones are men, every third smiles, every fifth wears a hat; 1-16 train, 17-20 val, 21-24 test."""
    painter = Painter(root)
    painter.many("img_align_celeba/{:06}.jpg", 24, 178, 218)
    marks = {"Male": 2, "Smiling": 3, "Wearing_Hat": 5}
    rows = [
        f"{i:06}.jpg " + " ".join("1 " if i % marks.get(name, 1000) == 0 else "-1" for name in CELEBA_ATTRIBUTES)
        for i in range(1, 25)
    ]
    painter.write("list_attr_celeba.txt", ["24", " ".join(CELEBA_ATTRIBUTES), *rows])
    parts = [f"{i:06}.jpg {0 if i <= 16 else 1 if i <= 20 else 2}" for i in range(1, 25)]
    painter.write("list_eval_partition.txt", parts)
    return root


def celeba_portraits(root: Path) -> Path:
    painter = Painter(root)
    painter.many("img_align_celeba/{:06}.jpg", 10, 178, 218)
    painter.many("portraits/trainB/portrait_{}.jpg", 5, 200, 240)
    return root


def stanford_cars(root: Path) -> Path:
    """8 images a part: the box holds red in 1-3, a mixture (a fifth red) in 4, and blue in 5-8, outside is green."""
    for part, name in (("cars_train", "cars_train_annos"), ("cars_test", "cars_test_annos")):
        fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
        records = np.zeros((1, 8), dtype=[(field, object) for field in fields])
        for i in range(1, 9):
            box = (21, 31, 160, 170)  # pixels from 1, both ends included: 140 x 140
            shade = 10 * i + (5 if part == "cars_test" else 0)
            image = Image.new("RGB", (220, 200), (20, 180, shade))
            image.paste((220, shade // 4, shade // 4) if i <= 3 else (shade, 60, 200), (20, 30, 160, 170))
            if i == 4:
                image.paste((220, 20, 20), (20, 88, 160, 112))
            save(root / part / f"{i:05}.jpg", image)
            records[0, i - 1] = (*box, 1, f"{i:05}.jpg")
        (root / "devkit").mkdir(exist_ok=True)
        savemat(root / "devkit" / f"{name}.mat", {"annotations": records})
    return root


def digit(label: int, i: int) -> np.ndarray:
    """uint8 (28, 28): a bar as long as the class is large, its shade and place from i."""
    image = np.zeros((28, 28), dtype=np.uint8)
    image[4 + label : 24, 8 + i % 8 : 14 + i % 8] = 255 - i
    return image


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def mnist(root: Path) -> Path:
    """40 digits a class to train on and 10 held out, in the order of 0 to 9, 0 to 9, ..."""
    for part, each in (("train", 40), ("t10k", 10)):
        labels = np.tile(np.arange(10), each)
        images = np.stack([digit(label, i // 10 + (100 if part == "t10k" else 0)) for i, label in enumerate(labels)])
        write_idx(root / f"{part}-images-idx3-ubyte", images)
        write_idx(root / f"{part}-labels-idx1-ubyte", labels)
    return root


def mnist_svhn(root: Path) -> Path:
    mnist(root)
    for part, count in (("train", 30), ("test", 10)):
        labels = np.arange(count) % 10
        images = np.zeros((32, 32, 3, count), dtype=np.uint8)
        images[..., 0, :], images[8:24, :, 1, :] = np.arange(count) * 8, 200
        images[0, 0, 2, :] = 1 if part == "train" else 2
        savemat(root / f"{part}_32x32.mat", {"X": images, "y": np.where(labels == 0, 10, labels)[:, None]})
    return root


def edges_shoes_bags(root: Path) -> Path:
    painter = Painter(root)
    for archive, train, val in (("edges2shoes", 18, 9), ("edges2handbags", 12, 6)):
        painter.many(f"{archive}/train/{{}}_AB.jpg", train, 512, 256)
        painter.many(f"{archive}/val/{{}}_AB.jpg", val, 512, 256)
    return root


def birds(root: Path) -> Path:
    painter, files, labels = Painter(root), [], []
    for c in range(10):
        for i in range(10):
            id = f"{c:08}-{i:04}"
            painter.draw(f"nabirds/images/{c + 295:04}/{c:08}{i:04}.jpg", 150, 130)
            files.append(f"{id} {c + 295:04}/{c:08}{i:04}.jpg")
            labels.append(f"{id} {c + 295}")
    painter.write("nabirds/images.txt", files)
    painter.write("nabirds/image_class_labels.txt", labels)
    painter.write("nabirds/classes.txt", [f"{c + 295} Bird of kind {c}" for c in range(10)])
    return root


def foods(root: Path) -> Path:
    """Eight dishes of ten photographs; photographs 1 to 6 show two dishes and lie in both folders."""
    painter = Painter(root)
    painter.write("UECFOOD256/category.txt", ["id\tname", *(f"{c}\tdish of kind {c}" for c in range(1, 9))])
    for c in range(1, 9):
        lines = ["img x1 y1 x2 y2"]
        for i in range(10):
            name = f"{c * 100 + i}"
            painter.draw(f"UECFOOD256/{c}/{name}.jpg", 200, 160)
            lines.append(f"{name} 110 20 190 140")
        if c < 3:
            for i in range(1, 7):
                shared = root / "UECFOOD256" / str(c) / f"{i}.jpg"
                save(shared, two_halves(200, 160, (250, 250 - 20 * i, 0), (0, 20 * i, 250)))
                lines.append(f"{i} 0 0 90 150" if c == 1 else f"{i} 110 0 200 150")
        painter.write(f"UECFOOD256/{c}/bb_info.txt", lines)
    return root


def cat2dog(root: Path) -> Path:
    painter = Painter(root)
    for folder, count in (("trainA", 4), ("testA", 2), ("trainB", 5), ("testB", 2)):
        painter.many(f"cat2dog/{folder}/pet_{{}}.jpg", count, 216, 216)
    return root


def color(root: Path) -> Path:
    painter = Painter(root)
    for name in ("black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow"):
        painter.many(f"{name}/{{}}.jpg", 5, 140, 130)
    return root


def artworks(root: Path) -> Path:
    painter = Painter(root)
    for painted, count in (("monet", 4), ("vangogh", 3), ("ukiyoe", 3), ("cezanne", 3)):
        painter.many(f"{painted}2photo/trainA/{{:05}}.jpg", count, 256, 256)
        painter.many(f"{painted}2photo/testA/{{:05}}.jpg", 1, 256, 256)
    painter.many("monet2photo/trainB/2014-08-01 {:02}.jpg", 5, 256, 256)
    painter.many("monet2photo/testB/2014-08-02 {:02}.jpg", 2, 256, 256)
    return root


def flowers_opponent(root: Path) -> Path:
    """Image n is of class FLOWERS[n % 12]; of the twelve classes ten are in the task. Every third image is trnid."""
    painter = Painter(root)
    painter.many("jpg/image_{:05}.jpg", 96, 130, 140)
    labels = [FLOWERS[n % 12] for n in range(1, 97)]
    savemat(root / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    numbers = np.arange(1, 97)
    parts = {"trnid": numbers[numbers % 4 == 1], "valid": numbers[numbers % 16 == 2]}
    rest = np.setdiff1d(numbers, np.concatenate(list(parts.values())))
    savemat(root / "setid.mat", {"tstid": rest[None], **{name: part[None] for name, part in parts.items()}})
    return root


FLOWERS = (77, 51, 74, 46, 89, 73, 88, 94, 81, 83, 1, 102)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def instance(number: int, wordnet: str, kind: int) -> bytes:
    numbers = varint(1 << 3) + varint(number)
    return message(2, numbers + message(2, wordnet.encode()) + varint(4 << 3) + varint(kind))


def trajectory(place: str) -> bytes:
    """Instance 0 is background, 1 a wall, 300 a chair; views and the layout are there to be skipped."""
    layout = message(1, varint(1 << 3) + varint(4) + message(2, b"room.obj"))
    pose = message(2, message(1, struct.pack("<BfBf", 0x0D, 1.0, 0x15, 2.0)))
    view = message(3, varint(1 << 3) + varint(750) + pose)
    instances = instance(0, "03001627", 1) + instance(1, "04546855", 2) + instance(300, "03001627", 4)
    return message(1, layout + instances + view + message(4, place.encode()))


def scenenet_rgbd(root: Path) -> Path:
    """Six videos to train on, two held out; frames 0, 25 and 750 of each. See `room` for the pictures."""
    painter = Painter(root)
    videos = {"train": [f"0/{v}" for v in range(1, 5)] + ["1/7", "1/8"], "val": ["0/1", "0/2"]}
    for split, places in videos.items():
        for place in places:
            for frame in (0, 25, 750):
                painter.draw(f"{split}/{place}/photo/{frame}.jpg", 320, 240)
                depth, instances = room(painter.number)
                save(root / split / place / "depth" / f"{frame}.png", Image.fromarray(depth))
                save(root / split / place / "instance" / f"{frame}.png", Image.fromarray(instances))
    (root / "train_protobufs").mkdir()
    for part in "01":
        described = [trajectory(place) for place in videos["train"] if place.startswith(part)]
        (root / "train_protobufs" / f"scenenet_rgbd_train_{part}.pb").write_bytes(b"".join(described))
    (root / "scenenet_rgbd_val.pb").write_bytes(b"".join(trajectory(place) for place in videos["val"]))
    table = ["wnid     name       13_classes", "3001627  chair.n.01 Chair", "4546855  wall.n.01  Wall"]
    painter.write("wnid_to_class.txt", table)
    return root


def room(number: int) -> tuple[np.ndarray, np.ndarray]:
    """uint16 (240, 320) depth in millimetres: 1000 + number left, 5000 right; and instances: wall left, chair right,
    background in the upper rows."""
    depth = np.full((240, 320), 1000 + number, dtype=np.uint16)
    depth[:, 160:] = 5000
    instances = np.full((240, 320), 1, dtype=np.uint16)
    instances[:, 160:] = 300
    instances[:60] = 0
    return depth, instances


def sun_rgbd(root: Path) -> Path:
    """20 rooms, the first 9 in the list of test images. Depth: 2 m left, 3 m right, turned by three bits."""
    painter, lines = Painter(root), []
    for i in range(1, 21):
        place = f"kv1/NYUdata/NYU{i:04}"
        painter.draw(f"SUNRGBD/{place}/image/NYU{i:04}.jpg", 300, 260)
        millimetres = np.full((260, 300), 2000 + i, dtype=np.uint32)
        millimetres[:, 150:] = 3000
        turned = ((millimetres << 3) | (millimetres >> 13)) & 0xFFFF
        save(root / "SUNRGBD" / place / "depth_bfx" / f"NYU{i:04}.png", Image.fromarray(turned.astype(np.uint16)))
        ids = np.full((260, 300), 4, dtype=np.uint8)  # bed
        ids[:, 150:] = 37  # bag
        ids[0, 0] = i
        save(root / "sunrgbd_train_test_labels" / f"img-{i:06}.png", Image.fromarray(ids))
        lines.append(f"SUNRGBD/{place}/image/NYU{i:04}.jpg")
    painter.write("sunrgbd_testing_images.txt", lines[:9])
    painter.write("sunrgbd_training_images.txt", lines[9:])
    return root


def freiburg_forest(root: Path) -> Path:
    """Ten scenes to train on and three held out. Labels: sky left, trees right, one pixel row of an unknown colour."""
    painter = Painter(root)
    for split, numbers in (("train", range(10)), ("test", range(50, 53))):
        place = f"freiburg_forest_annotated/{split}"
        for n in numbers:
            scene = f"b1-{n:05}"
            painter.draw(f"{place}/rgb/{scene}_Clipped.jpg", 300, 280)
            labels = two_halves(300, 280, (0, 120, 255), (0, 60, 0))
            labels.paste((255, 255, 255), (0, 100, 300, 110))
            labels.putpixel((0, 0), (n, n, n))
            save(root / place / "GT_color" / f"{scene}_mask.png", labels)
            depth = np.full((280, 300), 51, dtype=np.uint8)
            depth[:, 150:], depth[0, 0] = 204, n
            save(root / place / "depth_gray" / f"{scene}_Clipped_redict_depth_gray.png", Image.fromarray(depth))
            nir = np.full((280, 300), 13107, dtype=np.uint16)  # a fifth of 65535
            nir[:, 150:], nir[0, 0] = 52428, n
            save(root / place / "nir_gray" / f"{scene}.tif", Image.fromarray(nir))
    return root


def biased_makeup(root: Path) -> Path:
    painter, lines = Painter(root), ["file,gender"]
    for domain, gender, count in (("nomakeup", "male", 20), ("nomakeup", "female", 4), ("makeup", "female", 20)):
        for i in range(count):
            painter.draw(f"{domain}/{gender} {i}.jpg", 256, 256)
            lines.append(f"{domain}/{gender} {i}.jpg,{gender}")
    painter.write("labels.csv", lines)
    return root


def morph(root: Path) -> Path:
    """40 people with two photographs each, one below 30, one above 40; every fourth is a woman; one of 35 years."""
    painter = Painter(root)
    lines = ["id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo"]
    for person in range(40):
        gender, race = ("F" if person % 4 == 0 else "M"), "BWH"[person % 3]
        for picture, age in enumerate((20 + person % 10, 40 + person % 20, *([35] if person == 3 else []))):
            name = f"Album2/{person:06}_{picture:02}{gender}{age}.JPG"
            painter.draw(name, 200, 240)
            lines.append(f"{person:06},{picture},1/1/1970,1/1/2003,{race},{gender},NULL,{age},0,NULL,{name}")
    painter.write("morph_2008_nonCommercial.csv", lines)
    return root


def cityscapes_synthia(root: Path) -> Path:
    painter = Painter(root)
    for split, city, count in (("train", "aachen", 8), ("val", "lindau", 4), ("test", "berlin", 2)):
        name = f"leftImg8bit/{split}/{city}/{city}_{{:06}}_000019_leftImg8bit.png"
        painter.many(name, count, 512, 256)
    for sequence, count in (("01-NIGHT", 8), ("05-SPRING", 3), ("05-FOG", 3)):
        painter.many(f"SYNTHIA-SEQS-{sequence}/RGB/Stereo_Left/Omni_F/{{:06}}.png", count, 400, 256)
        painter.many(f"SYNTHIA-SEQS-{sequence}/RGB/Stereo_Left/Omni_B/{{:06}}.png", 1, 400, 256)
    return root


def biased_handbags(root: Path) -> Path:
    painter, lines = Painter(root), ["file,color,texture"]
    for color, texture in (("black", "flat"), ("red", "textured"), ("red", "flat"), ("black", "textured")):
        for i in range(12):
            name = f"{'train' if i < 10 else 'val'}/{color}_{texture}_{i}_AB.jpg"
            painter.draw(f"edges2handbags/{name}", 512, 256)
            lines.append(f"{name},{color},{texture}")
    painter.draw("edges2handbags/train/unlabelled_AB.jpg", 512, 256)
    painter.write("labels.csv", lines)
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    **{"afd": afd, "afhq": afhq, "celeba": celeba, "stanford_cars": stanford_cars, "srmnist:full": mnist},
    **{"mnist_svhn": mnist_svhn, "edges_shoes_bags": edges_shoes_bags, "celeba_portraits": celeba_portraits},
    **{"animal_faces": animal_faces, "birds": birds, "foods": foods, "cat2dog": cat2dog, "color": color},
    **{"artworks": artworks, "flowers_opponent": flowers_opponent, "scenenet_rgbd": scenenet_rgbd},
    **{"sun_rgbd": sun_rgbd, "freiburg_forest": freiburg_forest, "biased_makeup": biased_makeup, "morph": morph},
    **{"cityscapes_synthia": cityscapes_synthia, "biased_handbags": biased_handbags},
}
