"""What boot loaders are given: the containers that a kernel comes in, each with the kernels in it and its own size.

Sources: Documentation/arch/x86/boot.rst (`HdrS`), drivers/firmware/efi/libstub/zboot-header.S,
Documentation/arch/arm/booting.rst and setup.rst (4.4 to 7.3); U-Boot's include/image.h and doc/usage/fit (2023.01); the
PE format and the UAPI group's UKI specification; Android's bootimg.h (versions 0 to 4); vboot_reference's
vb2_struct.h (keyblock and kernel preamble, 2.x).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..arch import parse_arch
from .plain import Known


class Inner(NamedTuple):
    """A kernel in a container; `codec` is a key of `MAGICS`, None for what is told by its own first bytes."""

    data: memoryview
    codec: str | None = None
    arch: Known | None = None


class Container(NamedTuple):
    """A container at the beginning of some bytes, `size` of them."""

    name: str
    size: int
    kernels: tuple[Inner, ...]
    chosen: bool = True
    """whether the first of the kernels is the one that is started"""
    release: str | None = None
    """of the kernel in it, where the container itself tells that"""


def open_container(data: memoryview, known: Mapping[bytes, tuple[int, _Reader]] | None = None) -> Container | None:
    """The container at the beginning of `data`; None where there is none that has a kernel, or it is cut.

    :param known: which may be there, by a magic number and its place; any without
    """
    readers = _READERS
    if known is not None:
        readers = tuple(reader for magic, (at, reader) in known.items() if data[at : at + len(magic)] == magic)
    for reader in readers:
        try:
            if found := reader(data):
                return found
        except (struct.error, IndexError):
            continue
    return None


def _bzimage(data: memoryview) -> Container | None:
    if bytes(data[0x202:0x206]) != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        return None
    offset, size = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    release = _VERSION.search(data[:_SETUP])
    told = release[1].decode() if release else None
    return Container("bzImage", start + size, (Inner(data[start : start + size]),), release=told)


#: the text that `kernel_version` in the header points to (arch/x86/boot/version.c), also where it has moved, as in a
#: file that lies in pieces
_SETUP = 64 << 10
_VERSION = re.compile(rb"\0(\d+\.\d+[!-~]{0,80}) \([!-~]+@[!-~]+\) #")


def _whole_bzimage(data: memoryview) -> Container | None:
    """The same, where four bytes alone may be chance: it is a boot sector, too."""
    return _bzimage(data) if bytes(data[0x1FE:0x200]) == b"\x55\xaa" else None


def _zimage(data: memoryview) -> Container | None:
    """arm's: a program that unpacks a stream behind it."""
    if bytes(data[0x24:0x28]) not in (b"\x18\x28\x6f\1", b"\1\x6f\x28\x18"):
        return None
    return Container("zImage", len(data), (Inner(data[0x40:], arch=("arm", None)),))


def _zboot(data: memoryview) -> Container | None:
    if bytes(data[:2]) != b"MZ" or bytes(data[4:8]) != b"zimg":
        return None
    offset, size = struct.unpack_from("<II", data, 8)
    name = bytes(data[24:56]).partition(b"\0")[0].decode("ascii", "replace")
    known = {"gzip": "gzip", "lzma": "lzma", "lzo": "lzop", "lz4": "lz4", "bzip2": "bzip2"}
    codec = known.get(name) or next((one for one in ("xz", "zstd") if name.startswith(one)), None)
    inner = Inner(data[offset : offset + size], codec, _pe_arch(data))
    return Container("EFI zboot", offset + size, (inner,))


#: IMAGE_FILE_MACHINE_*
_PE_MACHINES: dict[int, Known] = {
    0x8664: ("x86_64", "little"), 0x14C: ("i386", "little"), 0xAA64: ("arm64", "little"), 0x1C2: ("arm", "little"),
    0x5064: ("riscv64", "little"), 0x6264: ("loongarch64", "little"),
}  # fmt: skip


def _pe_header(data: memoryview) -> int | None:
    (header,) = struct.unpack_from("<I", data, 0x3C)
    return header if bytes(data[:2]) == b"MZ" and bytes(data[header : header + 4]) == b"PE\0\0" else None


def _pe_arch(data: memoryview) -> Known | None:
    header = _pe_header(data)
    return _PE_MACHINES.get(struct.unpack_from("<H", data, header + 4)[0]) if header else None


def _uki(data: memoryview) -> Container | None:
    """A PE file with a section `.linux`."""
    header = _pe_header(data)
    if header is None:
        return None
    count, optional = struct.unpack_from("<H12xH", data, header + 6)
    kernel, end = None, 0
    for number in range(count):
        name, size, _, raw, start = struct.unpack_from("<8sIIII", data, header + 24 + optional + 40 * number)
        end = max(end, start + raw)
        if name == b".linux\0\0":
            kernel = kernel or Inner(data[start : start + min(size, raw)], arch=_pe_arch(data))
    return Container("UKI", end, (kernel,)) if kernel else None


_UIMAGE_CODECS = (None, "gzip", "bzip2", "lzma", "lzop", "lz4", "zstd")
#: IH_ARCH_*; powerpc may be of either word size
_UIMAGE_ARCHES = {
    2: "arm", 3: "i386", 5: "mips", 6: "mips64", 7: "ppc", 8: "s390x", 9: "sh", 10: "sparc", 11: "sparc64", 12: "m68k",
    14: "microblaze", 15: "nios2", 21: "openrisc", 22: "arm64", 23: "arc", 24: "x86_64", 25: "xtensa", 26: "riscv64",
}  # fmt: skip


def _uimage(data: memoryview) -> Container | None:
    if bytes(data[:4]) != b"\x27\x05\x19\x56":
        return None
    (size,) = struct.unpack_from(">I", data, 12)
    arch, kind, codec = data[29], data[30], data[31]
    start, end = 64, 64 + size
    if kind == 4:  # several images: their sizes until one of 0, the kernel first
        (first,) = struct.unpack_from(">I", data, start)
        while struct.unpack_from(">I", data, start)[0]:
            start += 4
        start += 4
        end = start + first
    inner = Inner(data[start:end], _UIMAGE_CODECS[codec], parse_arch(_UIMAGE_ARCHES.get(arch, "")))
    return Container("uImage", 64 + size, (inner,))


def _summed_uimage(data: memoryview) -> Container | None:
    """The same, where four bytes alone may be chance: its checksum must be right."""
    header = bytes(data[:64])
    (told,) = struct.unpack_from(">I", header, 4)
    return _uimage(data) if zlib.crc32(header[:4] + bytes(4) + header[8:]) == told else None


def _android(data: memoryview) -> Container | None:
    if bytes(data[:8]) != b"ANDROID!":
        return None
    size, page, version = struct.unpack_from("<I24xII", data, 8)
    parts = [size, *struct.unpack_from("<I4xI", data, 16)]  # behind it the ramdisk, and what is loaded besides
    start = page
    if version in (3, 4):
        start = page = 4096
        parts = [size, *struct.unpack_from("<I", data, 12)]
    end = start + sum((part + page - 1) // page * page for part in parts) if page else 0
    return Container("Android boot.img", end, (Inner(data[start : start + size]),))


def _chromeos(data: memoryview) -> Container | None:
    """A keyblock, a preamble, each with its size, and the signed body: a FIT, or a bzImage without its beginning."""
    if bytes(data[:8]) != b"CHROMEOS":
        return None
    (keyblock,) = struct.unpack_from("<Q", data, 16)
    (preamble,) = struct.unpack_from("<Q", data, keyblock)
    (size,) = struct.unpack_from("<Q", data, keyblock + 88)
    start = keyblock + preamble
    return Container("ChromeOS kernel", start + size, (Inner(data[start : start + size]),))


def _fit(data: memoryview) -> Container | None:
    """A device tree with images in it, or behind it; `configurations/default` names what is started."""
    if bytes(data[:4]) != b"\xd0\x0d\xfe\xed":
        return None
    (end,) = struct.unpack_from(">I", data, 4)
    behind = end + 3 & -4
    images: dict[bytes, Inner] = {}
    configurations: dict[bytes, bytes] = {}
    default = b""
    for path, values in _nodes(data):
        if path[1:-1] == [b"configurations"]:
            configurations[path[-1]] = _word(values, b"kernel")
        elif path[1:] == [b"configurations"]:
            default = _word(values, b"default")
        elif path[1:-1] == [b"images"]:
            inner = values.get(b"data")
            if inner is None and b"data-size" in values:
                (size,) = struct.unpack(">I", values[b"data-size"])
                place = values.get(b"data-position")
                (start,) = struct.unpack(">I", values.get(b"data-offset", b"") if place is None else place)
                start += behind if place is None else 0
                inner = data[start : start + size]
                end = max(end, start + size)
            if inner is not None and _is_linux(values):
                codec = _word(values, b"compression").decode("ascii", "replace")
                arch = parse_arch(_word(values, b"arch").decode("ascii", "replace"))
                known = {"lzo": "lzop"}.get(codec, codec) if codec in _FIT_CODECS else None
                images[path[-1]] = Inner(inner, known, arch)
    first = images.get(configurations.get(default, b""))
    others = [inner for inner in images.values() if inner is not first]
    return Container("FIT", end, (*([first] if first else []), *others), first is not None) if images else None


def _is_linux(values: dict[bytes, memoryview]) -> bool:
    kernel = _word(values, b"type") in (b"kernel", b"kernel_noload")
    return kernel and _word(values, b"os") in (b"", b"linux")


def _word(values: dict[bytes, memoryview], name: bytes) -> bytes:
    """A property that is a string; of a list the first."""
    return bytes(values.get(name, b"")).partition(b"\0")[0]


_FIT_CODECS = ("gzip", "bzip2", "lzma", "lzo", "lz4", "zstd")
_BEGIN, _END, _PROPERTY, _NOTHING, _DEEPEST = 1, 2, 3, 4, 8


def _nodes(data: memoryview) -> Iterator[tuple[list[bytes], dict[bytes, memoryview]]]:
    """Path and properties of each node of a flattened device tree, children before their parents."""
    at, strings = struct.unpack_from(">II", data, 8)
    open_nodes: list[tuple[bytes, dict[bytes, memoryview]]] = []
    while True:
        (token,) = struct.unpack_from(">I", data, at)
        at += 4
        if token == _BEGIN:
            name = _text(data, at)
            at += len(name) + 4 & -4
            if len(open_nodes) >= _DEEPEST:
                return
            open_nodes.append((name, {}))
        elif token == _PROPERTY and open_nodes:
            size, offset = struct.unpack_from(">II", data, at)
            open_nodes[-1][1][_text(data, strings + offset)] = data[at + 8 : at + 8 + size]
            at += 8 + size + 3 & -4
        elif token == _END and open_nodes:
            yield [name for name, _ in open_nodes], open_nodes.pop()[1]
        elif token != _NOTHING:
            return


def _text(data: memoryview, at: int) -> bytes:
    """The string at an offset; all that are asked for are short."""
    return bytes(data[at : at + 256]).partition(b"\0")[0]


_Reader = Callable[[memoryview], "Container | None"]
_READERS: tuple[_Reader, ...] = (_bzimage, _zboot, _zimage, _uki, _uimage, _android, _fit, _chromeos)
#: those that are looked for everywhere, by a magic number and its place: they bound a kernel, or say which is meant
ANYWHERE: dict[bytes, tuple[int, _Reader]] = {
    b"\xd0\x0d\xfe\xed": (0, _fit), b"\x27\x05\x19\x56": (0, _summed_uimage), b"ANDROID!": (0, _android),
    b"CHROMEOS": (0, _chromeos), b"HdrS": (0x202, _whole_bzimage),
}  # fmt: skip
