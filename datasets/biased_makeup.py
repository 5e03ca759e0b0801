"""UDIT's biased makeup set (thesis tables 5.1, 5.2): faces without makeup, mostly men -> women with makeup.

The thesis collected the photographs from the web and does not publish them: bring your own in the same form.
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, read_rgb, register
from bench.datasets.layouts import draw, entry, fit, images_of, read_csv, require_listed

# (domain, label) -> images to train on (table 5.1) and to hold out (table 5.2)
SIZES = {
    ("nomakeup", "male"): (1330, 100),
    ("nomakeup", "female"): (70, 0),
    ("makeup", "female"): (1400, 100),
}


@register
class BiasedMakeup(Dataset):
    """1,330 men and 70 women without makeup -> 1,400 women with makeup; `biased_makeup:makeup-nomakeup` removes it.

    Sizes of tables 5.1 and 5.2, drawn by hash; small crops are enlarged.
    """

    name = "biased_makeup"
    domains = ("nomakeup", "makeup")
    labels = ("female", "male")
    resolution = 256
    protocol = "udit"
    homepage = "https://github.com/yaxingwang/UDIT"
    license = "unchecked (photographs from the web)"
    layout = "makeup/*.jpg, nomakeup/*.jpg (cropped faces) and labels.csv (file,gender: nomakeup/1.jpg,male)"
    paper = "thesis chapter 5, tables 5.1-5.4"
    compare = "UDIT's LPIPS of table 5.4, with other photographs: by order of size only"

    def scan(self, root: Path) -> list[Item]:
        path = root / "labels.csv"
        rows = read_csv(path, ["file", "gender"], "write it: file,gender and lines like nomakeup/1.jpg,male")
        require_listed([root / row["file"] for row in rows], path)
        genders = {row["file"]: row["gender"] for row in rows}
        items = []
        for domain in self.domains:
            for file in images_of(root / domain, f"{self.name} needs {self.layout}"):
                gender = genders.get(file.relative_to(root).as_posix())
                if gender not in self.labels:
                    raise UserError(f"{path} says {gender!r} of {file.relative_to(root)}; write female or male")
                items.append(entry(root, file, domain, label=gender))
        return draw(items, SIZES, self.name)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return fit(read_rgb(root / item.file), resolution, str(root / item.file))
