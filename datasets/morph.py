"""MORPH album 2: young -> old, with far fewer women than men, of UDIT (thesis tables 5.1, 5.2, figure 5.8).

Layout as the non-commercial release has it: morph_2008_nonCommercial.csv with the columns id_num, picture_num, dob,
doa, race, gender (M, F), facial_hair, age, age_diff, glasses, photo (the image's path, Album2/009055_1M54.JPG).
"""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, read_rgb, register
from bench.datasets.layouts import draw, entry, fit, read_csv, require_listed

YOUNGER_THAN, OLD_FROM = 30, 40  # years; not in the thesis: our choice, with enough images on either side
GENDERS = {"M": "male", "F": "female"}
RACES = {"B": "african", "W": "european", "H": "hispanic", "A": "asian", "O": "other"}
# (domain, label) -> images to train on (table 5.1) and to hold out (table 5.2)
SIZES = {(age, gender): (n, 200) for age in ("young", "old") for gender, n in (("male", 10_000), ("female", 1_000))}


@register
class Morph(Dataset):
    """Faces below 30 -> faces of 40 and above: 10,000 men and 1,000 women each, 200 and 200 held out, by hash.

    No person is in both splits. The thesis gives neither the limits of age nor the images. Its images are 256x256;
    smaller ones are enlarged.
    """

    name = "morph"
    domains = ("young", "old")
    labels = ("female", "male")
    attributes = ("african", "european", "hispanic", "asian", "other")
    resolution = 256
    protocol = "udit"
    homepage = "https://uncw.edu/oic/tech/morph.html (unchecked)"
    license = "by contract with the University of North Carolina Wilmington"
    layout = "morph_2008_nonCommercial.csv and the images that it names (Album2/*.JPG)"
    paper = "thesis chapter 5, tables 5.1-5.3, figure 5.8"
    compare = "nothing as a number: the thesis draws its figures"

    def scan(self, root: Path) -> list[Item]:
        path = root / "morph_2008_nonCommercial.csv"
        mend = "take the list of the non-commercial release (album 2)"
        rows = read_csv(path, ["id_num", "race", "gender", "age", "photo"], mend)
        require_listed([root / row["photo"] for row in rows], path)
        items: list[Item] = []
        people: dict[str, str] = {}
        for row in rows:
            if row["gender"] not in GENDERS or not row["age"].isdigit():
                raise UserError(f"{path} gives gender {row['gender']!r}, age {row['age']!r} for {row['photo']}; {mend}")
            age = int(row["age"])
            if YOUNGER_THAN <= age < OLD_FROM:
                continue
            domain = "young" if age < YOUNGER_THAN else "old"
            race = (RACES[row["race"]],) if row["race"] in RACES else ()
            item = entry(root, root / row["photo"], domain, label=GENDERS[row["gender"]], attributes=race)
            items.append(item)
            people[item.id] = row["id_num"]
        return draw(items, SIZES, self.name, unit=lambda item: people[item.id])

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return fit(read_rgb(root / item.file), resolution, str(root / item.file))
