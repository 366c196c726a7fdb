"""Which kinds of relocations a module asks of the loader, and whether the places they are written to are still zero.

Types are scanned as strided bytes: a module may have hundreds of thousands of records. ELF gABI; psABI of x86-64.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable
from itertools import compress
from operator import add, itemgetter, le
from typing import NamedTuple

from .elf import Image, Rows
from .facts import SHF_ALLOC, SHT_NOBITS, SHT_REL, SHT_RELA, Relocations
from .lanes import all_apart, all_below, all_fit_half

_EM_X86_64, _EM_MIPS = 62, 8
#: ppc64, arm64, riscv: their values are looked at as well (reach.py)
_JUDGED_BY_VALUE = (21, 183, 243)
#: x86-64: bytes that a relocation of this type is written to
_X86_64_WIDTHS = {1: 8, 24: 8, 2: 4, 4: 4, 10: 4, 11: 4}
_WIDTHS = bytes(_X86_64_WIDTHS.get(kind, 0) for kind in range(256))
_ANY_WIDTH = bytes(width > 0 for width in range(256))
_WIDE = bytes(width == 8 for width in range(256))
_LOW_WORD = (0xFFFFFFFF).__and__

_FAR_TYPES = (10, 11)
#: no module and no kernel is that large: what reaches further does not fit 32 bits wherever the module is put
_FAR = 1 << 31


def read_relocations(image: Image, *, places: bool = True) -> tuple[Relocations, ...]:
    """The relocation sections whose target is loaded, in the order of the section table.

    Records of mips64 have three types each, of which kernels look at the first that is applied alone.

    :param places: look at more than the types: where the records are written, and what
    """
    if image.header is None:
        return ()
    rows = image.symbols
    loose = _loose_symbols(image) if places else frozenset()
    found = []
    for index, kind in enumerate(image.sections.sh_type):
        if kind not in (SHT_REL, SHT_RELA):
            continue
        section = image.sections[index]
        if not 0 < section.sh_info < len(image.sections):
            continue
        target = image.sections[section.sh_info]
        if not target.sh_flags & SHF_ALLOC:
            continue
        rela = section.sh_type == SHT_RELA
        size = (12 if rela else 8) if image.bits == 32 else (24 if rela else 16)
        data = image.bytes_of(section)
        data = data[: len(data) - len(data) % size]
        types = _types(image, data, size)
        nonzero = overlap = far = outside = beyond = None
        if places and rela and image.header.e_machine == _EM_X86_64 and image.bits == 64:
            content = None if target.sh_type == SHT_NOBITS else image.bytes_of(target)
            if not _ordinary(data, {kind for kind, _ in types}, target.sh_size, content, len(rows), loose):
                written = _places(data)
                beyond = _first(written, lambda _, symbol: symbol >= len(rows))
                both = (_far(written, data), _loose(written, loose))
                far = min(filter(None, both), key=itemgetter(1), default=None)
                outside = _outside(written, target.sh_size)
                if content is not None:
                    nonzero, overlap = _nonzero_place(written, content)
        one = Relocations(index, section.sh_info, rela, types, nonzero, far, outside, overlap, beyond)
        found.append(_with_reach(one, image, data, rows) if rela and places else one)
    return tuple(found)


def _with_reach(one: Relocations, image: Image, data: bytes, rows: Rows) -> Relocations:
    """The same with what can be told of the values on other architectures than x86-64; nothing for most of them."""
    assert image.header
    if image.header.e_machine not in _JUDGED_BY_VALUE:
        return one
    from .reach import read_reach

    reach = read_reach(image, one.target, data, rows)
    return one._replace(far=reach.far, unsure=reach.unsure, no_high=reach.no_high, no_nop=reach.no_nop)


def _types(image: Image, data: bytes, size: int) -> tuple[tuple[int, int], ...]:
    """Each type with the first record that has it, by record."""
    word = size // (3 if size in (12, 24) else 2)
    width = 1 if image.bits == 32 else 4
    places = range(word, word + width)
    if image.endianness == "big":
        places = range(2 * word - 1, 2 * word - 1 - width, -1)
    if image.bits == 64 and image.header and image.header.e_machine == _EM_MIPS:
        places = range(15, 16)  # behind a symbol of four bytes, and three bytes, in either byte order
    low, *high = (data[place::size] for place in places)
    if any(part.count(0) != len(part) for part in high):
        types = [sum(byte << 8 * n for n, byte in enumerate(row)) for row in zip(low, *high)]
        return tuple(sorted(((kind, types.index(kind)) for kind in set(types)), key=itemgetter(1)))
    found = []
    rest = low
    while rest:
        found.append((rest[0], low.index(rest[0])))
        rest = rest.translate(None, rest[:1])
    return tuple(found)


def _loose_symbols(image: Image) -> frozenset[int]:
    """The symbols in sections that are not loaded."""
    unloaded = {n for n, flags in enumerate(image.sections.sh_flags) if n and not flags & SHF_ALLOC}
    places = image.symbols.column("st_shndx")
    if unloaded.isdisjoint(places):
        return frozenset()
    return frozenset(symbol for symbol, shndx in enumerate(places) if shndx in unloaded)


def _ordinary(
    data: bytes, kinds: set[int], size: int, content: bytes | None, symbols: int, loose: frozenset[int]
) -> bool:
    """Whether nothing about the x86-64 records `data` for a section of `size` bytes is worth a second look.

    True proves that each has a symbol, fits, and is written inside the section, to bytes of `content` that are zero and
    no other's; False proves nothing. Nearly always it is True, in a fraction of the time that going through them takes.
    """
    if not data:
        return True
    if not kinds <= _X86_64_WIDTHS.keys():
        return False
    halves = array("I", data)
    if sys.byteorder == "big":
        halves.byteswap()
    low, high = halves[0::6], halves[1::6]
    wide = {_X86_64_WIDTHS[kind] == 8 for kind in kinds}
    widths = array("I", list(data[8::24].translate(_WIDTHS))) if len(wide) == 2 else 8 if True in wide else 4
    if any(high) or size >= 1 << 31 or not all_below(low, size - (8 if True in wide else 4) + 1):
        return False
    numbers = halves[3::6]
    if not all_below(numbers, symbols) or not all_fit_half(halves[4::6], halves[5::6]):
        return False
    if loose and not loose.isdisjoint(numbers):
        return False
    return all_apart(low, widths) and (content is None or _all_zero(content, low, widths))


def _all_zero(content: bytes, offsets: array[int], widths: int | array[int]) -> bool:
    """Whether in `content` so many bytes at each of the offsets are zero."""
    if isinstance(widths, array):
        wide = array("I", compress(offsets, map((8).__eq__, widths)))
        return _all_zero(content, offsets, 4) and _all_zero(content, wide, 8)
    if len(offsets) < 8:
        zeros = bytes(widths)
        return all(content[offset : offset + widths] == zeros for offset in offsets)
    # of each byte and those that follow it, all that is set in any
    folded = int.from_bytes(content, "little")
    step = 1
    while step < widths:
        folded |= folded >> 8 * step
        step *= 2
    found = folded.to_bytes(len(content), "little")
    return max(offsets) < len(content) and not any(map(found.__getitem__, offsets))


class _Places(NamedTuple):
    """Where x86-64 records are written: offset, type, width in bytes and symbol of each."""

    offsets: tuple[int, ...]
    kinds: tuple[int, ...]
    widths: bytes
    symbols: tuple[int, ...]


def _places(data: bytes) -> _Places:
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    kinds = tuple(map(_LOW_WORD, words[1::3]))
    symbols = struct.unpack(f"<{len(data) // 4}I", data)[3::6]
    if max(kinds, default=0) < 256:
        return _Places(words[0::3], kinds, bytes(kinds).translate(_WIDTHS), symbols)
    return _Places(words[0::3], kinds, bytes(_X86_64_WIDTHS.get(kind, 0) for kind in kinds), symbols)


def _first(places: _Places, wrong: Callable[[int, int], bool]) -> tuple[int, int] | None:
    """Type and record of the first for which `wrong(type, symbol)`; most often there is none."""
    suspects = {pair for pair in set(zip(places.kinds, places.symbols)) if wrong(*pair)}
    if not suspects:
        return None
    pairs = list(zip(places.kinds, places.symbols))
    record = min(map(pairs.index, suspects))
    return places.kinds[record], record


def _loose(places: _Places, loose: frozenset[int]) -> tuple[int, int] | None:
    """The first 32-bit relocation whose symbol is in a section that is not loaded: what the kernel
    has of it for the time being lies beyond 32 bits."""
    return _first(places, lambda kind, symbol: kind in _FAR_TYPES and symbol in loose)


def _far(places: _Places, data: bytes) -> tuple[int, int] | None:
    """Type and record of the first 32-bit relocation whose addend alone does not fit."""
    addends = struct.unpack(f"<{len(data) // 8}q", data)[2::3]
    if not addends or (max(addends) < _FAR and min(addends) >= -_FAR):
        return None
    for record, (kind, addend) in enumerate(zip(places.kinds, addends)):
        if kind in _FAR_TYPES and not -_FAR <= addend < _FAR:
            return kind, record
    return None


def _outside(places: _Places, size: int) -> tuple[int, int] | None:
    """Type and record of the first relocation that is written beyond the `size` bytes of its section."""
    if max(map(add, places.offsets, places.widths), default=0) <= size:
        return None
    for record, (offset, width) in enumerate(zip(places.offsets, places.widths)):
        if width and offset + width > size:
            return places.kinds[record], record
    return None


def _nonzero_place(places: _Places, content: bytes) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Type and record of the first relocation whose place is not zero, and of the first one before it whose place an
    earlier one has written in part: the bytes that they share may be zero.

    Nearly always there is neither, which passes over all records in C find out.
    """
    if _apart(places) and not _any_byte(places, content):
        return None, None
    written: dict[int, tuple[int, int]] = {}
    overlap = None
    for record, (offset, width) in enumerate(zip(places.offsets, places.widths)):
        if not width:
            continue
        place = range(offset, offset + width)
        same = written.get(offset) == (offset, width)
        if same or any(content[offset : offset + width]):
            return (places.kinds[record], record), overlap
        if overlap is None and any(byte in written for byte in place):
            overlap = places.kinds[record], record
        written.update(dict.fromkeys(place, (offset, width)))
    return None, overlap


def _apart(places: _Places) -> bool:
    """Whether no two places overlap."""
    offsets, widths = places.offsets, places.widths
    if not all(map(le, offsets, offsets[1:])):
        order = sorted(zip(offsets, widths))
        offsets, widths = tuple(offset for offset, _ in order), bytes(width for _, width in order)
    return all(map(le, map(add, offsets, widths), offsets[1:]))


def _any_byte(places: _Places, content: bytes) -> bool:
    """Whether any byte that will be written is not zero; what lies beyond the content is looked at one by one."""
    for wanted, steps in ((_ANY_WIDTH, range(4)), (_WIDE, range(4, 8))):
        at = tuple(compress(places.offsets, places.widths.translate(wanted)))
        if not at:
            continue
        if max(at) + 8 > len(content):
            content = content.ljust(min(max(at) + 8, len(content) + 8), b"\0")
        gather = itemgetter(*at, at[0])
        try:
            if any(any(gather(memoryview(content)[step:])) for step in steps):
                return True
        except IndexError:
            return True
    return False
