"""Cityscapes by day -> SYNTHIA by night, with a few by day among them, of UDIT (thesis tables 5.1, 5.2)."""

from collections.abc import Iterator
from pathlib import Path

from bench import Dataset, Item, UserError, register
from bench.datasets.layouts import draw, entry, images_of, inside

DAY = ("SPRING", "SUMMER", "FALL", "WINTER")  # the SYNTHIA sequences that are plain day-time
NIGHT = ("NIGHT",)
# (domain, label) -> images to train on (table 5.1) and to hold out. The thesis holds out 475 of Cityscapes; the 475 of
# SYNTHIA by night are our choice, for a held-out target.
SIZES = {
    ("cityscapes", "day"): (3000, 475),
    ("synthia", "night"): (3000, 475),
    ("synthia", "day"): (300, 0),
}


@register
class CityscapesSynthia(Dataset):
    """Street scenes: 3,000 real ones by day -> 3,000 rendered ones by night and 300 by day; 256x256.

    Cityscapes' train and val (2,975 + 500 = 3,000 + 475) are pooled and drawn by hash. SYNTHIA: the left forward-facing
    camera of the video sequences. Images are cut to their centre square.
    """

    name = "cityscapes_synthia"
    domains = ("cityscapes", "synthia")
    labels = ("day", "night")
    resolution = 256
    protocol = "udit"
    homepage = "https://www.cityscapes-dataset.com and http://synthia-dataset.net"
    license = "Cityscapes: non-commercial, no redistribution; SYNTHIA: CC BY-NC-SA 3.0 (unchecked)"
    layout = (
        "leftImg8bit/train/ and leftImg8bit/val/ (<city>/*_leftImg8bit.png), and SYNTHIA-SEQS-<number>-<season>/RGB/"
        "Stereo_Left/Omni_F/*.png for NIGHT and for day-time seasons"
    )
    paper = "thesis chapter 5, tables 5.1-5.3, figure 5.10"
    compare = "nothing as a number: the thesis draws its figures"

    def scan(self, root: Path) -> list[Item]:
        mend = f"get leftImg8bit_trainvaltest.zip and the SYNTHIA video sequences, see {self.homepage}"
        items = []
        for split in ("train", "val"):
            for file in images_of(root / "leftImg8bit" / split, mend):
                if not file.stem.endswith("_leftImg8bit"):
                    raise UserError(f"{file} is no image of leftImg8bit (not *_leftImg8bit.png); {mend}")
                items.append(entry(root, file, "cityscapes", label="day"))
        for label, seasons in (("night", NIGHT), ("day", DAY)):
            for sequence in _sequences(root, seasons, mend):
                place = sequence / "RGB" / "Stereo_Left" / "Omni_F"
                items += [entry(root, file, "synthia", label=label) for file in images_of(place, mend)]
        return draw(items, SIZES, self.name)


def _sequences(root: Path, seasons: tuple[str, ...], mend: str) -> Iterator[Path]:
    sequences = [place for place in sorted(inside(root, "SYNTHIA").glob("SYNTHIA-SEQS-*")) if place.is_dir()]
    chosen = [place for place in sequences if place.name.rsplit("-", 1)[1] in seasons]
    if not chosen:
        raise UserError(f"there is no folder SYNTHIA-SEQS-*-{seasons[0]} in {root}; {mend}")
    yield from chosen
