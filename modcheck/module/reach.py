"""Whether what a relocation writes fits its field, as far as a file tells: on arm64, riscv64 and ppc64.

Where a module is put nobody knows beforehand, but the kernel's half of the address space, the size of the area for
modules, and what stands in the file decide nearly all records. arch/arm64/kernel/module.c (4.16 to 7.3),
arch/riscv/kernel/module.c (6.8 to 7.3) and arch/powerpc/kernel/module_64.c (6.1 and 7.3).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

from .elf import Image, Row, Symbols
from .facts import SHF_ALLOC, SHF_EXECINSTR, SHN_ABS, SHN_UNDEF, STB_WEAK, Relocations, Section

_EM_PPC64, _EM_AARCH64, _EM_RISCV = 21, 183, 243


class Field(NamedTuple):
    """What the loader takes for a type: values from `low` up to, and without, `high`, counted from the place or not."""

    relative: bool
    low: int
    high: int


def _signed(bits: int) -> Field:
    return Field(True, -(1 << (bits - 1)), 1 << (bits - 1))


_ARM64 = {
    258: Field(False, 0, 1 << 32), 259: Field(False, 0, 1 << 16), 261: _signed(32), 262: _signed(16),
    263: Field(False, 0, 1 << 16), 265: Field(False, 0, 1 << 32), 267: Field(False, 0, 1 << 48),
    270: Field(False, -(1 << 16), 1 << 16), 271: Field(False, -(1 << 32), 1 << 32),
    272: Field(False, -(1 << 48), 1 << 48), 273: _signed(21), 274: _signed(21), 275: _signed(33), 279: _signed(16),
    280: _signed(21), 282: _signed(28), 283: _signed(28), 287: _signed(17), 289: _signed(33), 291: _signed(49),
}  # fmt: skip
#: a branch out of reach goes through the module's PLT, if the loader has counted it there
_ARM64_BRANCHES = {282, 283}
_RISCV = {1: Field(False, 0, 1 << 32), 18: _signed(32), 19: _signed(32), 23: _signed(32), 59: _signed(32)}
_RISCV_BRANCHES = {19, 59}
_PPC64 = {10: _signed(26), 26: _signed(32)}
#: short offsets from the TOC pointer, which the loader chooses; and types whose values must be multiples of four
_PPC64_TOC, _PPC64_EVEN = {47, 63}, {10, 63, 64}
_PPC64_BRANCH, _PPC64_NOP, _PPC64_LINK = 10, 0x60000000, 1
_FIELDS = {_EM_AARCH64: _ARM64, _EM_RISCV: _RISCV, _EM_PPC64: _PPC64}
_RISCV_HIGH, _RISCV_LOW = {20, 23}, {24, 25}

#: the addresses of the kernel and its modules, as signed numbers
_KERNEL = (-(1 << 47), -(1 << 31))
#: how far apart the modules of a kernel, and how far a module and the kernel lie at most
_MODULES, _REACH = 1 << 31, 1 << 33
#: what a module may need of these in earnest
_NEAR = 1 << 26
#: what the four bytes behind the fourth of a number that is that near are by it, and for others what they are not all
_NEAR_SIGNS = bytes(0 if byte < 4 else 0xFF if byte >= 0xFC else 1 for byte in range(256))


class Reach(NamedTuple):
    """Type and record of the first relocation of each kind in a section."""

    far: tuple[int, int] | None = None
    """its value does not fit its field"""
    unsure: tuple[int, int] | None = None
    """whether it fits depends on where the module is put, or on memory that is not the file's"""
    no_high: tuple[int, int] | None = None
    """riscv: the lower half of an address whose upper half is not in the section"""
    no_nop: tuple[int, int] | None = None
    """ppc64: a call of a symbol of the kernel; what stands behind it in place of a nop is given for the type"""


def with_reach(image: Image, data: bytes, found: Sequence[Relocations], ends: Sequence[int]) -> Sequence[Relocations]:
    """What is `found` of sections of RELA records `data`, with what the values of each come to.

    :param ends: how many records those of each section end behind
    """
    assert image.header
    fields = _FIELDS.get(image.header.e_machine)
    if fields is None or image.bits != 64 or image.endianness != "little":
        return found
    odd = _odd_symbols(image, _column("I", data, 3, 6))
    signs = data[19::24].translate(_NEAR_SIGNS)
    near = all(data[place::24] == signs for place in range(20, 24))
    reaches = [
        _read_reach(image, fields, one, data[24 * start : 24 * end], odd, near)
        for one, start, end in zip(found, [0, *ends], ends)
    ]
    if not any(reaches):
        return found
    return [one if reach is None else one._replace(**reach._asdict()) for one, reach in zip(found, reaches)]


def _column(code: str, data: bytes, place: int, size: int) -> array[int]:
    """Of records of `size` numbers, one number of each."""
    column = array(code, data)[place::size]
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _read_reach(
    image: Image, fields: dict[int, Field], one: Relocations, data: bytes, odd: set[int], near: bool
) -> Reach | None:
    """What the records `data` of a section come to; None for nothing.

    :param odd: all symbols of which it is not known where they lie
    :param near: whether all addends are known to be small
    """
    rows, target, types = image.symbols, one.target, {kind for kind, _ in one.types}
    size, is_code = image.sections.sh_size[target], image.sections.sh_flags[target] & SHF_EXECINSTR
    offsets, kinds, symbols = _column("Q", data, 0, 3), _column("I", data, 2, 6), _column("I", data, 3, 6)
    addends = _column("q", data, 2, 3)
    no_high = _no_high(target, offsets, kinds, symbols, rows) if fields is _RISCV and types & _RISCV_LOW else None
    no_nop = (
        _no_nop(image, target, offsets, kinds, symbols, rows) if fields is _PPC64 and _PPC64_BRANCH in types else None
    )
    narrow = {kind for kind in types & fields.keys() if _is_narrow(kind, fields[kind])}
    near = near or not addends or (max(addends) < _NEAR and min(addends) >= -_NEAR)
    if fields is _ARM64 and not is_code:
        narrow |= _ARM64_BRANCHES & types  # no PLT entries are counted for what is not code
    if fields is _PPC64:
        narrow |= _PPC64_TOC & types
        even = _PPC64_EVEN & types
        narrow |= even if even and _uneven(data, kinds, symbols, rows) else set()
    if near and not narrow and max(offsets, default=0) < max(size, 1) and (not odd or odd.isdisjoint(symbols)):
        return Reach(no_high=no_high, no_nop=no_nop) if no_high or no_nop else None
    far = unsure = None
    for record, (kind, symbol, offset, addend) in enumerate(zip(kinds, symbols, offsets, addends)):
        inside = offset < size
        if inside and (kind not in narrow and symbol not in odd and -_NEAR <= addend < _NEAR):
            continue
        if inside and kind not in fields and kind not in narrow:
            continue
        fits = (
            _judged(fields, image.sections, target, kind, rows[symbol], addend, offset) if symbol < len(rows) else None
        )
        if fits is False:
            far = kind, record
            break
        if unsure is None and not (fits and inside):
            unsure = kind, record
    return Reach(far, unsure, no_high, no_nop)


def _judged(
    fields: dict[int, Field], sections: Sequence[Section], target: int, kind: int, row: Row, addend: int, offset: int
) -> bool | None:
    """As `_fits`, for types that need more than a field that is wide enough."""
    if fields is _PPC64 and kind in _PPC64_EVEN and (addend + row[3]) & 3:
        return None
    if kind in _ARM64_BRANCHES and row[2] != target and not sections[target].sh_flags & SHF_EXECINSTR:
        return None
    if kind not in fields:
        return True if kind in _PPC64_EVEN - _PPC64_TOC else None
    fits = _fits(fields[kind], sections, target, row, addend, offset)
    through_table = fields is _PPC64 or kind in _ARM64_BRANCHES | _RISCV_BRANCHES
    return None if fits is False and through_table else fits


def _uneven(data: bytes, kinds: Sequence[int], symbols: Sequence[int], rows: Symbols) -> bool:
    """Whether any value that must be a multiple of four is perhaps none."""
    values = rows.column("st_value")
    used = set(compress(symbols, map(_PPC64_EVEN.__contains__, kinds)))
    lowest = {*data[16::24], *[values[symbol] for symbol in used if symbol < len(rows)]}
    return any(map((3).__and__, lowest))


def _is_narrow(kind: int, field: Field) -> bool:
    """Whether values that a good module has would not fit: such types are rare."""
    return not field.relative or (field.high < _MODULES and kind not in _ARM64_BRANCHES | {_PPC64_BRANCH})


def _odd_symbols(image: Image, symbols: Sequence[int]) -> set[int]:
    """Those that are neither the kernel's nor lie in a section of the module that is loaded."""
    rows, sections = image.symbols, image.sections
    ends = [size if flags & SHF_ALLOC else -1 for size, flags in zip(sections.sh_size, sections.sh_flags)]
    ends[SHN_UNDEF] = 1 << 64
    infos, places, values = rows.column("st_info"), rows.column("st_shndx"), rows.column("st_value")
    return {
        symbol
        for symbol in set(symbols)
        if symbol >= len(rows)
        or (place := places[symbol]) >= len(ends)
        or values[symbol] > ends[place]
        or (place == SHN_UNDEF and infos[symbol] >> 4 == STB_WEAK)
    }


def _fits(
    field: Field,
    sections: Sequence[Section],
    target: int,
    row: Row,
    addend: int,
    offset: int,
) -> bool | None:
    """Whether the value fits wherever the module lies; None where that decides."""
    _, info, shndx, value, _ = row
    if shndx == SHN_UNDEF and info >> 4 == STB_WEAK:
        return None
    known = _wrapped(addend - offset * field.relative + (0 if shndx == SHN_UNDEF else value))
    low, high = _span(field.relative, sections, target, shndx)
    if field.high >= _MODULES and field.relative and -_NEAR <= known < _NEAR and low >= -_REACH and high <= _REACH:
        return True
    low, high = low + known, high + known
    if low >= field.low and high < field.high:
        return True
    wraps = low < -(1 << 63) or high >= 1 << 63
    return False if not wraps and (high < field.low or low >= field.high) else None


def _span(relative: bool, sections: Sequence[Section], target: int, shndx: int) -> tuple[int, int]:
    """The least and the greatest that the addresses of symbol and place add to what the file says."""
    if shndx == SHN_ABS:
        return (-_KERNEL[1], -_KERNEL[0]) if relative else (0, 0)
    if not relative:
        return _KERNEL
    if shndx == target:
        return 0, 0
    if shndx == SHN_UNDEF:
        return -_REACH, _REACH
    if shndx >= len(sections) or not sections[shndx].sh_flags & SHF_ALLOC:
        return _KERNEL[0], -_KERNEL[0]  # the copy that was loaded, elsewhere in the kernel's memory
    if _is_text(sections[shndx]) and _is_text(sections[target]):
        size = sum(section.sh_size + 4096 for section in sections if _is_text(section))
        return -size, size
    return -_MODULES, _MODULES


def _is_text(section: Section) -> bool:
    """Whether it is code that stays: it lies in one piece."""
    wanted = SHF_ALLOC | SHF_EXECINSTR
    return section.sh_flags & wanted == wanted and not (section.name or "").startswith(".init")


def _wrapped(value: int) -> int:
    """As a signed number of 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _no_high(
    target: int, offsets: Sequence[int], kinds: Sequence[int], symbols: Sequence[int], rows: Symbols
) -> tuple[int, int] | None:
    """The first lower half whose symbol is not at the place of an upper half in the same section."""
    places, values = rows.column("st_shndx"), rows.column("st_value")
    highs = set(compress(offsets, map(_RISCV_HIGH.__contains__, kinds)))
    lows = set(compress(symbols, map(_RISCV_LOW.__contains__, kinds)))
    lone = {
        symbol for symbol in lows if symbol < len(rows) and not (places[symbol] == target and values[symbol] in highs)
    }
    if not lone:
        return None
    return next(
        (kind, record)
        for record, (kind, symbol) in enumerate(zip(kinds, symbols))
        if kind in _RISCV_LOW and symbol in lone
    )


def _no_nop(
    image: Image, target: int, offsets: Sequence[int], kinds: Sequence[int], symbols: Sequence[int], rows: Symbols
) -> tuple[int, int] | None:
    """The first call of a symbol of the kernel's that leaves the loader no room to restore the TOC pointer behind it.

    Calls of the tracer's `_mcount` need none.
    """
    places = rows.column("st_shndx")
    content = image.bytes_of(image.sections[target])
    words = _column("I", content[: len(content) & ~3], 0, 1)
    for record in compress(range(len(kinds)), map(_PPC64_BRANCH.__eq__, kinds)):
        symbol, place = symbols[record], offsets[record] // 4 + 1
        if symbol >= len(rows) or places[symbol] != SHN_UNDEF or place >= len(words):
            continue
        if words[place] == _PPC64_NOP or not words[place - 1] & _PPC64_LINK:
            continue
        if image.strings.get(rows[symbol][0]) not in ("_mcount", "._mcount"):
            return words[place], record
    return None
