"""Compressed streams as they lie in kernel images: gzip, xz, zstd, lzma, bzip2, lz4, lzop, with whatever follows them.

Each is told by its magic number, and read to its own end; where another of the same codec follows at once, as parallel
compressors and `cat` leave it, all are one. Formats: RFC 1952; The .xz File Format; RFC 8878, whose skippable frames
lz4 has as well; lzma-specification.txt of the LZMA SDK; lz4_Frame_format.md (the legacy frame is what the kernel's
build writes); lib/decompress_unlzo.c for lzop's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from ..files import LIMIT, decoder

#: what begins a stream of each codec, and which of its bytes that is
MAGICS: dict[str, tuple[tuple[bytes, int], ...]] = {
    "gzip": ((b"\x1f\x8b\x08", 0),),
    "xz": ((b"\xfd7zXZ\0", 0),),
    "zstd": ((b"\x28\xb5\x2f\xfd", 0),),
    "bzip2": ((b"1AY&SY", 4),),
    "lz4": ((b"\x02\x21\x4c\x18", 0), (b"\x04\x22\x4d\x18", 0)),
    "lzop": ((b"\x89LZO\0\r\n\x1a\n", 0),),
    "lzma": ((b"\x5d\0\0", 0), (b"\x6d\0\0", 0)),
}
#: lzma has no magic number: its usual properties, or those of OpenWrt's boot loaders (lc=1, lp=2), a dictionary of
#: 64 KiB or more, and a size that is unknown or below 4 GiB
_BEGIN = {
    "lzma": re.compile(rb"[\x5d\x6d]\0\0[\0-\xff]{2}(?:\xff{8}|[\0-\xff]{4}\0{4})"),
    "bzip2": re.compile(rb"BZh[1-9]"),
}
#: these may leave a line of text as it is
LITERAL = ("lz4", "lzop")
_LZ4_LEGACY, _LZ4_BLOCK = b"\x02\x21\x4c\x18", 8 << 20
#: a byte of lz4 makes no more than so many
_LZ4_MOST = 255
_LZ4_LARGEST = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16
#: flags in lz4's frame: checksum of each block, size of the whole, checksum of the whole, a dictionary
_BLOCK_SUM, _SIZE, _SUM, _DICTIONARY = 0x10, 0x08, 0x04, 0x01
#: flags in lzop's header: checksums of each block (plain, compressed), a field of its own, a filter
_ADLER, _CRC, _ADLER_PACKED, _CRC_PACKED, _EXTRA, _FILTER = 0x1, 0x100, 0x2, 0x200, 0x40, 0x800
#: most streams that make one; bgzip makes one of each 64 KiB
_MEMBERS = 10_000
#: so much is given to a decoder at once: what it has left over, it copies
_CHUNK = 32 << 20
#: so much a decoder that failed is taken to have unpacked, since it does not say
_UNKNOWN = 128 << 20
#: a frame that is to be skipped begins with a number from 0x50 to 0x5f, and this
_SKIPPED = b"\x2a\x4d\x18"


class StreamError(Exception):
    """A stream that cannot be read; the message says why.

    :ivar spent: so many bytes were unpacked before that was seen, about
    """

    def __init__(self, message: str, spent: int = 0) -> None:
        super().__init__(message)
        self.spent = spent


class Stream(NamedTuple):
    """What a stream holds, and how many bytes the stream itself has."""

    data: bytes
    size: int


def codec_at(data: bytes | memoryview, at: int = 0) -> str | None:
    """The codec of the stream that begins there, a key of `MAGICS`; None where none does."""
    start = bytes(data[at : at + 16])
    for codec, magics in MAGICS.items():
        if any(start.startswith(magic, place) for magic, place in magics):
            return codec if codec not in _BEGIN or _BEGIN[codec].match(start) else None
    return None


def unpack_stream(data: bytes | memoryview, codec: str, limit: int = LIMIT) -> Stream:
    """The stream at the beginning of `data`, and those of its codec that adjoin it.

    :param codec: a key of `MAGICS`
    :param limit: most bytes that it may come to
    :raises StreamError: it is damaged or cut, or holds more; or the library that reads it is not installed
    """
    view = memoryview(data)
    plain = _Plain(limit)
    at = members = 0
    try:
        while not members or codec_at(view, at) == codec:
            members += 1
            if members > _MEMBERS:
                raise StreamError(f"more than {_MEMBERS} streams")
            at += _READERS.get(codec, _by_decoder)(view[at:], codec, plain)
            while codec in ("zstd", "lz4") and bytes(view[at + 1 : at + 4]) == _SKIPPED and view[at] >> 4 == 5:
                at += 8 + struct.unpack_from("<I", view, at + 4)[0]
    except Exception as error:  # each codec has errors of its own, and all mean the same here
        raise _understood(error, plain.size + (0 if codec in _READERS else _UNKNOWN)) from None
    return Stream(plain.parts[0] if len(plain.parts) == 1 else b"".join(plain.parts), min(at, len(view)))


def _understood(error: Exception, spent: int) -> StreamError:
    if isinstance(error, StreamError):
        return StreamError(str(error), spent)
    if isinstance(error, ImportError):
        return StreamError(f"the Python package {error.name} is needed to read it", spent)
    return StreamError(f"damaged: {str(error).rstrip('.').lower() or type(error).__name__}", spent)


class _Plain:
    """What was unpacked so far."""

    def __init__(self, limit: int) -> None:
        self.parts: list[bytes] = []
        self.size, self.limit = 0, limit

    def add(self, part: bytes) -> None:
        self.parts.append(part)
        self.size += len(part)
        if self.size > self.limit:
            raise StreamError(f"more than {self.limit >> 20} MiB")


def first_bytes(data: bytes | memoryview, codec: str) -> bytes | None:
    """What the beginning of a stream, of which `data` has a part, holds; None where it is none. Of lz4 and lzop, which
    are read whole, nothing is known."""
    if codec in _READERS:
        return b""
    try:
        return bytes(_decoder(codec).decompress(data, len(data)))
    except Exception:  # each codec has errors of its own
        return None


def _by_decoder(data: memoryview, codec: str, plain: _Plain) -> int:
    reader = _decoder(codec)
    at = 0
    while not reader.eof and at < len(data):
        plain.add(reader.decompress(data[at : at + _CHUNK], plain.limit - plain.size + 1))
        at = min(at + _CHUNK, len(data))
    if not reader.eof:
        raise StreamError("it ends too early")
    return at - len(reader.unused_data)


def _decoder(codec: str) -> Any:
    if codec == "gzip":
        return decoder("gz")
    if codec == "zstd":
        return decoder("zst")
    if codec == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    form = lzma.FORMAT_XZ if codec == "xz" else lzma.FORMAT_ALONE
    return lzma.LZMADecompressor(form, memlimit=LIMIT)


def _lz4(data: memoryview, codec: str, plain: _Plain) -> int:
    return (_lz4_legacy if bytes(data[:4]) == _LZ4_LEGACY else _lz4_frame)(data, plain)


def _lz4_frame(data: memoryview, plain: _Plain) -> int:
    """A frame of today's format: blocks, each after its size, until one of none."""
    import cramjam

    flags, largest = data[4], 1 << 8 + 2 * (data[5] >> 4 & 7)
    at = 7 + (8 if flags & _SIZE else 0) + (4 if flags & _DICTIONARY else 0)
    count = 0
    while size := struct.unpack_from("<I", data, at)[0] & 0x7FFFFFFF:
        at += 4 + size + (4 if flags & _BLOCK_SUM else 0)
        count += 1
        if at + 4 > len(data):
            raise StreamError("it ends too early")
    at += 4 + (4 if flags & _SUM else 0)
    length = count * largest
    if flags & _SIZE:
        length = min(length, struct.unpack_from("<Q", data, 6)[0])
    room = bytearray(min(length, plain.limit - plain.size + 1))
    plain.size += len(room)  # should it fail
    length = cramjam.lz4.decompress_into(bytes(data[:at]), room)
    plain.size -= len(room)
    plain.add(bytes(memoryview(room)[:length]))
    return at


def _lz4_legacy(data: memoryview, plain: _Plain) -> int:
    """The legacy frame: blocks of 8 MiB, each after its size, the last one shorter."""
    import cramjam

    room = bytearray()
    at, length = 4, _LZ4_BLOCK
    while length == _LZ4_BLOCK and at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        if size > _LZ4_LARGEST or not size:
            break  # not a block's: the size of the whole, which the kernel's build appends
        if at + 4 + size > len(data):
            raise StreamError("it ends too early")
        if len(room) < min(_LZ4_BLOCK, _LZ4_MOST * size):
            room = bytearray(min(_LZ4_BLOCK, _LZ4_MOST * size))
        length = cramjam.lz4.decompress_block_into(bytes(data[at + 4 : at + 4 + size]), room)
        plain.add(bytes(memoryview(room)[:length]))
        at += 4 + size
    if at == 4:
        raise StreamError("no block in it")
    return at


def _lzop(data: memoryview, codec: str, plain: _Plain) -> int:
    from lzallright import LZOCompressor

    recent = struct.unpack_from(">H", data, 9)[0] >= 0x940
    at = 9 + (8 if recent else 5)  # versions, method, level
    (flags,) = struct.unpack_from(">I", data, at)
    at += 4 + (4 if flags & _FILTER else 0) + (12 if recent else 8)  # flags, filter, mode, time
    at += 1 + data[at] + 4  # name, checksum
    if flags & _EXTRA:
        at += 8 + struct.unpack_from(">I", data, at)[0]
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        if not length:
            return at + 4
        (size,) = struct.unpack_from(">I", data, at + 4)
        sums = bool(flags & _ADLER) + bool(flags & _CRC)
        sums += (bool(flags & _ADLER_PACKED) + bool(flags & _CRC_PACKED)) if size < length else 0
        at += 8 + 4 * sums
        if at + size > len(data):
            raise StreamError("it ends too early")
        if length > plain.limit:
            raise StreamError(f"more than {plain.limit >> 20} MiB")
        block = bytes(data[at : at + size])
        plain.add(LZOCompressor.decompress(block, length) if size < length else block)
        at += size


_READERS: dict[str, Callable[[memoryview, str, _Plain], int]] = {"lz4": _lz4, "lzop": _lzop}
