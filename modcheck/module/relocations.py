"""Which kinds of relocations a module asks of the loader, and whether the places they are written to are still zero.

Types are scanned as strided bytes: a module may have hundreds of thousands of records. ELF gABI; psABI of x86-64.
"""

from __future__ import annotations

import struct
from operator import itemgetter

from .elf import Image
from .facts import SHF_ALLOC, SHT_NOBITS, SHT_REL, SHT_RELA, Relocations, Section

_EM_X86_64, _EM_MIPS = 62, 8
#: x86-64: bytes that a relocation of this type is written to
_X86_64_WIDTHS = {1: 8, 24: 8, 2: 4, 4: 4, 10: 4, 11: 4}


def read_relocations(image: Image) -> tuple[Relocations, ...]:
    """The relocation sections whose target is loaded, in the order of the section table; without those of mips64,
    whose records have three types each."""
    if image.header is None or (image.header.e_machine == _EM_MIPS and image.bits == 64):
        return ()
    found = []
    for index, section in enumerate(image.sections):
        if section.sh_type not in (SHT_REL, SHT_RELA) or not 0 < section.sh_info < len(image.sections):
            continue
        target = image.sections[section.sh_info]
        if not target.sh_flags & SHF_ALLOC:
            continue
        rela = section.sh_type == SHT_RELA
        size = (12 if rela else 8) if image.bits == 32 else (24 if rela else 16)
        data = image.bytes_of(section)
        data = data[: len(data) - len(data) % size]
        nonzero = None
        if rela and image.header.e_machine == _EM_X86_64 and image.bits == 64:
            nonzero = _nonzero_place(image, data, target)
        found.append(Relocations(index, section.sh_info, rela, _types(image, data, size), nonzero))
    return tuple(found)


def _types(image: Image, data: bytes, size: int) -> tuple[tuple[int, int], ...]:
    """Each type with the first record that has it, by record."""
    word = size // (3 if size in (12, 24) else 2)
    width = 1 if image.bits == 32 else 4
    places = range(word, word + width)
    if image.endianness == "big":
        places = range(2 * word - 1, 2 * word - 1 - width, -1)
    low, *high = (data[place::size] for place in places)
    if any(byte.strip(b"\0") for byte in high):
        types = [sum(byte << 8 * n for n, byte in enumerate(row)) for row in zip(low, *high)]
        return tuple(sorted(((kind, types.index(kind)) for kind in set(types)), key=itemgetter(1)))
    return tuple(sorted(((kind, low.index(kind)) for kind in set(low)), key=itemgetter(1)))


def _nonzero_place(image: Image, data: bytes, target: Section) -> tuple[int, int] | None:
    """Type and record of the first relocation whose place is not zero, or has been written by an earlier one."""
    if target.sh_type == SHT_NOBITS:
        return None
    content = image.bytes_of(target)
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    offsets, infos = words[0::3], words[1::3]
    zeros = content.count(0) == len(content)
    try:
        if len(set(offsets)) == len(offsets) and (zeros or not any(_bytes_at(content, offsets, infos))):
            return None
    except IndexError:
        pass  # a place outside the section: looked at one by one
    written: set[int] = set()
    for record, (offset, info) in enumerate(zip(offsets, infos)):
        kind = info & 0xFFFFFFFF
        place = range(offset, offset + _X86_64_WIDTHS.get(kind, 0))
        if any(content[place.start : place.stop]) or not written.isdisjoint(place):
            return kind, record
        written.update(place)
    return None


def _bytes_at(content: bytes, offsets: tuple[int, ...], infos: tuple[int, ...]) -> bytes:
    """The bytes that the relocations will write, gathered in C."""
    places: list[int] = []
    for width in (4, 8):
        at = [offset for offset, info in zip(offsets, infos) if _X86_64_WIDTHS.get(info & 0xFFFFFFFF) == width]
        for step in range(width):
            places += [offset + step for offset in at]
    return bytes(itemgetter(*places)(content)) if len(places) > 1 else b""
