"""Compressed streams as they lie in kernel images: gzip, xz, zstd, lzma, bzip2, lz4, lzop, with whatever follows them.

Each is told by its magic number. Formats: RFC 1952; The .xz File Format; RFC 8878; lzma-specification.txt of the LZMA
SDK; lz4_Frame_format.md (the legacy frame is what the kernel's build writes); lib/decompress_unlzo.c for lzop's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from ..files import LIMIT, decoder

#: what begins a stream; lzma has no magic number: its usual properties, a dictionary of 64 KiB or more, and a size that
#: is unknown or below 4 GiB
MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<xz>\xfd7zXZ\0)|(?P<zstd>\x28\xb5\x2f\xfd)|(?P<bzip2>BZh[1-9]1AY&SY)"
    rb"|(?P<lz4>\x02\x21\x4c\x18|\x04\x22\x4d\x18)|(?P<lzop>\x89LZO\0\r\n\x1a\n)"
    rb"|(?P<lzma>\x5d\0\0[\0-\xff]{2}(?:\xff{8}|[\0-\xff]{4}\0{4}))"
)
_LZ4_LEGACY, _LZ4_BLOCK = b"\x02\x21\x4c\x18", 8 << 20
_LZ4_LARGEST = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16
#: flags in lzop's header: checksums of each block (plain, compressed), a field of its own, a filter
_ADLER, _CRC, _ADLER_PACKED, _CRC_PACKED, _EXTRA, _FILTER = 0x1, 0x100, 0x2, 0x200, 0x40, 0x800


class StreamError(Exception):
    """A stream that cannot be read; the message says why."""


def unpack_stream(data: bytes | memoryview, codec: str, limit: int = LIMIT) -> bytes:
    """What the stream at the beginning of `data` holds.

    :param codec: a group of `MAGIC`
    :param limit: most bytes that it may come to
    :raises StreamError: it is damaged or cut, or holds more; or the library that reads it is not installed
    """
    try:
        return _READERS.get(codec, _by_decoder)(data, codec, limit)
    except StreamError:
        raise
    except ImportError as error:
        raise StreamError(f"the Python package {error.name} is needed to read it") from None
    except Exception as error:  # each codec has errors of its own, and all mean the same here
        raise StreamError(f"damaged: {str(error).rstrip('.').lower() or type(error).__name__}") from None


def may_begin(data: bytes | memoryview, codec: str) -> bool:
    """Whether `data` may be the beginning of a stream: no more is read of it. An lz4 frame of today's format is not
    looked for: only where its end is known can it be read."""
    if codec in ("lz4", "lzop"):
        return codec == "lzop" or bytes(data[:4]) == _LZ4_LEGACY
    try:
        _decoder(codec).decompress(data, len(data))
    except Exception:  # each codec has errors of its own
        return False
    return True


def _by_decoder(data: bytes | memoryview, codec: str, limit: int) -> bytes:
    reader = _decoder(codec)
    plain = bytes(reader.decompress(data, limit))
    if not reader.eof:
        raise StreamError(f"more than {limit >> 20} MiB" if len(plain) >= limit else "it ends too early")
    return plain


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


def _lz4(data: bytes | memoryview, codec: str, limit: int) -> bytes:
    """The legacy frame: blocks of 8 MiB, each after its size, the last one shorter; or one frame of today's format."""
    import cramjam

    if bytes(data[:4]) != _LZ4_LEGACY:
        room = bytearray(min(limit, 255 * len(data)))
        return bytes(room[: cramjam.lz4.decompress_into(bytes(data), room)])
    plain = bytearray()
    room = bytearray(_LZ4_BLOCK)
    at = 4
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        if size > _LZ4_LARGEST or not size:
            break  # not a block's: the size of the whole, which the kernel's build appends
        if at + 4 + size > len(data):
            raise StreamError("it ends too early")
        length = cramjam.lz4.decompress_block_into(bytes(data[at + 4 : at + 4 + size]), room)
        plain += memoryview(room)[:length]
        at += 4 + size
        if len(plain) > limit:
            raise StreamError(f"more than {limit >> 20} MiB")
        if length < _LZ4_BLOCK:
            return bytes(plain)
    if not plain:
        raise StreamError("no block in it")
    return bytes(plain)


def _lzop(data: bytes | memoryview, codec: str, limit: int) -> bytes:
    from lzallright import LZOCompressor

    recent = struct.unpack_from(">H", data, 9)[0] >= 0x940
    at = 9 + (8 if recent else 5)  # versions, method, level
    (flags,) = struct.unpack_from(">I", data, at)
    at += 4 + (4 if flags & _FILTER else 0) + (12 if recent else 8)  # flags, filter, mode, time
    at += 1 + data[at] + 4  # name, checksum
    if flags & _EXTRA:
        at += 8 + struct.unpack_from(">I", data, at)[0]
    plain = bytearray()
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        if not length:
            return bytes(plain)
        (size,) = struct.unpack_from(">I", data, at + 4)
        sums = bool(flags & _ADLER) + bool(flags & _CRC)
        sums += (bool(flags & _ADLER_PACKED) + bool(flags & _CRC_PACKED)) if size < length else 0
        at += 8 + 4 * sums
        if at + size > len(data):
            raise StreamError("it ends too early")
        if len(plain) + length > limit:
            raise StreamError(f"more than {limit >> 20} MiB")
        block = bytes(data[at : at + size])
        plain += LZOCompressor.decompress(block, length) if size < length else block
        at += size


_READERS: dict[str, Callable[[bytes | memoryview, str, int], bytes]] = {"lz4": _lz4, "lzop": _lzop}
