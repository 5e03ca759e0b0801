"""CelebA photographs -> painted portraits, a task of the batch-weight paper (section 4.2, figure 6)."""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, read_rgb, register
from bench.datasets.layouts import centre, entry, faces, fit, hold_out, images_of

CROP = {"face": 160, "portrait": 178}  # centre squares of the paper's code, before the resize


@register
class CelebAPortraits(Dataset):
    """Faces -> 1,714 portraits of WikiArt, 128x128; no labels, as in the paper.

    Centre crops 160 (faces) and 178 (portraits) as in the paper's code. The paper holds nothing out; here 1,000 faces
    and 100 portraits are, by hash (a fifth where there are fewer).
    """

    name = "celeba_portraits"
    domains = ("face", "portrait")
    resolution = 128
    protocol = "batch-weight"
    homepage = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and https://github.com/HsinYingLee/DRIT"
    license = "CelebA: non-commercial research only; portraits: unchecked"
    layout = "img_align_celeba/*.jpg and portraits/ (the painted images of DRIT's portrait archive, any sub-folders)"
    paper = "batch-weight paper, figures 6 and 8"
    compare = "nothing: the paper prints pictures only"

    def scan(self, root: Path) -> list[Item]:
        folder = faces.image_folder(root)
        photographs = [entry(root, file, "face", below=folder) for file in images_of(folder, faces.MEND)]
        mend = "put the painted images of DRIT's portrait archive there (its trainB/ and testB/ or trainA/ and testA/)"
        paintings = [entry(root, file, "portrait") for file in images_of(root / "portraits", mend)]
        return hold_out(photographs, self.name, 1_000) + hold_out(paintings, self.name, 100)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        path = root / item.file
        return fit(centre(read_rgb(path), CROP[item.domain]), resolution, str(path))
