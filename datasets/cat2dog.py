"""cat2dog: faces of cats and dogs, the two-class set of DRIT and of DeepI2I (figure 7)."""

from pathlib import Path

from bench import Dataset, Item, register
from bench.datasets.layouts import inside, train_test_folders


@register
class Cat2Dog(Dataset):
    """Cats -> dogs in DRIT's CycleGAN layout: trainA/ testA/ are cats, trainB/ testB/ dogs; 2,235 images.

    DeepI2I splits the pool 90/10 without a list. Here the split is the folders' (771 + 100 cats, 1,264 + 100 dogs,
    about 91/9).
    """

    name = "cat2dog"
    domains = ("cat", "dog")
    resolution = 128
    protocol = "deepi2i"
    homepage = "https://github.com/HsinYingLee/DRIT"
    license = "unchecked"
    layout = "trainA/ testA/ (cats) and trainB/ testB/ (dogs)"
    paper = "DeepI2I figure 7"
    compare = "DeepI2I's mFID, RC, FC of figure 7, with another draw of the held-out images"

    def scan(self, root: Path) -> list[Item]:
        place = inside(root, "cat2dog")
        mend = f"extract DRIT's cat2dog archive (again), see {self.homepage}"
        return [
            item
            for side, domain in zip("AB", self.domains)
            for item in train_test_folders(root, place, side, domain, mend)
        ]
