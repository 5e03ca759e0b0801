"""The images of one part of a data set as PNG files, for other programs."""

from pathlib import Path

from PIL import Image

from bench.core.errors import UserError
from bench.core.placing import placed
from bench.data.decode import Report
from bench.data.names import flat_names
from bench.data.task import Domain


def export(domain: Domain, folder: Path, report: Report) -> list[str]:
    """Writes each image as `folder`/<id>.png, with __ for / in the id; returns the names in the order of the images.

    `bench evaluate` finds the translations of images that keep these names. The folder is new or empty, and the images
    appear in it when all are written. Raises UserError where it holds something already, or cannot be written.
    """
    names = flat_names(domain.ids)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is there already and not an empty folder; choose another --out")
        with placed(folder, names) as part:
            for row, name in enumerate(names):
                Image.fromarray(domain.images([row])[0].transpose(1, 2, 0)).save(part / name)
                report(f"writing images of {domain.name}", row + 1, len(names))
    except OSError as error:
        raise UserError(f"cannot write images to {folder}: {error.strerror or error}; choose another --out") from None
    return names
