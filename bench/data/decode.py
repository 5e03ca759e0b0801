"""Decoding all images of a data set in parallel processes, so that a killed preparation goes on where it was.

The images stand in one file, images.npy, each at its place; hashes.jsonl has one line for each finished chunk: the
sha256 of each of its images. A chunk counts as finished only if its bytes still have these hashes, so neither a kill
nor a power failure can leave a bank with holes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import UserError
from bench.core.parallel import ordered
from bench.data.dataset import Dataset, Item
from bench.data.images import TooSmall

CHUNK = 64  # images of one job
NAMED = 10  # images that a message names

Report = Callable[[str, int, int], None]  # stage, images done, images in all; bench.core.progress.Reporter.tick is one


@dataclass(frozen=True)
class Decoding:
    """The work: items[i] decoded stands at row i of `folder`/images.npy."""

    dataset: Dataset
    root: Path
    items: list[Item]
    resolution: int
    folder: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.items), 3, self.resolution, self.resolution

    def image(self, item: Item) -> bytes:
        """The decoded pixels of one item; a UserError where the data set breaks its promise."""
        try:
            image = self.dataset.load(self.root, item, self.resolution)
        except OSError as error:
            raise UserError(f"cannot read {item.file} ({error.strerror or error}); mend it or remove it") from None
        if image.shape != self.shape[1:] or image.dtype != np.uint8:
            raise UserError(
                f"{self.dataset.name}.load gives {image.dtype} {image.shape} for {item.file}; "
                f"make it uint8 {self.shape[1:]}"
            )
        return image.tobytes()

    def run(self, report: Report) -> list[str]:
        """Decodes what is not decoded yet; returns the sha256 of each image. The folder exists already."""
        offset = self._allocate()
        stage = f"preparing {self.dataset.name} at {self.resolution}x{self.resolution}"
        hashes = dict(self._finished(offset))
        done = sum(len(chunk) for chunk in hashes.values())
        if done:
            report(stage, done, len(self.items))
        todo = [start for start in range(0, len(self.items), CHUNK) if start not in hashes]
        refused: list[UserError] = []
        with (self.folder / "hashes.jsonl").open("a") as journal:
            for start, (chunk, errors) in zip(todo, ordered(lambda start: self._write(start, offset), todo)):
                refused += errors
                if not errors:
                    hashes[start] = chunk
                    journal.write(f"\n{json.dumps([start, chunk])}")
                    journal.flush()
                done += len(chunk)
                report(stage, done, len(self.items))
        if refused:
            raise _all_of(refused)
        _flush(self.folder / "images.npy")
        return [digest for start in sorted(hashes) for digest in hashes[start]]

    def differing(self, images: np.ndarray, report: Report) -> list[Item]:
        """Decodes everything anew and writes nothing: the items whose pixels are not those of `images` (N, 3, R, R)."""

        def compare(start: int) -> list[int]:
            rows = range(start, min(start + CHUNK, len(self.items)))
            return [row for row in rows if self.image(self.items[row]) != images[row].tobytes()]

        changed: list[int] = []
        for done, rows in enumerate(ordered(compare, range(0, len(self.items), CHUNK)), start=1):
            changed += rows
            report(f"decoding {self.dataset.name} again", min(done * CHUNK, len(self.items)), len(self.items))
        return [self.items[row] for row in changed]

    def _allocate(self) -> int:
        """Makes images.npy at its full size, so that a full disk is found now; returns where the pixels start."""
        file, size = self.folder / "images.npy", int(np.prod(self.shape, dtype=np.int64))
        with file.open("r+b" if file.exists() else "w+b") as handle:
            header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(handle, header)
            offset = handle.tell()
            handle.flush()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle.fileno(), 0, offset + size)
            handle.truncate(offset + size)
        return offset

    def _write(self, start: int, offset: int) -> tuple[list[str], list[UserError]]:
        """One job: decodes a chunk and writes it image by image. Not through a memory map, which dies of SIGBUS.

        Returns the hashes, and what is wrong with images that cannot be used.
        """
        hashes: list[str] = []
        refused: list[UserError] = []
        with (self.folder / "images.npy").open("r+b") as file:
            file.seek(offset + start * 3 * self.resolution**2)
            for item in self.items[start : start + CHUNK]:
                try:
                    pixels = self.image(item)
                except UserError as error:
                    refused.append(error)
                    continue
                file.write(pixels)
                hashes.append(hashlib.sha256(pixels).hexdigest())
        return hashes, refused

    def _finished(self, offset: int) -> Iterator[tuple[int, list[str]]]:
        """What an earlier process has finished: the start of a chunk and its hashes, if its pixels still have them."""
        size = 3 * self.resolution**2
        with (self.folder / "images.npy").open("rb") as images:
            for start, chunk in read_journal(self.folder):
                if start >= 0 and start % CHUNK == 0 and len(chunk) == len(self.items[start : start + CHUNK]):
                    images.seek(offset + start * size)
                    if [hashlib.sha256(images.read(size)).hexdigest() for _ in chunk] == chunk:
                        yield start, chunk


def _all_of(refused: list[UserError]) -> UserError:
    """One error for all images that cannot be used: the first ten by name; of too small ones the smallest."""
    small = [error for error in refused if isinstance(error, TooSmall)]
    others = [str(error) for error in refused if not isinstance(error, TooSmall)]
    lines = others[:NAMED]
    if len(others) > NAMED:
        lines.append(f"and {len(others) - NAMED} more images that cannot be read")
    if small:
        least = min(small, key=lambda error: min(error.width, error.height))
        lines.append(str(least) if len(small) == 1 else f"{len(small)} images are too small, the smallest: {least}")
    return UserError("; ".join(lines))


def read_journal(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """The whole lines of hashes.jsonl; where a process was killed there may be a torn one."""
    journal = folder / "hashes.jsonl"
    if not journal.exists():
        return
    with journal.open(errors="replace") as lines:
        for line in lines:
            try:
                start, chunk = json.loads(line)
                yield int(start), list(chunk)
            except (ValueError, TypeError, RecursionError):
                continue


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())
