"""Tars and packages (`.deb`, `.rpm`) read in place: a path that leads into one is read like a path on the disk.

`/home/me/board.tar/proc/version` is a file of the tar `board.tar` once that is opened. Nothing is ever extracted:
members are found by name in an index, links are followed within the archive, and a name such as `../../etc/passwd` is a
name like any other. What is compressed as a whole (a package's content) is unpacked into a temporary file without a
name, of at most `LIMIT` bytes; of one member at most `files.LIMIT` bytes are read.

Formats: POSIX ustar and pax as Python's tarfile reads them; deb(5); ar(5); RPM's package format V4; cpio's `newc`.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tarfile
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, Any, NamedTuple

from .errors import ModcheckError, TargetError, UnreadableError
from .files import LIMIT as MEMBER_LIMIT
from .files import beginning, compression, decoder

#: most bytes that an archive may come to, twice the largest kernel package with its modules, and most of its members
LIMIT, MEMBERS = 4 << 30, 500_000
_CHUNK = 1 << 20
#: no header of a tar is longer, no name of a member, and no run of zeros between two tars
_HEADER, _NAME, _ZEROS = 1 << 20, 4096, 4096
_LINKS = 40
_DEB, _RPM = b"!<arch>\n", b"\xed\xab\xee\xdb"
_NAME_ALONE = -1


class Member(NamedTuple):
    """A regular file in an archive (where it lies in `file`), or a link."""

    file: IO[bytes]
    start: int
    size: int
    link: str | None = None


class Archive:
    """What one or several archives hold, as one file system; of two members with one name the later one counts.

    :ivar packages: whether they are a distribution's packages
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Index the archives at `paths`.

        :raises UnreadableError: one cannot be read, or is damaged
        :raises TargetError: one is no archive that is known here, or is too large
        """
        kept = ExitStack()
        weakref.finalize(self, kept.close)
        self._members: dict[str, Member] = {}
        self._folders: dict[str, dict[str, None]] = {"": {}}
        self.packages = bool(paths) and all(map(_is_package, paths))
        for path in paths:
            try:
                for name, member in _members(path, kept):
                    self._add(_normal(name), member, path)
            except ModcheckError:
                raise
            except OSError as error:
                raise UnreadableError(path, (error.strerror or str(error)).lower()) from None
            except Exception as error:  # tarfile and each codec have errors of their own
                raise UnreadableError(path, f"damaged archive: {str(error).rstrip('.').lower()}") from None

    @classmethod
    def holding(cls, files: Mapping[str, bytes | None]) -> Archive:
        """An archive of these files; of one that is None only the name is known, and reading it fails."""
        made = cls(())
        whole = io.BytesIO(b"".join(content for content in files.values() if content))
        start = 0
        for name, content in files.items():
            size = _NAME_ALONE if content is None else len(content)
            made._add(_normal(name), Member(whole, start, size), name)
            start += max(size, 0)
        return made

    def _add(self, name: str, member: Member | None, path: str) -> None:
        if len(name) > _NAME:
            raise TargetError(path, f"a name of {len(name)} characters in it")
        if member is None:
            self._members.pop(name, None)
            self._folders.setdefault(name, {})
        elif name:
            self._members[name] = member
        while name:
            name, _, last = name.rpartition("/")
            known = self._folders.setdefault(name, {})
            if last in known:
                break
            known[last] = None
            if len(self._folders) + len(self._members) > MEMBERS:
                raise TargetError(path, f"more than {MEMBERS} members")

    def _find(self, name: str) -> str | None:
        """The name of what `name` leads to when links are followed; None where it leads nowhere."""
        rest, done = [part for part in name.split("/") if part not in ("", ".")][::-1], list[str]()
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = "/".join((*done, part))
            member = self._members.get(here)
            if member is None or member.link is None:
                done.append(part)
                continue
            links += 1
            if links > _LINKS:
                return None
            if member.link.startswith("/"):
                done = []
            rest += [one for one in member.link.split("/") if one not in ("", ".")][::-1]
        return "/".join(done)

    def real_name(self, name: str) -> str:
        """The name of what `name` leads to, `name` itself where that is nothing."""
        return self._find(name) or name

    def is_file(self, name: str) -> bool:
        """Whether `name` leads to a regular file."""
        return self._find(name) in self._members

    def dead_link(self, name: str) -> str | None:
        """Where the link `name` leads, if that is nothing; None for what is no such link."""
        folder, _, last = _normal(name).rpartition("/")
        here = self._find(folder) or ""
        member = self._members.get(f"{here}/{last}" if here else last)
        return member.link if member and not (self.is_file(name) or self.is_folder(name)) else None

    def is_folder(self, name: str) -> bool:
        """Whether `name` leads to a folder."""
        return self._find(name) in self._folders

    def listed(self, name: str) -> list[str]:
        """What is in the folder `name`; nothing where there is none."""
        return list(self._folders.get(self._find(name) or "", {})) if self.is_folder(name) else []

    def below(self, name: str) -> list[str]:
        """All files below the folder `name`, and links that lead nowhere, as paths from there, sorted; each folder
        once, whatever links to it."""
        seen: set[str] = set()
        found: list[str] = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            real = self._find(f"{name}/{folder}")
            if real in seen or real not in self._folders:
                continue
            seen.add(real)
            for one in self._folders[real]:
                path = f"{folder}/{one}" if folder else one
                (waiting if self.is_folder(f"{name}/{path}") else found).append(path)
        return sorted(found)

    def read(self, name: str, path: str) -> bytes:
        """The bytes of a member; `path` is named in errors.

        :raises UnreadableError: no such member, larger than `files.LIMIT`, or cut
        """
        member = self._members.get(self._find(name) or "")
        if member is None:
            raise UnreadableError(path, "is a directory" if self.is_folder(name) else "no such file or directory")
        if member.size == _NAME_ALONE:
            raise UnreadableError(path, "only its name is known")
        if member.size > MEMBER_LIMIT:
            raise UnreadableError(path, f"more than {MEMBER_LIMIT >> 20} MiB")
        member.file.seek(member.start)
        data = member.file.read(member.size)
        if len(data) != member.size:
            raise UnreadableError(path, "the archive ends within it")
        return data


def is_archive(path: str) -> bool:
    """Whether the file at `path` is a tar (compressed or not) or a package, by its first bytes."""
    return archive_kind(first_block(path)) is not None


def first_block(path: str) -> bytes:
    """The first 512 bytes of the file at `path`, decompressed; none where they cannot be had."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
            if kind := compression(start):
                start += file.read(_CHUNK)
                start = bytes(decoder(kind).decompress(start, 512))
    except Exception:  # each codec has errors of its own
        return b""
    return start


def _is_package(path: str) -> bool:
    return beginning(path, len(_DEB)).startswith((_DEB, _RPM))


def archive_kind(start: bytes) -> str | None:
    """What the bytes `start`, the first 512 of a plain file, are the beginning of; None where it is no archive."""
    if start.startswith(_DEB):
        return "a Debian package"
    if start.startswith(_RPM):
        return "an RPM package"
    return "a tar" if start[257:262] == b"ustar" else None


def _normal(name: str) -> str:
    """A member's name without what leads nowhere: `./usr//lib` is `usr/lib`; `..` is not followed."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _members(path: str, kept: ExitStack) -> Iterator[tuple[str, Member | None]]:
    """Names and places of all members; None for a folder. Files that they are read from later go to `kept`."""
    file = kept.enter_context(open(path, "rb"))  # noqa: SIM115
    start = file.read(8)
    file.seek(0)
    if start.startswith(_DEB):
        yield from _tar_members(_content_of_deb(file, path, kept))
    elif start.startswith(_RPM):
        yield from _cpio_members(_content_of_rpm(file, path, kept), path)
    else:
        yield from _tar_members(_plain(file, path, kept))


class _Part(io.RawIOBase):
    """`size` bytes of a file from where it stands; no read is larger than a header can be, whatever a header says."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._start, self._size, self._at = file, file.tell(), size, 0
        self._zeros = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise ValueError("a header is too large")
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(data)
        self._zeros = self._zeros + 1 if size == tarfile.BLOCKSIZE and not any(data) else 0
        return data if self._zeros < _ZEROS else b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def _tar_members(file: IO[bytes]) -> Iterator[tuple[str, Member | None]]:
    """Also behind the end of a first tar: a capture is several, one after the other."""
    size = os.fstat(file.fileno()).st_size
    with tarfile.open(fileobj=_Part(file, size), mode="r:", ignore_zeros=True) as tar:
        for info in tar:
            if info.isdir():
                yield info.name, None
            elif info.issym():
                yield info.name, Member(file, 0, 0, info.linkname)
            elif info.islnk():
                yield info.name, Member(file, 0, 0, "/" + info.linkname)
            elif info.isreg() and not info.issparse():
                yield info.name, Member(file, info.offset_data, info.size)


def _content_of_deb(file: IO[bytes], path: str, kept: ExitStack) -> IO[bytes]:
    """data.tar of a Debian package: the member of an ar archive."""
    file.seek(8)
    while header := file.read(60):
        name, size = header[:16].rstrip(b" /"), int(header[48:58])
        if name.startswith(b"data.tar"):
            return _plain(file, path, kept, size)
        file.seek(size + size % 2, os.SEEK_CUR)
    raise TargetError(path, "a Debian package without data.tar")


def _content_of_rpm(file: IO[bytes], path: str, kept: ExitStack) -> IO[bytes]:
    """The cpio archive behind a package's lead and two headers, the first of which is padded to 8 bytes."""
    at = 96
    for alignment in (8, 1):
        file.seek(at)
        magic, count, size = struct.unpack(">4s4xII", file.read(16))
        if magic != b"\x8e\xad\xe8\x01":
            raise ValueError("no header where one must be")
        at += (16 + 16 * count + size + alignment - 1) // alignment * alignment
    file.seek(at)
    return _plain(file, path, kept)


def _cpio_members(file: IO[bytes], path: str) -> Iterator[tuple[str, Member | None]]:
    while True:
        header = file.read(110)
        if header[:6] not in (b"070701", b"070702"):
            raise TargetError(path, "its content is no cpio archive of the form `newc`")
        fields = [int(header[6 + 8 * index : 14 + 8 * index], 16) for index in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = file.read(min(name_size, 4096)).rstrip(b"\0").decode("utf-8", "surrogateescape")
        start = file.tell() + 3 & -4
        if name == "TRAILER!!!":
            return
        kind = mode & 0o170000
        if kind == 0o040000:
            yield name, None
        elif kind == 0o120000:
            file.seek(start)
            yield name, Member(file, 0, 0, file.read(min(size, 4096)).decode("utf-8", "surrogateescape"))
        elif kind == 0o100000:
            yield name, Member(file, start, size)
        file.seek(start + size + 3 & -4)


def _plain(file: IO[bytes], path: str, kept: ExitStack, size: int | None = None) -> IO[bytes]:
    """What `file` holds from here on, `size` bytes of it or all: as it is, or unpacked into a file without a name."""
    start = file.tell()
    rest = os.fstat(file.fileno()).st_size - start if size is None else size
    kind = compression(file.read(min(8, rest)))
    file.seek(start)
    if kind is None and start == 0:
        return file
    plain = kept.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    source = _Part(file, rest)
    stream = _OPENED[kind](source) if kind else source
    while chunk := stream.read(_CHUNK):
        if plain.tell() + len(chunk) > LIMIT:
            raise TargetError(path, f"more than {LIMIT >> 30} GiB once unpacked")
        plain.write(chunk)
    plain.seek(0)
    return plain


def _gzip(file: Any) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=file, mode="rb")


def _xz(file: Any) -> Any:
    import lzma

    return lzma.LZMAFile(file)


def _zstd(file: Any) -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile
    else:
        from backports.zstd import ZstdFile
    return ZstdFile(file)


_OPENED: dict[str, Callable[[Any], Any]] = {"gz": _gzip, "xz": _xz, "zst": _zstd}
