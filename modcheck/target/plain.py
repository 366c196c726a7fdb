"""What a plain kernel's own header tells of it, wherever it lies: how far it reaches, and its architecture.

Headers: Documentation/arch/arm64/booting.rst and arch/riscv/boot-image-header.rst, 3.17 to 7.3; the ELF specification,
figures 1-3, 1-8, 2-1. Other kernels (arm, mips, s390, loongarch once unpacked) have none: there the line of
/proc/version is all that tells one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..arch import Endianness, arch_of_machine
from ..files import LIMIT

_BANNER = re.compile(rb"Linux version (\d+\.\d+\S{0,80}) [ -~]{0,1000}\n\0")
_UNFINISHED, _NUMBER = re.compile(rb" # "), re.compile(rb"#\S* ")
#: least size of a kernel once unpacked: what is smaller, and was found by searching, is none
LEAST = 1 << 20
#: where in a kernel the magic number is that begins its header
HEADERS = ((b"\x7fELF", 0), (b"ARMd", 56), (b"RSC\5", 56))
#: there chance has no room to make a magic number, and the rest of the header is not asked
_SECTOR = 512
_RELOCATABLE, _CORE, _NOBITS = 1, 4, 8
#: more than any kernel has, with debugging information or without
_SECTIONS = 200

Known = tuple[str, Endianness | None]
"""An architecture and its byte order, as far as it is told."""


def find_banner(data: bytes, start: int = 0, end: int | None = None) -> re.Match[bytes] | None:
    """The line of /proc/version in a plain kernel; its first group is the release. None where there is none.

    Since 6.1 there are two: one of init/version.c, `# SMP`, that has no number yet, and the final one, `#1 SMP`, of
    init/version-timestamp.c.
    """
    first = None
    for match in _lines(data, start, len(data) if end is None else end):
        if not _UNFINISHED.search(match[0]):
            return match
        first = first or match
    return first


def banners(data: bytes, start: int) -> list[tuple[int, bytes]]:
    """Each kernel's line of /proc/version, from `start` on, and the place where that kernel is first told."""
    found: list[tuple[int, bytes]] = []
    for match in _lines(data, start, len(data)):
        if found and _NUMBER.sub(b"# ", found[-1][1]) == _NUMBER.sub(b"# ", match[0]):
            found[-1] = found[-1][0], max(found[-1][1], match[0])
        else:
            found.append((match.start(), match[0]))
    return found


def _lines(data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    at = data.find(b"Linux version ", start, end)
    while at >= 0:
        if match := _BANNER.match(data, at, end):
            yield match
        at = data.find(b"Linux version ", at + 1, end)


def header_end(data: bytes, start: int) -> int | None:
    """Where the kernel, or another program, ends that has its header at `start`; None where there is no such header."""
    return elf_end(data, start) if data.startswith(b"\x7fELF", start) else _image_end(data, start)


def _image_end(data: bytes, start: int) -> int | None:
    """The end of an image of arm64 or riscv, of all where it does not tell it (arm64 before 3.17)."""
    magic = data[start + 56 : start + 60]
    if magic not in (b"ARMd", b"RSC\5") or (start % _SECTOR and not _is_header(data, start)):
        return None
    (size,) = struct.unpack_from("<Q", data, start + 16)
    end = min(start + size, len(data)) if LEAST <= size <= LIMIT else len(data)
    # the size has the BSS in it, which is not in the file: a PE header knows better, or else the next kernel's
    if data.startswith(b"MZ", start) and (told := _pe_end(data, start)):
        return min(told, end)
    at = data.find(magic, start + 64, end)
    while at >= 0:
        if _is_header(data, at - 56):
            return at - 56
        at = data.find(magic, at + 1, end)
    return end


def _is_header(data: bytes, start: int) -> bool:
    """Whether the words before the magic number are right: zero on arm64, another magic number on riscv."""
    words = data[start + 32 : start + 60]
    return words == bytes(24) + b"ARMd" or words[16:] == b"RISCV\0\0\0RSC\5"


def _pe_end(data: bytes, start: int) -> int | None:
    """The end of a PE file's sections."""
    try:
        (header,) = struct.unpack_from("<I", data, start + 0x3C)
        count, optional = struct.unpack_from("<H12xH", data, start + header + 6)
        table = start + header + 24 + optional
        ends = [sum(one) for one in struct.iter_unpack("<16xII16x", data[table : table + 40 * min(count, _SECTIONS)])]
    except struct.error:
        return None
    return start + max(ends) if ends and data.startswith(b"PE\0\0", start + header) else None


def elf_end(data: bytes, start: int) -> int | None:
    """Where the ELF file ends that begins at `start`, by its tables; None where none begins, or it is not linked."""
    identity = data[start + 4 : start + 7]
    if identity not in (b"\1\1\1", b"\1\2\1", b"\2\1\1", b"\2\2\1"):
        return None
    wide, order = identity[0] == 2, "<" if identity[1] == 1 else ">"
    size, segment, section = (64, 56, 64) if wide else (52, 32, 40)
    word, in_segment, in_section = ("Q", "8xQ16xQ16x", "4xI16xQQ24x") if wide else ("I", "4xI8xI12x", "4xI8xII16x")
    if len(data) < start + size:
        return None
    kind, _, version = struct.unpack_from(f"{order}HHI", data, start + 16)
    tables = struct.unpack_from(f"{order}{word * 3}I6H", data, start + 24)
    _, segments, sections, _, told, segment_size, count, section_size, section_count, _ = tables
    sizes = (told, segment_size if count else segment, section_size if section_count else section)
    if version != 1 or sizes != (size, segment, section) or kind in (_RELOCATABLE, _CORE) or section_count > _SECTIONS:
        return None
    end: int = max(size, segments + segment * count, sections + section * section_count)
    if start + end > len(data) or count > _SECTIONS:  # it is cut
        return None
    segments, sections = start + segments, start + sections
    for offset, filled in struct.iter_unpack(order + in_segment, data[segments : segments + segment * count]):
        end = max(end, offset + filled)
    for kind, offset, filled in struct.iter_unpack(
        order + in_section, data[sections : sections + section * section_count]
    ):
        end = max(end, offset + filled if kind != _NOBITS else 0)
    return min(start + end, len(data))


def arch_by_header(data: bytes | memoryview) -> Known | None:
    """The architecture of an ELF file, or of an image of arm64 or riscv; None where neither begins here."""
    if bytes(data[:4]) == b"\x7fELF" and len(data) >= 20:
        order: Endianness = "little" if data[5] == 1 else "big"
        (machine,) = struct.unpack_from("<H" if order == "little" else ">H", data, 18)
        known = arch_of_machine(machine, 64 if data[4] == 2 else 32)
        return (known, order) if known else None
    if bytes(data[56:60]) == b"ARMd":
        return "arm64", "big" if data[24] & 1 else "little"
    return ("riscv64", "little") if bytes(data[56:60]) == b"RSC\5" else None
