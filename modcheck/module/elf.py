"""The ELF container of a module: header, section headers, symbols, decoded without ever failing on a damaged file.

pyelftools knows the formats and names machines; its structs tell the layout of each table once, since making them costs
more than a module, and parsing with them more than all the rest. The tables are decoded in bulk, and columns of the
symbol table as arrays: a module has some thousand symbols, of which the loader looks up sixty.
What is damaged is recorded as it is: whether a kernel minds is the loader's to say.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import compress
from typing import Any

from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.structs import ELFStructs

from ..arch import Endianness, bits_of_machine
from .facts import (
    SHN_ABS,
    SHN_LIVEPATCH,
    SHT_NOBITS,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    Elf,
    Header,
    LoaderSymbols,
    Section,
    Sections,
)

ELF_MAGIC = b"\x7fELF"
HEADER_SIZE = {32: 52, 64: 64}
SECTION_HEADER_SIZE = {32: 40, 64: 64}
_IDENT = 16
_UNSIGNED = {1: "B", 2: "H", 4: "I", 8: "Q"}
_MACHINE_NAMES = {value: name for name, value in ENUM_E_MACHINE.items() if isinstance(value, int)}


class _Table:
    """The layout of a record: its struct, and where its fields begin."""

    def __init__(self, fields: Any, order: str) -> None:
        """From the struct that pyelftools has for it; what identifies the file is left out of the header."""
        sizes = {field.name: field.sizeof() for field in fields.subcons if field.name != "e_ident"}
        places = [sum(list(sizes.values())[:index]) for index in range(len(sizes))]
        self.record = struct.Struct(order + "".join(_UNSIGNED[size] for size in sizes.values()))
        self.sizes, self.offsets = sizes, dict(zip(sizes, places))


@cache
def _layout(bits: int, endianness: Endianness) -> tuple[_Table, _Table, _Table]:
    """The tables of one word size and byte order: the header, section headers, symbols."""
    structs = ELFStructs(little_endian=endianness == "little", elfclass=bits)
    structs.create_basic_structs()
    # of all others only these are needed, and making them all takes longer than reading the module
    structs._create_shdr()
    structs._create_sym()
    order = _order(endianness)
    header, section, symbol = (
        _Table(fields, order) for fields in (structs.Elf_Ehdr, structs.Elf_Shdr, structs.Elf_Sym)
    )
    return header, section, symbol


def machine_name(machine: int) -> str:
    """pyelftools' name for an e_machine value, without its EM_ (`AARCH64`); the number where it has none."""
    return _MACHINE_NAMES.get(machine, str(machine)).removeprefix("EM_")


def layout(raw: bytes) -> tuple[int, Endianness]:
    """Word size and byte order of the ELF file that begins with `raw`.

    Kernels do not look at EI_DATA, most not at EI_CLASS: what e_type and e_machine say goes before those two bytes.
    """
    endianness: Endianness = "big" if raw[5:6] == b"\x02" else "little"
    if raw[16:18] in (b"\x01\x00", b"\x00\x01"):
        endianness = "little" if raw[16] else "big"
    bits = bits_of_machine(int.from_bytes(raw[18:20], endianness))
    if bits is None:
        bits = 32 if raw[4:5] == b"\x01" else 64
    return bits, endianness


def decode_header(raw: bytes, bits: int, endianness: Endianness) -> Header | None:
    """The header in the bytes `raw`, as a kernel of this word size and byte order reads it; None when too short."""
    size = HEADER_SIZE[bits]
    if len(raw) < size:
        return None
    fields = _layout(bits, endianness)[0].record.unpack(raw[_IDENT:size])
    return Header(fields[0], fields[1], fields[3], fields[5], fields[6], fields[10], fields[11], fields[12])


_ABS_LOW = SHN_ABS & 0xFF
_IS_ZERO = bytes(byte == 0 for byte in range(256))


@cache
def _section_marks(known: int) -> bytes:
    """What the higher byte of a section index must be by its lower one, among so many sections: 1 where none fits."""
    return bytes(0xFF if byte == _ABS_LOW else byte >= known for byte in range(256))


#: an entry of the symbol table: name offset, st_info, section index, value, size
Row = tuple[int, int, int, int, int]


class _Records:
    """A table of records of one layout; what is left of a cut last one is left out."""

    def __init__(self, data: bytes, table: _Table, endianness: Endianness) -> None:
        self._table, self._endianness = table, endianness
        self._count = len(data) // table.record.size
        self._whole = data[: self._count * table.record.size]
        self._columns: dict[str, Sequence[int]] = {}

    def __len__(self) -> int:
        return self._count

    def column(self, field: str) -> Sequence[int]:
        """The values of one field of every entry."""
        if field not in self._columns:
            self._columns[field] = self._column(field)
        return self._columns[field]

    def _column(self, field: str) -> Sequence[int]:
        width, first, size = self._table.sizes[field], self._table.offsets[field], self._table.record.size
        if width == 1:
            return self._whole[first::size]
        values = array(_UNSIGNED[width], self._whole)[first // width :: size // width]
        if self._endianness != sys.byteorder:
            values.byteswap()
        return values


class Symbols(_Records):
    """A symbol table: columns of it in bulk, entries one by one."""

    def __getitem__(self, index: int) -> Row:
        return self._row(self._table.record.unpack_from(self._whole, index * self._table.record.size))

    def __iter__(self) -> Iterator[Row]:
        return map(self._row, self._table.record.iter_unpack(self._whole))

    def _row(self, fields: tuple[int, ...]) -> Row:
        if self._table.record.size == 24:
            name, info, _, shndx, value, size = fields
        else:
            name, value, size, info, _, shndx = fields
        return name, info, shndx, value, size

    def halves_of_sections(self) -> tuple[bytes, bytes]:
        """The lower and the higher byte of every entry's section index."""
        first, size = self._table.offsets["st_shndx"], self._table.record.size
        halves = self._whole[first::size], self._whole[first + 1 :: size]
        return halves if self._endianness == "little" else halves[::-1]


class Strings:
    """A table of NUL-terminated strings."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # of ASCII an offset is the same among letters: slices of the whole need not be decoded again
        self._letters = text(data) + "\0" if data.isascii() else None

    def __getitem__(self, offset: int) -> str | None:
        """The string at `offset`; None outside the table."""
        if not 0 <= offset < len(self.data):
            return None
        if self._letters is not None:
            return self._letters[offset : self._letters.index("\0", offset)]
        end = self.data.find(b"\0", offset)
        return text(self.data[offset:] if end < 0 else self.data[offset:end])

    def get(self, offset: int) -> str:
        """The string at `offset`; empty outside the table."""
        return self[offset] or ""

    def at(self, offsets: Iterable[int]) -> list[str | None]:
        """The string at each of `offsets`, as one by one."""
        if self._letters is None:
            return [self[offset] for offset in offsets]
        letters, size, find = self._letters, len(self.data), self._letters.index
        return [letters[offset : find("\0", offset)] if offset < size else None for offset in offsets]


class Image:
    """The bytes of one ELF file, and what lies where in them. Lives only while a module is being read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bits, self.endianness = layout(data[:64])
        self.order = _order(self.endianness)
        is_elf = data[:4] == ELF_MAGIC
        self.header = decode_header(data[: HEADER_SIZE[self.bits]], self.bits, self.endianness) if is_elf else None
        self.sections = self._section_table() if self.header else Sections()

    def _section_table(self) -> Sections:
        assert self.header
        size = SECTION_HEADER_SIZE[self.bits]
        start = self.header.e_shoff
        end = start + size * self.header.e_shnum
        if end > len(self.data) or start == end:
            return Sections()
        records = _Records(self.data[start:end], _layout(self.bits, self.endianness)[1], self.endianness)
        columns = list(map(records.column, Section._fields[1:]))
        names, place = b"", self.header.e_shstrndx
        if place < len(records):
            offset = records.column("sh_offset")[place]
            names = self.data[offset : offset + records.column("sh_size")[place]]
        return Sections(Strings(names).at(columns[0]), columns)

    def relocation_sections(self, target: int) -> list[Section]:
        """The relocation sections for the section `target`."""
        infos, kinds = self.sections.sh_info, self.sections.sh_type
        places = [place for place, info in enumerate(infos) if info == target and kinds[place] in (SHT_RELA, SHT_REL)]
        return [self.sections[place] for place in places]

    def bytes_of(self, section: Section) -> bytes:
        """The section's bytes as far as the file has them; none for NOBITS."""
        if section.sh_type == SHT_NOBITS:
            return b""
        return self.data[section.sh_offset : section.sh_offset + section.sh_size]

    def find(self, name: str, flags: int = 0) -> Section | None:
        """The first section of this name that has all of `flags`; None when there is none."""
        place = self.place(name, flags)
        return None if place is None else self.sections[place]

    def place(self, name: str, flags: int = 0) -> int | None:
        """The place of `find` in the section table."""
        for place in self.sections.places_of(name):
            if self.sections.sh_type[place] != SHT_NULL and self.sections.sh_flags[place] & flags == flags:
                return place
        return None

    def unpack(self, format: str, data: bytes) -> Iterator[tuple[Any, ...]]:
        """The records of `format` in `data`, in the file's byte order; a cut last record is left out."""
        format = self.order + format
        return struct.iter_unpack(format, data[: len(data) - len(data) % struct.calcsize(format)])

    @cached_property
    def symbols(self) -> Symbols:
        """The first symbol table; empty where there is none."""
        data = self.bytes_of(self.symtab) if self.symtab else b""
        return Symbols(data, _layout(self.bits, self.endianness)[2], self.endianness)

    @cached_property
    def symtab(self) -> Section | None:
        kinds = self.sections.sh_type
        return self.sections[kinds.index(SHT_SYMTAB)] if SHT_SYMTAB in kinds else None

    @cached_property
    def strings(self) -> Strings:
        """The string table of the first symbol table."""
        section = self.symtab
        if section is None or section.sh_link >= len(self.sections):
            return Strings(b"")
        return Strings(self.bytes_of(self.sections[section.sh_link]))

    def loader_symbols(self) -> LoaderSymbols:
        """The symbols that the kernel has to look up or refuses, in their order."""
        known, rows = len(self.sections), self.symbols
        infos, offsets = rows.column("st_info"), rows.column("st_name")
        low, high = rows.halves_of_sections()
        if known <= _ABS_LOW and low.translate(_section_marks(known)) == high:  # all others are absolute
            undefined = b"\0" + low[1:].translate(_IS_ZERO)
            names = self._names(compress(offsets, undefined))
            return LoaderSymbols(names, bytes(compress(infos, undefined)))
        sections = [lower | upper << 8 for lower, upper in zip(low, high)]
        places = [place for place, shndx in enumerate(sections) if not 0 < shndx < known]
        places = [place for place in places if place and sections[place] not in (SHN_ABS, SHN_LIVEPATCH)]
        names = self._names([offsets[place] for place in places])
        return LoaderSymbols(names, [infos[place] for place in places], [sections[place] for place in places])

    def _names(self, offsets: Iterable[int]) -> tuple[str, ...]:
        """Names of symbols; kernels and modules share most."""
        return tuple([sys.intern(name or "") for name in self.strings.at(offsets)])

    @cached_property
    def elf(self) -> Elf:
        """The container's facts, for the kernel's validity checks."""
        names_last = None
        if self.header and self.header.e_shstrndx < len(self.sections):
            names = self.bytes_of(self.sections[self.header.e_shstrndx])
            names_last = names[-1] if names else None
        strings = self.strings.data
        return Elf(
            length=len(self.data),
            raw_header=self.data[:64],
            bits=self.bits,
            endianness=self.endianness,
            header=self.header,
            names_last_byte=names_last,
            strtab_edges=(strings[0], strings[-1]) if strings else None,
            max_st_name=max(self.symbols.column("st_name"), default=0),
            sections=self.sections,
        )


def text(raw: bytes) -> str:
    """Bytes of a module as text: UTF-8, with other bytes kept as surrogates so that nothing is lost."""
    return raw.decode("utf-8", "surrogateescape")


def _order(endianness: Endianness) -> str:
    return "<" if endianness == "little" else ">"
