"""Unpacking archives from outside: only plain files, only below the target, never more than is plausible or fits."""

import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bench.core.errors import UserError
from bench.data.decode import Report

RATIO = 20  # times its own size that an archive may unpack to; photographs do not shrink, text by 5 to 10
ALLOWANCE = 100_000_000  # bytes that any archive may unpack to
MEMBER = 1_000  # bytes that each member counts at least, so that a million empty files are a bomb too
BLOCK = 1 << 20
DEEPEST = 40  # folders in one another
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError,
    NotImplementedError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    name: str
    content: IO[bytes]


def is_archive(path: Path) -> bool:
    """Whether the file is a .zip or a .tar, packed or not, by its content."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except (*BROKEN, OSError):  # a packed file that is cut in its first bytes
        return False


def unpack(archives: list[Path], target: Path, report: Report) -> None:
    """Unpacks the archives, one after the other, into the new folder `target`; of a failure nothing remains.

    Content goes to disk block by block. Raises UserError, naming archive and member, for a path that leaves the target,
    a link, a device, an encrypted or damaged member, two members of one name, a bomb, and a full disk.
    """
    partial = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for archive in archives:
            _unpack(archive, partial, report)
        partial.rename(target)
    except OSError as error:
        what = error.strerror or str(error)
        raise UserError(f"cannot unpack into {target} ({what}); free some space or set I2I_BENCH_DATA") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack(archive: Path, target: Path, report: Report) -> None:
    if not is_archive(archive):
        raise UserError(f"{archive} is no .zip or .tar archive, or is cut short; fetch it again")
    size = archive.stat().st_size
    limit = min(RATIO * size + ALLOWANCE, shutil.disk_usage(target).free)
    written = count = 0
    try:
        for count, member in enumerate(_members(archive), start=1):
            place = target / _safe(member.name, archive)
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                while block := member.content.read(BLOCK):
                    written += len(block)
                    _check_limit(written + count * MEMBER, limit, archive, size)
                    file.write(block)
            _check_limit(written + count * MEMBER, limit, archive, size)
            report(f"unpacking {archive.name}: file {count}", min(written, size - 1), size)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = Path(error.filename).relative_to(target)
        raise UserError(f"{archive} holds {name} twice, or another archive holds it too; give each once") from None
    except BROKEN as error:
        raise UserError(f"{archive} is damaged or cut short ({error}); fetch it again") from None
    except OSError as error:
        if error.errno is None:  # bz2 says so of a damaged stream
            raise UserError(f"{archive} is damaged or cut short ({error}); fetch it again") from None
        raise
    report(f"unpacking {archive.name}: file {count}", size, size)


def _members(archive: Path) -> Iterator[Member]:
    """The plain files of an archive in their order; a UserError at the first link or device."""
    return _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or _is_junk(info.filename):
                continue
            if kind not in (0, stat.S_IFREG):
                raise _refused(archive, info.filename, "a link or a device")
            if info.flag_bits & 1:
                raise _refused(archive, info.filename, "encrypted")
            try:
                content = packed.open(info)
            except NotImplementedError as error:
                raise _refused(archive, info.filename, f"packed in an unknown way ({error})") from None
            with content:
                yield Member(info.filename, content)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r|*") as packed:
        for info in packed:
            if info.isdir() or _is_junk(info.name):
                continue
            content = packed.extractfile(info) if info.isreg() else None
            if content is None:
                raise _refused(archive, info.name, "a link or a device")
            yield Member(info.name, content)


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in path.parts[0]:
        raise _refused(archive, name, "a path that leaves the target")
    if len(path.parts) > DEEPEST:
        raise _refused(archive, f"{name[:60]}...", f"a path of {len(path.parts)} folders in one another")
    return path


def _is_junk(name: str) -> bool:
    """What the Mac adds: resource forks beside the files."""
    return "__MACOSX" in PurePosixPath(name).parts


def _check_limit(written: int, limit: int, archive: Path, size: int) -> None:
    if written > limit:
        raise UserError(
            f"{archive} ({size:,} bytes) unpacks to more than {limit:,} bytes: more than an archive of images does, or "
            "than the disk has free; if you trust it unpack it yourself and give --from the folder"
        )


def _refused(archive: Path, name: str, what: str) -> UserError:
    return UserError(f"{archive} holds {name!r}, {what}; nothing was unpacked: fetch the official archive")
