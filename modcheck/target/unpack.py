"""A kernel image out of its containers: what a boot loader is given, down to the kernel's plain bytes.

Containers are told by their headers (containers.py), plain kernels by theirs (plain.py). Whatever else holds a kernel
(wrappers of s390, mips and powerpc, dumps of a partition or of a whole device) is searched for kernels, containers and
compressed streams at any place. All facts of a target come from one range of bytes: a stream, or what the kernel's
header says, up to the next kernel. Of a kernel without a header the line of /proc/version is the first thing known.

Memory: a file and what it holds are kept at once, each of at most `files.LIMIT` bytes; while a kernel is searched for,
no more than twice that much is unpacked, and a bounded number of streams is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..archives import archive_kind
from ..errors import TargetError
from ..files import LIMIT
from .containers import ANYWHERE, Container, Inner, open_container
from .ksymtab import kernel_table
from .notes import build_id
from .plain import HEADERS, LEAST, Known, arch_by_header, banners, find_banner, header_end
from .streams import LITERAL, MAGICS, StreamError, codec_at, first_bytes, unpack_stream

_LAYERS = 6
#: so many streams are tried, and so many of those that fail, or of several kernels, are told
_TRIES, _TOLD = 10_000, 4
#: a first look at what may be a stream: so much of it must be good
_LOOK = 64 << 10
#: so many bytes are searched for a kernel's line behind what looks like its header, each time at least so many
_HEADERS, _HEADER = 4 * LIMIT, 64 << 10
#: so much is searched for all magic numbers at once
_WINDOW = 256 << 10
#: an initramfs: cpio's `newc` with and without checksums
_CPIO = (b"070701", b"070702")
#: what holds files, each perhaps packed or in pieces, by its magic number
_FILE_SYSTEMS = (
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system"), (0, b"hsqs", "a squashfs"),
    (0x400, b"\xe2\xe1\xf5\xe0", "an erofs"), (0x400, b"\x10\x20\xf5\xf2", "an f2fs"),
    (0x36, b"FAT1", "a FAT file system"), (0x52, b"FAT32", "a FAT file system"),
    (0x10040, b"_BHRfS_M", "a btrfs"), (0, b"UBI#", "an UBI volume"),
    (0x200, b"EFI PART", "a disk with partitions"),
)  # fmt: skip
_SPARSE = b"\x3a\xff\x26\xed"
#: in the program that unpacks an s390 kernel (arch/s390/boot/head.S), and how far behind it the stream may begin
_S390, _S390_CODE = b"S390EP", 1 << 20
#: codecs that have checksums
_SUMMED = frozenset(("gzip", "xz", "bzip2", "zstd"))
_NONE = "no Linux kernel in one piece in it"
_UNPACK = "unpack it and give the folder to --target"


class Unpacked(NamedTuple):
    """A kernel's plain bytes, its line of /proc/version, what it was packed in, outermost first; what that tells."""

    data: bytes
    banner: str
    layers: tuple[str, ...]
    arch: Known | None


def unpack(data: bytes, path: str, release: str | None = None) -> Unpacked:
    """The kernel in the image `data`; `path` is named in errors.

    :param release: whose kernel is meant where there are several
    :raises TargetError: there is none in it (the message says what was found, and what was not), or several of which
        `release` picks none
    """
    kind = archive_kind(data[:512]) or ("a JSON document" if data.startswith((b"{\n", b'{"')) else None)
    if kind:  # read in place by --target
        raise TargetError(path, f"{kind}, and no kernel image: give it to --target")
    search = _Search(release)
    search.look(data, (), None)
    holder = _holder(data)
    if search.kept is None:
        raise TargetError(path, f"{_NONE}: {holder}" if holder else _nothing(data, search))
    if holder and not _SUMMED.intersection(search.kept.layers) and kernel_table(search.kept.data) is None:
        raise TargetError(path, f"{_NONE}: {holder}")  # nothing else shows that its bytes are all there
    releases = list(map(_release, search.banners))
    lost = [name for name in dict.fromkeys(search.lost) if name not in releases]
    if holder and release and release not in releases:
        raise TargetError(path, f"holds {_names([*releases, *lost])}, and not {release} in one piece: {holder}")
    if len(releases) + len(lost) > 1 and releases.count(release or "") != 1:
        raise TargetError(path, _several(search.banners, releases, lost, release))
    return search.kept


def _holder(data: bytes) -> str | None:
    """Why a file may hold a kernel that is not found in it, and what to do; None where it is nothing of that kind."""
    known = next(((name, _UNPACK) for at, magic, name in _FILE_SYSTEMS if data.startswith(magic, at)), None)
    if data.startswith(_SPARSE):
        known = "a sparse image of Android", "make it a plain one (simg2img) and give that"
    return f"it is {known[0]}; {known[1]}" if known else None


def _nothing(data: bytes, search: _Search) -> str:
    """Why there is no kernel in it."""
    what = "no Linux kernel in it"
    if search.opened:
        what += f" (opened: {', '.join(search.opened)})"
    else:
        what += f" (it begins with {data[:8].hex(' ')})" if data else " (it is empty)"
    text = data[:512].isascii() and b"\0" not in data[:512]
    hint = "; a .config goes to --config, a Module.symvers to --symvers" if text else ""
    # lzma has no magic number: elsewhere than at the beginning it was chance
    told = [one for one in dict.fromkeys(search.troubles) if not one.startswith("lzma at ") or " at 0:" in one]
    told[_TOLD:] = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    return "; ".join((what, *told)) + hint


def _several(banners: Sequence[str], releases: Sequence[str], lost: Sequence[str], wanted: str | None) -> str:
    """Why none of several kernels can be taken."""
    names = list(dict.fromkeys([*releases, *lost]))
    if wanted and wanted not in names:
        return f"holds {_names(names)}, and not {wanted}"
    if wanted in lost:
        return f"holds {_names(names)}, and {wanted} not in one piece"
    if len(names) > 1 and releases.count(wanted or "") < 2:
        return f"holds more than one kernel: {_names(names)}; --release picks one"
    same = wanted or names[0]
    builds = [f"#{banner.rpartition('#')[2]}" for banner, name in zip(banners, releases) if name == same]
    return f"holds more than one kernel of the release {same}: {_names(builds)}; cut out the one that is meant"


def _names(names: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join([*names[:_TOLD], *([f"and {len(names) - _TOLD} more"] if len(names) > _TOLD else [])])


class _Search:
    """The search of one file.

    :ivar banners: the lines of /proc/version of the kernels found, each kernel once
    :ivar kept: the first of them, or that of the release that is wanted
    :ivar lost: releases of kernels whose container tells them, and that cannot be read
    :ivar opened: the layers that were opened where no kernel was in them
    :ivar troubles: what could not be read
    """

    def __init__(self, release: str | None) -> None:
        self.release = release
        self.banners: list[str] = []
        self.kept: Unpacked | None = None
        self.lost: list[str] = []
        self.opened: tuple[str, ...] = ()
        self.troubles: list[str] = []
        self._budget, self._headers = 2 * LIMIT, _HEADERS

    def look(self, data: bytes, layers: tuple[str, ...], arch: Known | None) -> bool:
        """Find the kernels in `data`: in the container that it is, and in whatever else it holds. Whether there are."""
        container = open_container(memoryview(data)) if len(layers) < _LAYERS else None
        if container is None:
            return self._anywhere(data, 0, layers, arch)
        found = self._container(container, layers, arch)
        return self._anywhere(data, container.size, layers, arch, found)

    def _container(self, container: Container, layers: tuple[str, ...], arch: Known | None) -> bool:
        layers = (*layers, container.name)
        found = False
        for inner in container.kernels:
            found = self._inner(inner, layers, inner.arch or arch) or found
            if (found and container.chosen and self._is_right()) or not self._may_go_on():
                break
        if not found and container.release:
            self.lost.append(container.release)
        return found

    def _inner(self, inner: Inner, layers: tuple[str, ...], arch: Known | None) -> bool:
        self.opened = max(self.opened, layers, key=len)
        codec = codec_at(inner.data) or inner.codec
        if codec is None:
            self._budget -= len(inner.data)
            return self.look(bytes(inner.data), layers, arch)
        self.opened = max(self.opened, (*layers, codec), key=len)
        try:
            stream = unpack_stream(inner.data, codec)
        except StreamError as error:
            self.troubles.append(f"{codec}: {error}")
            return False
        self._budget -= len(stream.data)
        return self.look(stream.data, (*layers, codec), arch)

    def _anywhere(
        self, data: bytes, start: int, layers: tuple[str, ...], arch: Known | None, found: bool = False
    ) -> bool:
        """Find the kernels in `data` from `start` on; `found`: whether there is one before that."""
        arch = arch_by_header(data) or arch  # an ELF file that unpacks another (mips, powerpc)
        unpacked = bool(layers) and layers[-1] in MAGICS
        at, lines = start, []
        while at < len(data) and (end := header_end(data, at)):
            # x86's relocations lie behind its ELF file
            end = len(data) if unpacked and not banners(data, end) else end
            if not self._add(data, at, end, layers, arch):
                break
            found, at = True, end
        if unpacked:
            lines = banners(data, at)
        # what comes out of a stream is one kernel, if it is one
        plain = unpacked and (found or bool(lines))
        last = (lines[-1][0] if lines else at) if plain else len(data)
        window, doubtful = at, len(data)
        while window < last and self._may_go_on():
            for place, kind in sorted(_hits(data, window, window + _WINDOW, plain)):
                if at <= place < last and self._may_go_on():
                    right, end = self._at(data, place, kind, layers, arch)
                    found, at = found or bool(right), max(at, end)
                    doubtful = min(doubtful, place) if right is None else doubtful
            window = max(window + _WINDOW, at)
        if found:
            return True
        lines = [line for line in lines or banners(data, start) if line[0] < doubtful]
        for number, (place, _) in enumerate(lines):
            begin = place if number else start
            end = lines[number + 1][0] if number + 1 < len(lines) else len(data)
            found = self._add(data, begin, end, layers, arch)
        return found

    def _at(
        self, data: bytes, place: int, kind: str, layers: tuple[str, ...], arch: Known | None
    ) -> tuple[bool | None, int]:
        """Whether a kernel is in what may begin at a place, and where that ends: at the place itself if it is nothing.

        None: not whole, so that what follows may be the rest of it.
        """
        if kind == _KERNEL:
            end = header_end(data, place) if self._headers > 0 else None
            self._headers -= max(_HEADER, (end or 0) - place)
            return (True, end) if end and self._add(data, place, end, layers, arch) else (False, place)
        if len(layers) >= _LAYERS:
            return False, place
        view = memoryview(data)[place:]
        if kind == _CONTAINER:
            container = open_container(view, ANYWHERE)
            right = container is not None and self._container(container, layers, arch)
            return right, place + container.size if container and right else place
        if codec_at(view) != kind:
            return False, place
        if data.rfind(_S390, max(0, place - _S390_CODE), place) >= 0:
            arch = "s390x", "big"
        return self._stream(view, place, kind, layers, arch)

    def _stream(
        self, view: memoryview, place: int, codec: str, layers: tuple[str, ...], arch: Known | None
    ) -> tuple[bool | None, int]:
        try:
            start = first_bytes(view[:_LOOK], codec) if place else b""
            if start is None:
                raise StreamError("damaged")
            if self.kept and start.startswith(_CPIO):
                return False, place
            stream = unpack_stream(view, codec, min(LIMIT, self._budget))
        except StreamError as error:
            self.troubles.append(f"{codec} at {place}: {error}")
            self._budget -= error.spent
            return None if codec in LITERAL and error.spent else False, place
        self._budget -= len(stream.data)
        right = len(stream.data) >= LEAST and self.look(stream.data, (*layers, codec), arch)
        if not right:
            self.troubles.append(f"{codec} at {place}: {len(stream.data)} bytes, no kernel")
        return right, place + stream.size

    def _may_go_on(self) -> bool:
        return self._budget > 0 and len(self.troubles) <= _TRIES

    def _is_right(self) -> bool:
        """Whether the kernel that is kept is the one that is wanted, if one is."""
        return self.kept is not None and self.release in (None, _release(self.kept.banner))

    def _add(self, data: bytes, start: int, end: int, layers: tuple[str, ...], arch: Known | None) -> bool:
        """Take one more kernel, from `start` to `end`; whether there is one. One that is there twice, as in two slots,
        is one."""
        found = find_banner(data, start, end)
        if found is None:
            return False
        banner = found[0].rstrip(b"\n\0").decode("ascii", "replace")
        known = banner in self.banners
        wanted = self.kept is None or (_release(banner) == self.release and not self._is_right())
        if wanted or (self.kept and banner == self.kept.banner):
            kernel = data if (start, end) == (0, len(data)) else data[start:end]
            if self.kept and not wanted:
                known = build_id(kernel) in (None, build_id(self.kept.data))
            else:
                self.kept = Unpacked(kernel, banner, layers, arch)
        if not known:
            self.banners.append(banner)
        return True


#: kinds of what is searched for, besides streams, whose kinds are their codecs
_KERNEL, _CONTAINER = "kernel", "container"


def _hits(data: bytes, start: int, end: int, plain: bool) -> Iterator[tuple[int, str]]:
    """Where something may begin, from `start` to `end`, by its magic number; `plain`: kernels alone."""
    wanted = [(magic, place, _KERNEL) for magic, place in HEADERS]
    if not plain:
        wanted += [(magic, place, _CONTAINER) for magic, (place, _) in ANYWHERE.items()]
        wanted += [(magic, place, codec) for codec, magics in MAGICS.items() for magic, place in magics]
    for magic, place, kind in wanted:
        at = data.find(magic, start + place, end + place + len(magic) - 1)
        while at >= 0:
            yield at - place, kind
            at = data.find(magic, at + 1, end + place + len(magic) - 1)


def _release(banner: str) -> str:
    return banner.split(" ", 3)[2]
