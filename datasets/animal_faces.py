"""Animal faces, 149 classes: the first many-class set of DeepI2I (table 1), from FUNIT."""

from pathlib import Path

import numpy as np

from bench import Item, UserError, register
from bench.datasets.layouts.animal_kinds import FUNIT_TEST, coordinates, faces, load_face
from bench.datasets.layouts.many_classes import ManyClasses, Picture

CLASSES = 149


@register
class AnimalFaces149(ManyClasses):
    """Faces of 149 kinds of animals: FUNIT's 119 training classes -> its 30 test classes; 128x128, labels are synsets.

    `animal_faces:n02085620-n02114367` is one class -> another. 90/10 in every class, by photograph. FUNIT counts
    117,484 faces, DeepI2I 117,574. Crops smaller than 128 are enlarged.
    """

    name = "animal_faces"
    domains = ("seen", "unseen")
    resolution = 128
    protocol = "deepi2i"
    homepage = "https://github.com/NVlabs/FUNIT and https://www.image-net.org (ILSVRC2012 train)"
    license = "ImageNet terms: non-commercial research and education; list of faces: CC BY-NC-SA 4.0"
    layout = (
        "FUNIT's crops, <149 synsets>/*.jpg; or animalface_coordinates.txt with ImageNet's class folders "
        "(<synset>/*.JPEG, or ILSVRC/Data/CLS-LOC/train/<synset>/)"
    )
    paper = "DeepI2I table 1, figures 2-6"
    compare = "mFID, mKID, RC, FC of DeepI2I, by order of size only: its split and its classifiers are not given"

    def pictures(self, root: Path) -> list[Picture]:
        crops = faces(root, self.layout)
        classes = {face.synset for face in crops}
        if coordinates(root) is None and len(classes) != CLASSES:
            raise UserError(f"{root} holds {len(classes)} of {CLASSES} class folders; cut or extract the crops again")
        return [Picture(face.id, face.synset, face.file, face.photo) for face in crops]

    def targets(self, classes: list[str]) -> set[str]:
        return set(classes) & set(FUNIT_TEST)

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        return load_face(root, item.file, item.id, resolution)

    def content(self, root: Path, item: Item) -> bytes | None:
        return None if (raw := super().content(root, item)) is None else item.id.split("@")[-1].encode() + raw
