"""Animal faces: 16 breeds of dogs -> 3 breeds of wolves, the main benchmark of BalaGAN (tables 1, 3, 5)."""

from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, register
from bench.datasets.layouts import class_folders, entry
from bench.datasets.layouts.animal_kinds import coordinates, faces, load_face

# BalaGAN does not name its 16 breeds. Ours: common breeds of many forms of face, all among FUNIT's 149 classes.
DOGS = (
    *("n02085620", "n02085936", "n02088238", "n02088364"),  # Chihuahua, Maltese, basset, beagle
    *("n02094433", "n02099601", "n02099712", "n02106166"),  # Yorkshire terrier, golden, Labrador, Border collie
    *("n02106550", "n02106662", "n02107142", "n02108089"),  # Rottweiler, German shepherd, Doberman, boxer
    *("n02108915", "n02110185", "n02110958", "n02111889"),  # French bulldog, Siberian husky, pug, Samoyed
)
WOLVES = ("n02114367", "n02114548", "n02114712")  # timber, white, red
BREEDS = {"dog": 16, "wolf": 3}
MEND = "mend it, or use --dataset folder:DIR for other sets"


@register
class AnimalFaces(Dataset):
    """Animal faces of FUNIT, dogs (16 breeds) -> wolves (timber, white, red), 128x128, as in BalaGAN section 4.

    Trains on the paper's 10,000 dogs and 1,000 wolves, chosen by hash; all others are held out. A domain with fewer
    than a quarter more images than that has a fifth held out instead. Crops smaller than 128 are enlarged.
    `afd:n02085620,n02086240,...` takes other dogs, by ImageNet's numbers. Ready crops need no numbers for names.
    """

    name = "afd"
    aliases = ("animal-faces", "dog2wolf")
    domains = ("dog", "wolf")
    train_sizes = {"dog": 10_000, "wolf": 1_000}
    resolution = 128
    protocol = "balagan"
    homepage = "https://github.com/NVlabs/FUNIT and https://www.image-net.org (ILSVRC2012 train)"
    license = "ImageNet terms: non-commercial research and education; list of faces: CC BY-NC-SA 4.0"
    layout = (
        "face crops by breed, dog/<16 breeds>/*.jpg and wolf/<3 breeds>/*.jpg; or FUNIT's animalface_coordinates.txt "
        "with ImageNet's class folders (<synset>/*.JPEG, or ILSVRC/Data/CLS-LOC/train/<synset>/)"
    )
    paper = "BalaGAN tables 1, 3, 5"
    compare = "FID of BalaGAN, by order of size only: its breeds, its images and its FID code are not given"

    def __init__(self, argument: str | None = None) -> None:
        self.dogs: tuple[str, ...] = DOGS
        synsets = tuple(argument.split(",")) if argument else ()
        if synsets and all(name.startswith("n") and name[1:].isdigit() for name in synsets):
            super().__init__()
            self.dogs, self.argument, self.variant = synsets, argument, ",".join(sorted(synsets))
        else:
            super().__init__(argument)

    def scan(self, root: Path) -> list[Item]:
        if coordinates(root) is None:
            return [item for domain in self.domains for item in _crops(root, domain)]
        items = []
        for domain, synsets in (("dog", self.dogs), ("wolf", WOLVES)):
            crops = faces(root, self.layout, synsets)
            if missing := sorted(set(synsets) - {face.synset for face in crops}):
                raise UserError(f"{coordinates(root)} lists no face of {missing[0]}: it is another version; {MEND}")
            items += [Item(face.id, domain, "train", face.synset, face.file) for face in crops]
        return items

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return load_face(root, item.file, item.id, resolution)

    def content(self, root: Path, item: Item) -> bytes | None:
        return None if (raw := super().content(root, item)) is None else item.id.split("@")[-1].encode() + raw


def _crops(root: Path, domain: str) -> list[Item]:
    if not (root / domain).is_dir():
        raise UserError(f"there is no folder {root / domain}; afd needs {AnimalFaces.layout}")
    folders = class_folders(root / domain, f"{domain}/ holds one folder a breed: {MEND}")
    if len(folders) != BREEDS[domain]:
        raise UserError(f"{root / domain} must hold {BREEDS[domain]} folders of images, not {len(folders)}: {MEND}")
    return [entry(root, file, domain, label=breed) for breed, files in folders.items() for file in files]
