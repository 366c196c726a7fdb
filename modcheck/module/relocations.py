"""Which kinds of relocations a module asks of the loader, and whether the places they are written to are still zero.

Records are scanned as strided bytes, all of a module at once: there may be hundreds of thousands, or a few of each
section. ELF gABI; psABI of x86-64.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, groupby
from operator import add, itemgetter

from .elf import Image
from .facts import SHF_ALLOC, SHT_NOBITS, SHT_REL, SHT_RELA, Relocations, RelocationSections
from .lanes import all_apart, all_below

_EM_X86_64, _EM_MIPS = 62, 8
_KINDS = (SHT_REL, SHT_RELA)
#: ppc64, arm64, riscv: their values are looked at as well (reach.py)
_JUDGED_BY_VALUE = (21, 183, 243)
#: x86-64: bytes that a relocation of this type is written to
_X86_64_WIDTHS = {0: 0, 1: 8, 24: 8, 2: 4, 4: 4, 10: 4, 11: 4}
_WIDTHS = bytes(_X86_64_WIDTHS.get(kind, 0) for kind in range(256))
_KNOWN = bytes(_X86_64_WIDTHS)
_ANY_WIDTH = bytes(width > 0 for width in range(256))
_WIDE = bytes(width == 8 for width in range(256))
_SIGNS = bytes(0xFF * (byte >> 7) for byte in range(256))

#: a section of relocations: its type, place in the section table, target, and content
_Part = tuple[int, int, int, memoryview]

_FAR_TYPES = (10, 11)
#: no module and no kernel is that large: what reaches further does not fit 32 bits wherever the module is put
_FAR = 1 << 31


def read_relocations(image: Image, *, places: bool = True) -> Sequence[Relocations]:
    """The relocation sections whose target is loaded, in the order of the section table.

    Records of mips64 have three types each, of which kernels look at the first that is applied alone.

    :param places: look at more than the types: where the records are written, and what
    """
    if image.header is None:
        return ()
    found = [
        _read(image, kind == SHT_RELA, list(parts), places) for kind, parts in groupby(_parts(image), key=itemgetter(0))
    ]
    return found[0] if len(found) == 1 else tuple(chain.from_iterable(found))


def _parts(image: Image) -> Iterator[_Part]:
    """The sections of relocations for what is loaded."""
    sections, data = image.sections, memoryview(image.data)
    flags = sections.sh_flags
    for index, kind in enumerate(sections.sh_type):
        if kind not in _KINDS:
            continue
        target = sections.sh_info[index]
        if 0 < target < len(flags) and flags[target] & SHF_ALLOC:
            start = sections.sh_offset[index]
            yield kind, index, target, data[start : start + sections.sh_size[index]]


def _read(image: Image, rela: bool, parts: list[_Part], places: bool) -> Sequence[Relocations]:
    """What sections of one kind come to.

    Their records are looked at as one table, and section by section where something is wrong in it: most of a module's
    sections have so few that each would take longer than its records.
    """
    assert image.header
    size = (12 if rela else 8) if image.bits == 32 else (24 if rela else 16)
    tables = [data[: len(data) - len(data) % size] if len(data) % size else data for *_, data in parts]
    joined, ends = b"".join(tables), [end // size for end in accumulate(map(len, tables))]
    base, kinds = _kinds(image, joined, size)
    found = RelocationSections(rela, [(index, target) for _, index, target, _ in parts], base, kinds, ends)
    if not rela or not places:
        return found
    if image.header.e_machine in _JUDGED_BY_VALUE:
        from .reach import with_reach

        return with_reach(image, joined, found, ends)
    if image.header.e_machine != _EM_X86_64 or image.bits != 64:
        return found
    targets = [target for _, _, target, _ in parts]
    placed = not joined
    if joined and image.endianness == "little" and not base and isinstance(kinds, bytes):
        placed = _all_placed(image, joined, kinds, targets, ends)
    if placed and _all_fit(image, joined):
        return found
    if len(parts) > 1:
        return [one for part in parts for one in _read(image, rela, [part], places)]
    return [_with_places(found[0], image, joined, placed)]


def _with_places(one: Relocations, image: Image, data: bytes, placed: bool) -> Relocations:
    """The same with what is wrong of the places that x86-64 records are written to, or of what is written: type and
    record of the first of each. Those that share bytes with an earlier one count before the first place that is not
    zero alone: the bytes may be zero.

    :param placed: whether nothing is known to be wrong of the places
    """
    known, loose, target = len(image.symbols), _loose_symbols(image), image.sections[one.target]
    content = None if placed or target.sh_type == SHT_NOBITS else image.bytes_of(target)
    written: dict[int, tuple[int, int]] = {}
    found: dict[str, tuple[int, int]] = {}
    for record, (offset, info, addend) in enumerate(struct.iter_unpack("<QQq", data)):
        kind, symbol = info & 0xFFFFFFFF, info >> 32
        width = _X86_64_WIDTHS.get(kind, 0)
        if symbol >= known:
            found.setdefault("beyond", (kind, record))
        if kind in _FAR_TYPES and (symbol in loose or not -_FAR <= addend < _FAR):
            found.setdefault("far", (kind, record))
        if width and offset + width > target.sh_size:
            found.setdefault("outside", (kind, record))
        if content is None or not width or "nonzero" in found:
            continue
        place = range(offset, offset + width)
        if written.get(offset) == (offset, width) or any(content[offset : offset + width]):
            found["nonzero"] = kind, record
        elif any(byte in written for byte in place):
            found.setdefault("overlap", (kind, record))
        written.update(dict.fromkeys(place, (offset, width)))
    first = found.get
    return one._replace(
        nonzero=first("nonzero"),
        far=first("far"),
        outside=first("outside"),
        overlap=first("overlap"),
        beyond=first("beyond"),
    )


def _kinds(image: Image, data: bytes, size: int) -> tuple[int, bytes | list[int]]:
    """The types of the records of so many bytes, less the number that is given first.

    They are bytes where they differ in their lowest byte alone.
    """
    word = size // (3 if size in (12, 24) else 2)
    width = 1 if image.bits == 32 else 4
    places = range(word, word + width)
    if image.endianness == "big":
        places = range(2 * word - 1, 2 * word - 1 - width, -1)
    if image.bits == 64 and image.header and image.header.e_machine == _EM_MIPS:
        places = range(15, 16)  # behind a symbol of four bytes, and three bytes, in either byte order
    low, *high = (data[place::size] for place in places)
    if all(part == part[:1] * len(part) for part in high):
        return int.from_bytes(b"\0" + b"".join([part[:1] for part in high]), "little"), low
    return 0, [sum(byte << 8 * n for n, byte in enumerate(row)) for row in zip(low, *high)]


def _loose_symbols(image: Image) -> frozenset[int]:
    """The symbols in sections that are not loaded."""
    unloaded = {n for n, flags in enumerate(image.sections.sh_flags) if n and not flags & SHF_ALLOC}
    low, _ = image.symbols.halves_of_sections()
    if len(low.translate(None, bytes(map((0xFF).__and__, unloaded)))) == len(low):
        return frozenset()
    return frozenset(n for n, shndx in enumerate(image.symbols.column("st_shndx")) if shndx in unloaded)


def _all_fit(image: Image, data: bytes) -> bool:
    """Whether all x86-64 records are known to have a symbol that is loaded, and an addend of 32 bits."""
    signs, zeros = data[19::24].translate(_SIGNS), bytes(len(data) // 24)
    if any(data[place::24] != signs for place in range(20, 24)) or data[14::24] != zeros or data[15::24] != zeros:
        return False
    low, high, loose = data[12::24], data[13::24], _loose_symbols(image)
    apart = len(low.translate(None, bytes({symbol & 0xFF for symbol in loose}))) == len(low)
    if not apart and not loose.isdisjoint(map(add, low, map((256).__mul__, high))):
        return False
    return all_below(low, high, len(image.symbols))


def _all_placed(image: Image, data: bytes, kinds: bytes, targets: list[int], ends: list[int]) -> bool:
    """Whether all x86-64 records for the sections `targets` are known to be written inside them, to bytes that are zero
    and no other's.

    Nearly always they are, in a fraction of the time that going through them takes.

    :param ends: how many records those of each section end behind
    """
    zeros = bytes(len(kinds))
    if kinds.translate(None, _KNOWN) or any(data[place::24] != zeros for place in range(3, 8)):
        return False
    offsets, widths = bytearray(4 * len(kinds)), kinds.translate(_WIDTHS)
    offsets[::4], offsets[1::4], offsets[2::4] = data[::24], data[1::24], data[2::24]
    if not all_apart(offsets, widths, ends):
        return False
    numbers = array("I", offsets)
    if sys.byteorder == "big":
        numbers.byteswap()
    sections, start = image.sections, 0
    for target, end in zip(targets, ends):
        if start == end:
            continue
        size = numbers[end - 1] + widths[end - 1]
        if size > sections.sh_size[target]:
            return False
        if sections.sh_type[target] != SHT_NOBITS:
            place = sections.sh_offset[target]
            content = image.data[place : place + size]
            if len(content) < size:
                return False
            if content != bytes(size) and not _all_zero(content, numbers[start:end], widths[start:end]):
                return False
        start = end
    return True


def _all_zero(content: bytes, offsets: Iterable[int], widths: bytes) -> bool:
    """Whether in `content` so many bytes at each of the offsets are zero."""
    count, end = len(widths), len(content)
    if widths.count(4) < count:
        wide = tuple(compress(offsets, widths.translate(_WIDE)))
        offsets = (*compress(offsets, widths.translate(_ANY_WIDTH)), *map((4).__add__, wide))
    gather = itemgetter(*offsets, end, end)  # what is behind the content is zero
    if end > 32 * count:
        content += bytes(4)
        return not any(any(gather(content[step:])) for step in range(4))
    # where they are dense, one look at what is set in any of four bytes is cheaper than four at each of them
    folded = int.from_bytes(content, "little")
    folded |= folded >> 8
    folded |= folded >> 16
    return not any(gather(folded.to_bytes(end + 1, "little")))
