"""CelebA: woman -> man of BalaGAN (tables 2, 3), any pair of attributes, and the ten of SDIT (thesis table 6.2).

Layout from the data set's own README: 202,599 aligned images 178x218, 40 attributes, an official partition.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, read_rgb, register, square, unknown
from bench.datasets.layouts import by_hash, entry, faces

TRAIN = (10_000, 1_000)  # BalaGAN section 4: source, target
TEST = 1_000  # a domain: our choice; the thesis leaves 2,000 random images out in all
SIZE = (178, 218)


@register
class CelebA(Dataset):
    """Aligned celebrity faces, woman -> man; `celeba:Smiling` is without -> with it.

    `celeba:Young-Male` is young but not male -> male but not young, and so on for any two attributes.

    10,000 source and 1,000 target images of the official training part, at most 1,000 a domain of the official test
    part, all drawn by hash. BalaGAN names no images and no split. Images are the official 178x218 crop (as the thesis
    uses it), of which the centre square of 178 is resized (as SDIT's code does; the thesis does not say how 178x218
    becomes 128x128).
    """

    name = "celeba"
    domains = ("woman", "man")
    attributes = (
        *("Bangs", "Blond_Hair", "Brown_Hair", "Young", "Male"),
        *("Mouth_Slightly_Open", "Smiling", "Pale_Skin", "Wearing_Hat", "Eyeglasses"),
    )  # the ten of SDIT, thesis section 6.5.2
    resolution = 128
    protocol = "balagan"
    homepage = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    license = "non-commercial research only, no redistribution"
    layout = "img_align_celeba/*.jpg (178x218), list_attr_celeba.txt, list_eval_partition.txt"
    paper = "BalaGAN tables 2, 3; thesis chapter 6, tables 6.1, 6.2"
    compare = "FID of BalaGAN, by order of size only: neither images nor FID code are given there"

    def __init__(self, argument: str | None = None) -> None:
        self.has: tuple[str | None, str | None] = None, "Male"
        self.lacks: tuple[str | None, str | None] = "Male", None
        if argument is None or set(argument.split("-")) == {"woman", "man"}:
            super().__init__(argument)
            return
        first, hyphen, second = argument.partition("-")
        if not first or (hyphen and not second) or first == second:
            raise UserError(f"the data set celeba has no task {argument!r}; write celeba:Smiling or celeba:Young-Male")
        self.has = (first, second) if hyphen else (None, first)
        self.lacks = (second, first) if hyphen else (first, None)
        self.domains = (first, second) if hyphen else (f"not_{first}", first)
        super().__init__()
        self.argument = self.variant = argument

    def scan(self, root: Path) -> list[Item]:
        lists = [root / "list_attr_celeba.txt", root / "list_eval_partition.txt"]
        table, parts = faces.attribute_table(lists[0]), faces.partition(lists[1])
        if odd := sorted(table.keys() ^ parts.keys()):
            raise UserError(
                f"only one of {lists[0]} and {lists[1]} lists {odd[0]}: they differ in version; {faces.MEND}"
            )
        for name in {*self.has, *self.lacks} - {None}:
            if name not in faces.attribute_names(lists[0]):
                raise unknown("attribute of CelebA", str(name), faces.attribute_names(lists[0]))
        folder = faces.image_folder(root)
        faces.check_complete(folder, list(table), lists[0])
        return [item for i in (0, 1) for item in self._domain(root, folder, i, table, parts)]

    def _domain(
        self, root: Path, folder: Path, i: int, table: dict[str, frozenset[str]], parts: dict[str, str]
    ) -> list[Item]:
        has, lacks = self.has[i], self.lacks[i]
        items = [
            entry(root, folder / name, self.domains[i], parts[name], below=folder, attributes=self._ten(marked))
            for name, marked in table.items()
            if (has is None or has in marked) and lacks not in marked
        ]
        order = by_hash(items, "celeba")
        train = [item for item in order if item.split == "train"][: TRAIN[i]]
        return train + [item for item in order if item.split == "test"][:TEST]

    def _ten(self, marked: frozenset[str]) -> tuple[str, ...]:
        return tuple(name for name in self.attributes if name in marked)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        image = read_rgb(path)
        if image.size != SIZE:
            size = f"{image.width}x{image.height}"
            raise UserError(f"the image {path} is {size}, not 178x218: take img_align_celeba.zip, not img_celeba.7z")
        return square(image, resolution, str(path))
