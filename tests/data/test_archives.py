"""Archives from outside: the plain files of honest ones, and not a byte of the others."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.data import archives
from bench.data.archives import is_archive, unpack
from bench.data.bank import silent

CONTENT = {"a/one.txt": b"1" * 3000, "a/b/zwei ü'\"<b>.txt": b"2", "three": b""}
TAR_MODES = {"t.tar": "w", "t.tar.gz": "w:gz", "t.tgz": "w:gz", "t.tar.bz2": "w:bz2", "t.tar.xz": "w:xz"}


def zipped(path: Path, content: dict[str, bytes] = CONTENT) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, content: dict[str, bytes] = CONTENT, *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, TAR_MODES.get(path.name, "w")) as archive:  # type: ignore[call-overload]
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4777
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["t.zip", *TAR_MODES])
def test_honest_archives(tmp_path: Path, name: str) -> None:
    archive = (zipped if name == "t.zip" else tarred)(tmp_path / name)
    assert is_archive(archive)
    said = []
    unpack([archive], tmp_path / "out", lambda *line: said.append(line))
    assert files(tmp_path / "out") == CONTENT
    assert said[-1] == (f"unpacking {name}: file 3", archive.stat().st_size, archive.stat().st_size)
    assert not any(p.stat().st_mode & (stat.S_ISUID | 0o111) for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_several_archives_and_what_a_mac_adds(tmp_path: Path) -> None:
    first = zipped(tmp_path / "1.zip", {"x": b"x", "__MACOSX/._x": b"junk"})
    second = tarred(tmp_path / "t.tar.gz", {"y": b"y"})
    unpack([first, second], tmp_path / "out", silent)
    assert files(tmp_path / "out") == {"x": b"x", "y": b"y"}


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_with_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, {"a": b"a"}).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= (
        1  # bit 0 of the flags in the central directory (PKZIP's application note, 4.4.4)
    )
    path.write_bytes(data)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip up": (lambda p: zipped(p / "x.zip", {"good": b"", "../evil": b"e"}), "'../evil', a path that leaves"),
    "zip deep up": (lambda p: zipped(p / "x.zip", {"a/../../evil": b"e"}), "a path that leaves"),
    "zip absolute": (lambda p: zipped(p / "x.zip", {"/tmp/evil": b"e"}), "a path that leaves"),
    "zip backslash": (lambda p: zipped(p / "x.zip", {"..\\evil": b"e"}), "a path that leaves"),
    "zip drive": (lambda p: zipped(p / "x.zip", {"C:/evil": b"e"}), "a path that leaves"),
    "zip link": (lambda p: zip_with_link(p / "x.zip"), "'link', a link or a device"),
    "zip encrypted": (lambda p: encrypted(p / "x.zip"), "'a', encrypted"),
    "tar up": (lambda p: tarred(p / "x.tar", {"../evil": b"e"}), "'../evil', a path that leaves"),
    "tar absolute": (lambda p: tarred(p / "x.tar", {"/tmp/evil": b"e"}), "a path that leaves"),
    "tar symlink": (lambda p: tarred(p / "x.tar", {}, link("l", "..", tarfile.SYMTYPE)), "'l', a link or"),
    "tar hard link": (lambda p: tarred(p / "x.tar", {}, link("l", "/etc/passwd", tarfile.LNKTYPE)), "'l', a link or"),
    "tar device": (lambda p: tarred(p / "x.tar", {}, link("null", "", tarfile.CHRTYPE)), "'null', a link or a device"),
    "tar fifo": (lambda p: tarred(p / "x.tar", {}, link("pipe", "", tarfile.FIFOTYPE)), "'pipe', a link or a device"),
}


def nothing_but(folder: Path, *names: str) -> bool:
    return sorted(p.name for p in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_leave_nothing(tmp_path: Path, case: str) -> None:
    make, message = HOSTILE[case]
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    archive = make(place)
    with pytest.raises(UserError, match=message) as caught:
        unpack([archive], place / "out", silent)
    assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert nothing_but(place, archive.name)
    assert nothing_but(tmp_path / "deep", "er")


@pytest.mark.parametrize("name", ["x.zip", "t.tar.gz", "t.tar.xz"])
def test_a_bomb_stops_at_the_limit(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALLOWANCE", 100_000)
    archive = (zipped if name == "x.zip" else tarred)(tmp_path / name, {"zeros": bytes(20_000_000)})
    assert archive.stat().st_size < 100_000
    most = 0

    def watch(written: int, limit: int, *rest: object) -> None:
        nonlocal most
        most = max(most, written)
        check(written, limit, *rest)  # type: ignore[arg-type]

    check = archives._check_limit
    monkeypatch.setattr(archives, "_check_limit", watch)
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack([archive], tmp_path / "out", silent)
    assert most < 20 * 100_000 + 100_000 + 2 * archives.BLOCK  # it did not unpack all and look then
    assert nothing_but(tmp_path, name)


def test_a_bomb_of_empty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALLOWANCE", 100_000)
    archive = tarred(tmp_path / "t.tar.xz", {f"{i}": b"" for i in range(2000)})
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack([archive], tmp_path / "out", silent)


@pytest.mark.parametrize("name", ["x.zip", *TAR_MODES])
def test_half_an_archive(tmp_path: Path, name: str) -> None:
    whole = (zipped if name == "x.zip" else tarred)(tmp_path / name, {"a": os.urandom(50_000), "b": os.urandom(50_000)})
    whole.write_bytes(whole.read_bytes()[:60_000])
    with pytest.raises(UserError, match="fetch it again"):
        unpack([whole], tmp_path / "out", silent)
    assert nothing_but(tmp_path, name)


def test_flipped_bits_in_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a", b"A" * 1000)
    archive.write_bytes(archive.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"B"))
    with pytest.raises(UserError, match="damaged or cut short"):
        unpack([archive], tmp_path / "out", silent)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    archives_ = [zipped(tmp_path / "1.zip", {"x": b"x"}), zipped(tmp_path / "2.zip", {"x": b"y"})]
    with pytest.raises(UserError, match=r"2\.zip holds x twice"):
        unpack(archives_, tmp_path / "out", silent)
    with pytest.raises(UserError, match=r"3\.zip holds x twice"):
        unpack([zipped(tmp_path / "3.zip", {"x": b"x", "x/y": b"y"})], tmp_path / "out", silent)


def test_no_archive(tmp_path: Path) -> None:
    page = tmp_path / "images.zip"
    page.write_text("<html>Please log in</html>")
    assert not is_archive(page)
    with pytest.raises(UserError, match=r"images\.zip is no \.zip or \.tar archive, or is cut short"):
        unpack([page], tmp_path / "out", silent)
