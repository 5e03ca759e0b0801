"""Animal faces: 16 breeds of dogs -> 3 breeds of wolves, the main benchmark of BalaGAN."""

import hashlib
from pathlib import Path

from bench.dataset import Dataset, Item
from bench.errors import UserError
from bench.images import image_files
from bench.registry import register

BREEDS = {"dog": 16, "wolf": 3}
TRAIN = {"dog": 10_000, "wolf": 1_000}  # BalaGAN section 4: the training set


@register
class AnimalFaces(Dataset):
    """Animal faces of FUNIT, dogs (16 breeds) -> wolves (3 breeds), as in BalaGAN section 4; not shipped.

    Trains on the paper's 10,000 dogs and 1,000 wolves, chosen by hash; all others are held out. A domain with fewer
    than a quarter more images than that has a fifth held out instead.
    """

    name = "afd"
    aliases = ("animal-faces", "dog2wolf")
    domains = ("dog", "wolf")
    resolution = 128
    homepage = "https://github.com/NVlabs/FUNIT"
    license = "ImageNet terms: non-commercial research and education"
    layout = "face crops by breed: dog/<16 breeds>/*.jpg and wolf/<3 breeds>/*.jpg"

    def scan(self, root: Path) -> list[Item]:
        return [item for domain in self.domains for item in _domain(root, domain)]


def _domain(root: Path, domain: str) -> list[Item]:
    if not (root / domain).is_dir():
        raise UserError(f"there is no folder {root / domain}; afd needs {AnimalFaces.layout}")
    files = [file.relative_to(root) for file in image_files(root / domain)]
    breeds = {file.parts[1] for file in files if len(file.parts) > 2}
    loose = [file for file in files if len(file.parts) < 3]
    if loose or len(breeds) != BREEDS[domain]:
        raise UserError(
            f"{root / domain} must hold {BREEDS[domain]} folders of images, one a breed; it holds {len(breeds)} and "
            f"{len(loose)} images outside of them: mend it, or use --dataset folder:DIR for other sets"
        )
    files.sort(key=lambda file: hashlib.sha256(f"afd {file.as_posix()}".encode()).hexdigest())
    train = TRAIN[domain] if len(files) >= 1.25 * TRAIN[domain] else len(files)
    return [
        Item(file.as_posix(), domain, "train" if i < train else "test", file.parts[1], file.as_posix())
        for i, file in enumerate(files)
    ]
