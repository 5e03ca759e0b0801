"""The images of one part of a data set as PNG files, for other programs."""

import shutil
from pathlib import Path

from PIL import Image

from bench.core.errors import UserError
from bench.core.files import writable_folder
from bench.data.decode import Report
from bench.data.names import flat_names
from bench.data.task import Domain


def export(domain: Domain, folder: Path, report: Report) -> list[str]:
    """Writes each image as `folder`/<id>.png, with __ for / in the id; returns the names in the order of the images.

    `bench evaluate` finds the translations of images that keep these names. The folder is new or empty, and appears
    when it is whole. Raises UserError where it holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an empty folder; choose another --out")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    names = flat_names(domain.ids)
    try:
        writable_folder(partial, "folder of exported images")
        for row, name in enumerate(names):
            Image.fromarray(domain.images([row])[0].transpose(1, 2, 0)).save(partial / name)
            report(f"writing images of {domain.name}", row + 1, len(names))
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write images to {folder}: {error.strerror or error}; choose another --out") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return names
