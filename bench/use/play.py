"""`bench play`: a page on loopback that shows what trained translators make of a drawing, at once."""

import io
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from msgspec import Struct, ValidationError, convert
from PIL import Image

from bench.core import loopback
from bench.core.errors import UserError
from bench.core.files import write_text
from bench.core.page import rendered
from bench.core.text import plain
from bench.data.images import DAMAGE, FORMATS, read_rgb
from bench.data.task import TaskData, load_task
from bench.use.arrays import fitted
from bench.use.trained import Guide, Trained
from bench.use.translate_files import save_png

HERE = Path(__file__).parent
LARGEST = 4 << 20  # bytes of an image that the page sends
PIXELS = 1 << 22  # of an image that the page sends; the page makes it smaller before
OFFERED = 24  # held-out sources and references to choose from


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """What the page asks for beside the image: of which run, with which draw, guided by which reference and class."""

    run: int = 0
    seed: int = 0
    reference: int | None = None
    label: int | None = None


class Player:
    """Translators, and what the page may choose among: written into `folder` as pictures, together with the page."""

    def __init__(self, translators: Sequence[Trained], folder: Path) -> None:
        self.translators = translators
        self._lock = threading.Lock()  # one translation at a time
        self._references = [_offered_references(trained) for trained in translators]
        sources = _held_out(translators)
        for name, images in [("sources", sources), *((f"references-{i}", r) for i, r in enumerate(self._references))]:
            for number, image in enumerate(images):
                save_png(folder / name / f"{number}.png", image)
        write_text(folder / "index.html", self._page(sources))

    def translate(self, asked: Asked, image: bytes) -> bytes:
        """The translation as PNG. Raises UserError for an image or a choice that is none."""
        if not 0 <= asked.run < len(self.translators) or not 0 <= asked.seed < 2**31:
            raise UserError("there is no such run or draw")
        trained = self.translators[asked.run]
        source = fitted(_decoded(image), trained.resolution)
        with self._lock:
            made = trained.translate(source[None], self._guide(trained, asked))[0]
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(made.transpose(1, 2, 0))).save(buffer, format="PNG")
        return buffer.getvalue()

    def _guide(self, trained: Trained, asked: Asked) -> Guide:
        """A reference that was chosen has the seed's noise; without one the seed draws the reference, too."""
        if asked.reference is None:
            return trained.guides(1, asked.seed, asked.label)[0]
        offered = self._references[asked.run]
        if not 0 <= asked.reference < len(offered):
            raise UserError("there is no such reference")
        label = asked.label
        if label is None and trained.method.class_conditional:
            classes = trained.references.classes
            label = int(classes[_spread(len(classes))[asked.reference]])
        return trained.guides(1, asked.seed, label, offered[asked.reference][None])[0]

    def _page(self, sources: np.ndarray) -> str:
        runs = [
            {
                "name": plain(trained.name),
                "what": plain(f"{trained.spec.dataset}: {trained.task.names[0]} to {trained.task.names[1]}"),
                "draws": trained.method.guidance != "none" or len(trained.labels) > 1,
                "references": len(references),
                "labels": [{"number": number, "name": plain(name)} for number, name in trained.labels.items()],
            }
            for trained, references in zip(self.translators, self._references)
        ]
        dark = bool(len(sources)) and float(np.median(sources[:, :, 0])) < 128  # the first row of pixels
        return rendered(HERE, data={"runs": runs, "sources": len(sources), "dark": dark, "largest": LARGEST})


def server(translators: Sequence[Trained], folder: Path, port: int) -> ThreadingHTTPServer:
    """A server on loopback; port 0 takes a free one.

    folder  an empty one, for the page and its pictures
    """
    player = Player(translators, folder)

    class Handler(loopback.Files):
        def do_POST(self) -> None:
            self.reply(*_answer(self, player))

    return loopback.server(folder, port, Handler)


def _answer(request: loopback.Files, player: Player) -> tuple[int, bytes, str]:
    where = urlsplit(request.path)
    said = "text/plain; charset=utf-8"
    if where.path != "/translate":
        return HTTPStatus.NOT_FOUND, b"there is nothing here", said
    image = request.body(LARGEST)
    if image is None:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an image of 1 to {LARGEST} bytes is expected".encode(), said
    try:
        asked = convert(dict(parse_qsl(where.query)), Asked, strict=False)
        return HTTPStatus.OK, player.translate(asked, image), "image/png"
    except (UserError, ValidationError) as error:
        return HTTPStatus.BAD_REQUEST, plain(str(error)).encode(), said


def _decoded(image: bytes) -> Image.Image:
    """Raises UserError for what is no image, and for one of more than PIXELS, before it is decoded."""
    try:
        with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
            width, height = opened.size
    except (*DAMAGE, Image.DecompressionBombError):
        raise UserError("this is no image that can be read; take a PNG, JPEG, WebP, GIF, BMP or TIFF") from None
    if width * height > PIXELS:
        raise UserError(f"the image is {width}x{height}, and at most {PIXELS} pixels are taken; make it smaller")
    return read_rgb(io.BytesIO(image), "that was sent")


def _held_out(translators: Sequence[Trained]) -> np.ndarray:
    """uint8 (n, 3, R, R): held-out sources of the first translator's data, where these are at hand."""
    first: Any = translators[0]
    try:
        spec = first.spec
        data: TaskData = load_task(spec.dataset, spec.target_size, spec.resolution, spec.subset_seed)
    except UserError:
        return np.empty((0, 3, first.resolution, first.resolution), np.uint8)
    return data.source_test.images(_spread(len(data.source_test)))


def _offered_references(trained: Trained) -> np.ndarray:
    """uint8 (n, 3, R, R): references to choose from; none where the method is not guided by one."""
    if trained.method.guidance != "reference":
        return np.empty((0, 3, trained.resolution, trained.resolution), np.uint8)
    return trained.references.images(_spread(len(trained.references.classes)))


def _spread(n: int) -> np.ndarray:
    """int64: at most OFFERED positions of n, evenly spread."""
    return np.linspace(0, n - 1, min(OFFERED, n)).astype(int)
