"""Which kinds of relocations a module asks of the loader, and whether the places they are written to are still zero.

Types are scanned as strided bytes: a module may have hundreds of thousands of records. ELF gABI; psABI of x86-64.
"""

from __future__ import annotations

import struct
from operator import itemgetter, sub

from .elf import Image
from .facts import SHF_ALLOC, SHT_NOBITS, SHT_REL, SHT_RELA, Relocations, Section

_EM_X86_64, _EM_MIPS = 62, 8
#: x86-64: bytes that a relocation of this type is written to
_FAR_TYPES = (10, 11)
#: no module and no kernel is that large: what reaches further does not fit 32 bits wherever the module is put
_FAR = 1 << 31
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
        nonzero = far = outside = None
        if rela and image.header.e_machine == _EM_X86_64 and image.bits == 64:
            nonzero, far, outside = _nonzero_place(image, data, target), _far(data), _outside(data, target)
        types = _types(image, data, size)
        found.append(Relocations(index, section.sh_info, rela, types, nonzero, far, outside))
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


def _far(data: bytes) -> tuple[int, int] | None:
    """Type and record of the first 32-bit relocation whose addend alone does not fit."""
    addends = struct.unpack(f"<{len(data) // 8}q", data)[2::3]
    if not addends or (max(addends) < _FAR and min(addends) >= -_FAR):
        return None
    kinds = struct.unpack(f"<{len(data) // 8}Q", data)[1::3]
    for record, (kind, addend) in enumerate(zip(kinds, addends)):
        if kind & 0xFFFFFFFF in _FAR_TYPES and not -_FAR <= addend < _FAR:
            return kind & 0xFFFFFFFF, record
    return None


def _outside(data: bytes, target: Section) -> tuple[int, int] | None:
    """Type and record of the first relocation that is written beyond the end of `target`."""
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    offsets, infos = words[0::3], words[1::3]
    if not offsets or max(offsets) + 8 <= target.sh_size:
        return None
    for record, (offset, info) in enumerate(zip(offsets, infos)):
        width = _X86_64_WIDTHS.get(info & 0xFFFFFFFF, 0)
        if width and offset + width > target.sh_size:
            return info & 0xFFFFFFFF, record
    return None


def _nonzero_place(image: Image, data: bytes, target: Section) -> tuple[int, int] | None:
    """Type and record of the first relocation whose place is not zero, or has been written by an earlier one."""
    if target.sh_type == SHT_NOBITS:
        return None
    content = image.bytes_of(target)
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    offsets, infos = words[0::3], words[1::3]
    widest = 8 if {1, 24} & {info & 0xFFFFFFFF for info in set(infos)} else 4
    ordered = sorted(offsets)
    apart = all(gap >= widest for gap in map(sub, ordered[1:], ordered))
    try:
        if apart and not any(_bytes_at(content, offsets, infos)):
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
