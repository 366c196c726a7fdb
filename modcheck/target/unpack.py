"""A kernel image out of its containers: what a boot loader is given, down to the kernel's plain bytes.

Containers: Documentation/arch/x86/boot.rst (`HdrS`), arch/arm64 and arch/riscv booting.rst and boot-image-header.rst,
drivers/firmware/efi/libstub/zboot-header.S, Documentation/arch/arm/booting.rst and setup.rst, U-Boot's include/image.h
and doc/usage/fit, the PE format and the UAPI group's UKI specification, Android's bootimg.h. Whatever else holds a
kernel (wrappers of s390, mips and powerpc, dumps of a partition) is searched for compressed streams.

Memory: a file and what it holds are kept at once, each of at most `files.LIMIT` bytes; while a kernel is searched for,
no more than twice that much is unpacked, and a bounded number of streams is tried.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..archives import archive_kind
from ..errors import TargetError
from ..files import LIMIT
from .streams import MAGIC, StreamError, may_begin, unpack_stream

_BANNER = re.compile(rb"Linux version (\d+\.\d+\S{0,80}) [ -~]{0,1000}\n\0")
#: least size of a kernel once unpacked: what is smaller and found by searching was none
_LEAST = 1 << 20
_LAYERS = 6
#: so many streams are tried, and so many of those that fail are told
_TRIES, _TOLD = 10_000, 4
#: a first look at what may be a stream: so much of it must be good
_LOOK = 64 << 10
#: so much a stream counts that turns out to be damaged only behind that
_DAMAGED = 128 << 20
#: how streams of lz4 and lzo begin
_LITERAL = (b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18", b"\x89LZO\0\r\n\x1a\n")


class Unpacked(NamedTuple):
    """A kernel's plain bytes, and the names of what they were packed in, outermost first."""

    data: bytes
    layers: tuple[str, ...]


class _Inner(NamedTuple):
    """What one container holds; `codec` is a group of `MAGIC`, None for what is told by its own first bytes."""

    name: str
    data: memoryview
    codec: str | None = None


def find_banner(data: bytes) -> re.Match[bytes] | None:
    """The line of /proc/version in a plain kernel; its first group is the release. None where there is none."""
    at = data.find(b"Linux version ")
    while at >= 0:
        if match := _BANNER.match(data, at):
            return match
        at = data.find(b"Linux version ", at + 1)
    return None


def unpack(data: bytes, path: str) -> Unpacked:
    """The kernel in the image `data`; `path` is named in errors.

    :raises TargetError: there is none in it; the message says what was found, and what was not
    """
    kind = archive_kind(data[:512]) or ("a JSON document" if data.startswith((b"{\n", b'{"')) else None)
    if kind:  # read in place by --target
        raise TargetError(path, f"{kind}, and no kernel image: give it to --target")
    layers: list[str] = []
    troubles: list[str] = []
    found = _peel(data, layers, troubles, 2 * LIMIT)
    if found is None:
        what = "no Linux kernel in it"
        if layers:
            what += f" (opened: {', '.join(layers)})"
        else:
            what += f" (it begins with {data[:8].hex(' ')})" if data else " (it is empty)"
        text = data[:512].isascii() and b"\0" not in data[:512]
        hint = "; a .config goes to --config, a Module.symvers to --symvers" if text else ""
        # lzma has no magic number: elsewhere than at the beginning it was chance
        told = [one for one in dict.fromkeys(troubles) if not one.startswith("lzma at ") or " at 0:" in one]
        told[_TOLD:] = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
        raise TargetError(path, "; ".join((what, *told)) + hint)
    return Unpacked(found, tuple(layers))


def _peel(data: bytes, layers: list[str], troubles: list[str], budget: int) -> bytes | None:
    """The plain kernel in `data`, layer by layer; None where there is none. `layers` has those that were opened."""
    for _ in range(_LAYERS):
        inner = next((inner for reader in _CONTAINERS if (inner := _opened(reader, data))), None)
        if inner is None:
            break
        layers.append(inner.name)
        match = MAGIC.match(inner.data)
        codec = match.lastgroup if match else inner.codec
        if codec is None:
            data = bytes(inner.data)
            continue
        layers.append(codec)
        try:
            data = unpack_stream(inner.data, codec)
        except StreamError as error:
            troubles.append(f"{codec}: {error}")
            return None
        budget -= len(data)
    banner = find_banner(data)
    # these codecs may leave such a line as it is, in what neither a stream held nor begins like a kernel
    doubtful = banner and not (layers and layers[-1] in MAGIC.groupindex) and data[:4] != b"\x7fELF"
    packed = banner and doubtful and any(data.find(magic, 0, banner.start()) >= 0 for magic in _LITERAL)
    if banner is None or packed:
        found = _searched(data, layers, troubles, budget)
        if found or banner is None:
            return found
    return _from_header(data)


def _searched(data: bytes, layers: list[str], troubles: list[str], budget: int) -> bytes | None:
    """The kernel in one of the compressed streams anywhere in `data`."""
    view = memoryview(data)
    for match in MAGIC.finditer(data):
        if budget <= 0 or len(troubles) > _TRIES or len(layers) >= _LAYERS:
            break
        codec, start = match.lastgroup or "", match.start()
        try:
            if start and not may_begin(view[start : start + _LOOK], codec):
                raise StreamError("damaged")
            plain = unpack_stream(view[start:], codec, min(LIMIT, budget))
        except StreamError as error:
            troubles.append(f"{codec} at {start}: {error}")
            budget -= _DAMAGED if str(error) != "damaged" else 0
            continue
        budget -= len(plain)
        if len(plain) < _LEAST:
            troubles.append(f"{codec} at {start}: {len(plain)} bytes, no kernel")
            continue
        inside = [*layers, codec]
        if kernel := _peel(plain, inside, troubles, budget):
            layers[:] = inside
            return kernel
        troubles.append(f"{codec} at {start}: {len(plain)} bytes, no kernel")
    return None


def _opened(reader: Callable[[memoryview], _Inner | None], data: bytes) -> _Inner | None:
    """What the container at the beginning of `data` holds, as `reader` knows it; None where it is none, or is cut."""
    try:
        return reader(memoryview(data))
    except (struct.error, IndexError):
        return None


def _from_header(data: bytes) -> bytes:
    """A plain kernel without what lies before its own header: offsets in it count from there."""
    if data[56:60] in (b"ARMd", b"RSC\5") or data[:4] == b"\x7fELF":
        return data
    for magic in (b"ARMd", b"RSC\5"):
        at = data.find(magic)
        if at >= 56 and (at - 56) % 512 == 0:
            return data[at - 56 :]
    return data


def _bzimage(data: memoryview) -> _Inner | None:
    if bytes(data[0x202:0x206]) != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        return None
    offset, size = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    return _Inner("bzImage", data[start : start + size])


def _zimage(data: memoryview) -> _Inner | None:
    """arm's: a program that unpacks a stream behind it."""
    return _Inner("zImage", data[0x40:]) if bytes(data[0x24:0x28]) in (b"\x18\x28\x6f\1", b"\1\x6f\x28\x18") else None


def _zboot(data: memoryview) -> _Inner | None:
    if bytes(data[:2]) != b"MZ" or bytes(data[4:8]) != b"zimg":
        return None
    offset, size = struct.unpack_from("<II", data, 8)
    name = bytes(data[24:56]).partition(b"\0")[0].decode("ascii", "replace")
    known = {"gzip": "gzip", "lzma": "lzma", "lzo": "lzop", "lz4": "lz4", "bzip2": "bzip2"}
    codec = known.get(name) or next((one for one in ("xz", "zstd") if name.startswith(one)), None)
    return _Inner("EFI zboot", data[offset : offset + size], codec)


def _uki(data: memoryview) -> _Inner | None:
    """A PE file with a section `.linux`."""
    if bytes(data[:2]) != b"MZ":
        return None
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if bytes(data[header : header + 4]) != b"PE\0\0":
        return None
    count, optional = struct.unpack_from("<H12xH", data, header + 6)
    for number in range(count):
        name, size, _, raw, start = struct.unpack_from("<8sIIII", data, header + 24 + optional + 40 * number)
        if name == b".linux\0\0":
            return _Inner("UKI", data[start : start + min(size, raw)])
    return None


_UIMAGE_CODECS = (None, "gzip", "bzip2", "lzma", "lzop", "lz4", "zstd")


def _uimage(data: memoryview) -> _Inner | None:
    if bytes(data[:4]) != b"\x27\x05\x19\x56":
        return None
    (size,) = struct.unpack_from(">I", data, 12)
    kind, codec = data[30], data[31]
    start, end = 64, 64 + size
    if kind == 4:  # several images: their sizes until one of 0, the kernel first
        (first,) = struct.unpack_from(">I", data, start)
        while struct.unpack_from(">I", data, start)[0]:
            start += 4
        start += 4
        end = start + first
    return _Inner("uImage", data[start:end], _UIMAGE_CODECS[codec])


def _android(data: memoryview) -> _Inner | None:
    if bytes(data[:8]) != b"ANDROID!":
        return None
    size, page, version = struct.unpack_from("<I24xII", data, 8)
    start = 4096 if version in (3, 4) else page
    return _Inner("Android boot.img", data[start : start + size])


def _fit(data: memoryview) -> _Inner | None:
    """A device tree with images in it, or behind it."""
    if bytes(data[:4]) != b"\xd0\x0d\xfe\xed":
        return None
    (total,) = struct.unpack_from(">I", data, 4)
    for path, values in _nodes(data):
        if len(path) == 3 and path[1] == b"images" and bytes(values.get(b"type", b"")) == b"kernel\0":
            inner = values.get(b"data")
            if inner is None:
                (size,) = struct.unpack(">I", values.get(b"data-size", b""))
                if b"data-position" in values:
                    (start,) = struct.unpack(">I", values[b"data-position"])
                else:
                    start = (total + 3 & -4) + struct.unpack(">I", values.get(b"data-offset", b""))[0]
                inner = data[start : start + size]
            name = bytes(values.get(b"compression", b"")).rstrip(b"\0").decode("ascii", "replace")
            return _Inner("FIT", memoryview(inner), {"lzo": "lzop"}.get(name, name) if name in _FIT_CODECS else None)
    return None


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
    """The string at an offset; names in a device tree are short."""
    return bytes(data[at : at + 256]).partition(b"\0")[0]


_CONTAINERS = (_bzimage, _zboot, _zimage, _uki, _uimage, _android, _fit)
