"""Files as bytes: reading, and undoing gzip, xz and zstd, which are told by their magic numbers and not by file names.

Both readers (`module/`, `target/`) begin here. What a file may grow to is bounded, so that a decompression bomb costs
at most `LIMIT` bytes of memory. A path may lead into an archive (archives.py) once that is mounted; links of a root
file system that is unpacked somewhere lead to what is in it (roots.py).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Collection
from io import BytesIO
from typing import IO, Any, Protocol

from .errors import UnreadableError
from .roots import forget, on_disk, root_of

#: most bytes that a file may have once decompressed: twice the largest uncompressed kernel module or image known
LIMIT = 512 << 20

#: how the names of modules end
SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
#: and what signed ones end with (scripts/sign-file); here, since their reader is imported for those alone
SIGNATURE_MARKER = b"~Module signature appended~\n"

#: a pipe is not waited for; Windows would change the ends of lines
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


class FileSystem(Protocol):
    """What can be mounted: `archives.Archive`, which says what its methods do; names are relative to its root."""

    packages: bool

    def is_file(self, name: str) -> bool: ...
    def is_folder(self, name: str) -> bool: ...
    def dead_link(self, name: str) -> str | None: ...
    def real_name(self, name: str) -> str: ...
    def listed(self, name: str) -> list[str]: ...
    def below(self, name: str) -> list[str]: ...
    def read(self, name: str, path: str) -> bytes: ...


#: archives by the absolute path under which their content is found
_mounted: dict[str, FileSystem] = {}


def mount(path: str | os.PathLike[str], archive: FileSystem) -> None:
    """Let paths that begin with `path` lead into `archive`, for the rest of the run."""
    _mounted[os.path.abspath(path)] = archive


def _inside(path: str | os.PathLike[str]) -> tuple[FileSystem, str] | None:
    """The archive that `path` leads into, and the name there; None for a path on the disk."""
    if not _mounted:
        return None
    whole = os.path.abspath(path)
    for root, archive in _mounted.items():
        if whole == root or whole.startswith(root + os.sep):
            return archive, whole[len(root) + 1 :].replace(os.sep, "/")
    return None


def in_package(path: str | os.PathLike[str]) -> bool:
    """Whether `path` leads into a package, or into some of them."""
    found = _inside(path)
    return found is not None and found[0].packages


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file is there."""
    found = _inside(path)
    return found[0].is_file(found[1]) if found else _is(os.path.isfile, path)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there."""
    found = _inside(path)
    return found[0].is_folder(found[1]) if found else _is(os.path.isdir, path)


def _is(kind: Callable[[str], bool], path: str | os.PathLike[str]) -> bool:
    try:
        return kind(on_disk(path))
    except OSError:  # a loop of links
        return False


def dead_link(path: str | os.PathLike[str]) -> str | None:
    """Where a link leads that leads to nothing, in words; None for what is no such link."""
    if found := _inside(path):
        link = found[0].dead_link(found[1])
        return None if link is None else f"a link to {link}, which is not in it"
    if not os.path.islink(path) or _is(os.path.exists, path):
        return None
    root = root_of(path)
    return f"a link to {os.readlink(path)}, which is not there{f', in {root}' if root else ''}"


def real_path(path: str) -> str:
    """`path` with all links followed."""
    found = _inside(path)
    if found is None:
        return os.path.realpath(on_disk(path) if _is(os.path.exists, path) else path)
    archive, name = found
    return os.path.join(os.path.abspath(path)[: -len(name) or None], archive.real_name(name))


def list_folder(path: str | os.PathLike[str]) -> list[str]:
    """The names of what is in a folder, sorted; nothing where there is none, or none that can be read."""
    if found := _inside(path):
        return sorted(found[0].listed(found[1]))
    try:
        return sorted(os.listdir(on_disk(path)))
    except OSError:
        return []


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of the file `path` as they lie there.

    :raises UnreadableError: no such file, no permission, a folder, or larger than `LIMIT`
    """
    found = _inside(path)
    if found and found[1]:  # the archive itself is on the disk
        return found[0].read(found[1], os.fspath(path))
    try:
        file = os.open(on_disk(path), _READING)
        try:
            state = os.fstat(file)
            if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
                raise UnreadableError(path, "not a regular file")
            if state.st_size > LIMIT:
                raise UnreadableError(path, f"more than {LIMIT >> 20} MiB")
            return _whole(file, state.st_size)
        finally:
            os.close(file)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise UnreadableError(path, "not a regular file") from None
        reason = (error.strerror or str(error)).lower()
        link = dead_link(path)
        raise UnreadableError(path, f"{reason} ({link})" if link else reason) from None


def _whole(file: int, size: int) -> bytes:
    """All that is in an open file; `size` is only where to begin, since files of /proc have none."""
    data = os.read(file, size + 1)
    if len(data) == size and size:
        return data
    parts = [data]
    while data:
        data = os.read(file, 1 << 20)
        parts.append(data)
    return b"".join(parts)


def open_binary(path: str | os.PathLike[str]) -> IO[bytes]:
    """The file `path`, of any size, to read parts of it; one in an archive is read whole.

    :raises UnreadableError: as `read_bytes` does; OSError for a path on the disk
    """
    return BytesIO(read_bytes(path)) if _inside(path) else open(on_disk(path), "rb")


def compression(data: bytes) -> str | None:
    """`gz`, `xz` or `zst`, as the first bytes of `data` say; None for a plain file."""
    for magic, name in ((_GZIP, "gz"), (_XZ, "xz"), (_ZSTD, "zst")):
        if data.startswith(magic):
            return name
    return None


def decompress(data: bytes, path: str | os.PathLike[str]) -> bytes:
    """`data` decompressed, or as it is when it is not compressed. `path` is named in errors.

    :raises UnreadableError: a damaged or cut stream, or more than `LIMIT` bytes
    """
    kind = compression(data)
    if kind is None:
        return data
    try:
        plain = _decode(kind, data)
    except Exception as error:  # each codec has errors of its own, and all mean the same here
        raise UnreadableError(path, f"broken .{kind} file: {str(error).rstrip('.').lower()}") from None
    if len(plain) > LIMIT:
        raise UnreadableError(path, f"more than {LIMIT >> 20} MiB once decompressed")
    return plain


def read_plain(path: str | os.PathLike[str]) -> bytes:
    """The bytes of the file `path`, decompressed if need be.

    :raises UnreadableError: as `read_bytes` and `decompress` do
    """
    return decompress(read_bytes(path), path)


def beginning(path: str, length: int, word: str | None = None) -> bytes:
    """The first bytes of a regular file, decompressed if its name has `word` in it; none where it cannot be read."""
    try:
        if not os.path.isfile(place := on_disk(path)):
            return b""
        with open(place, "rb") as file:
            start = file.read(length)
        packed = word is not None and word in os.path.basename(path) and compression(start)
        return read_plain(path)[:length] if packed else start
    except (OSError, UnreadableError):
        return b""


def find_modules(
    directory: str | os.PathLike[str],
    on_error: Callable[[OSError], None] | None = None,
    *,
    follow: bool = False,
    without: Collection[str] = (),
) -> list[str]:
    """Every `*.ko`, `*.ko.gz`, `*.ko.xz`, `*.ko.zst` below `directory`, by path.

    :param on_error: is told of each directory that cannot be read
    :param follow: links to directories too, each directory once
    :param without: what is in `directory` under these names
    """
    forget()
    if (inside := _inside(directory)) is not None:
        names = [name for name in inside[0].below(inside[1]) if name.endswith(SUFFIXES)]
        return [os.path.join(directory, name) for name in names if name.partition("/")[0] not in without]
    found = []
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(directory)]
    _first_visit(waiting[0], seen)
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(on_disk(folder)) as entries:
                listed = list(entries)
        except OSError as error:
            if on_error:
                on_error(error)
            continue
        for entry in listed:
            if entry.name in without and folder == os.fspath(directory):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and is_folder(path)):
                if (follow or not entry.is_symlink()) and (not follow or _first_visit(path, seen)):
                    waiting.append(path)
            elif entry.name.endswith(SUFFIXES):
                found.append(path)
    return sorted(found)


def _first_visit(path: str, seen: set[tuple[int, int]]) -> bool:
    """Whether the directory was not met before, under this name or another."""
    try:
        state = os.stat(on_disk(path))
    except OSError:
        return False
    new = (state.st_dev, state.st_ino) not in seen
    seen.add((state.st_dev, state.st_ino))
    return new


def decoder(kind: str) -> Any:
    """A fresh incremental decoder; the three libraries' have the same methods. Imported when one is needed."""
    if kind == "gz":
        import zlib

        return zlib.decompressobj(31)
    if kind == "xz":
        import lzma

        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor
    else:
        from backports.zstd import ZstdDecompressor
    return ZstdDecompressor()


def _decode(kind: str, data: bytes) -> bytes:
    """All of `data`'s streams, one after the other, up to one byte over `LIMIT`."""
    plain = b""
    while compression(data) == kind and len(plain) <= LIMIT:
        stream = decoder(kind)
        plain += stream.decompress(data, LIMIT + 1 - len(plain))
        if not stream.eof and len(plain) <= LIMIT:
            raise EOFError("the stream ends too early")
        data = stream.unused_data
    return plain
