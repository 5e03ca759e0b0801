"""AFHQ: dogs, cats and wild animals, the balanced set of BalaGAN (tables 3, 4, 6) and of StarGAN v2."""

from pathlib import Path

from bench import Dataset, Item, UserError, register
from bench.datasets.layouts import entry, images_of, inside

SPLITS = {"train": "train", "val": "test"}


@register
class AFHQ(Dataset):
    """Animal faces 512x512 of three kinds (version 1), dog -> cat by default; `afhq:cat-wild` and so on.

    Trains on train/ (4,739 dogs, 5,153 cats, 4,738 wild), holds val/ out (500 each). BalaGAN does not say which images
    it measures on.
    """

    name = "afhq"
    domains = ("dog", "cat", "wild")
    resolution = 256
    protocol = "balagan"
    homepage = "https://github.com/clovaai/stargan-v2"
    license = "CC BY-NC 4.0"
    layout = "train/ and val/, each with cat/, dog/ and wild/ (version 1, afhq.zip)"
    paper = "BalaGAN tables 3, 4, 6"
    compare = "FID of BalaGAN, by order of size only: neither split nor FID code is given there"

    def scan(self, root: Path) -> list[Item]:
        place = inside(root, "afhq")
        if (place / "test").is_dir() and not (place / "val").is_dir():
            raise UserError(f"{place} holds test/ instead of val/: it is AFHQ version 2; get afhq.zip, version 1")
        mend = f"extract afhq.zip of {self.homepage} (again)"
        return [
            entry(root, file, domain, split, below=place)
            for domain in self.domains
            for folder, split in SPLITS.items()
            for file in images_of(place / folder / domain, mend)
        ]
