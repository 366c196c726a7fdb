"""The ELF container of a module: header, section headers, symbols, decoded without ever failing on a damaged file.

pyelftools identifies the file, parses the header and names machines; its parsing structs are shared between all files
of one layout, since making them costs ten times what a header costs. Section headers and symbols are decoded in bulk.
What is damaged is recorded as it is: whether a kernel minds is the loader's to say.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import cache, cached_property

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.structs import ELFStructs

from ..arch import Endianness, bits_of_machine
from .facts import (
    SHN_ABS,
    SHN_LIVEPATCH,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_NULL,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    Elf,
    Header,
    Section,
    Symbol,
)

ELF_MAGIC = b"\x7fELF"
HEADER_SIZE = {32: 52, 64: 64}
SECTION_HEADER_SIZE = {32: 40, 64: 64}
_HEADER = {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}
_SECTION = {32: "IIIIIIIIII", 64: "IIQQQQIIQQ"}
_SYMBOL = {32: "IIIBBH", 64: "IBBHQQ"}
_MACHINE_NAMES = {value: name for name, value in ENUM_E_MACHINE.items() if isinstance(value, int)}


@cache
def _structs(little_endian: bool, elfclass: int) -> ELFStructs:
    structs = ELFStructs(little_endian=little_endian, elfclass=elfclass)
    structs.create_basic_structs()
    return structs


class _File(ELFFile):
    """An ELFFile that stops after the header and builds no structs of its own."""

    def __init__(self, header: bytes) -> None:
        self.stream = io.BytesIO(header)
        self.stream_len = len(header)
        self._identify_file()
        self.structs = _structs(self.little_endian, self.elfclass)
        self.header = self._parse_elf_header()


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
    fields = struct.unpack(_order(endianness) + _HEADER[bits], raw[16:size])
    return Header(fields[0], fields[1], fields[3], fields[5], fields[6], fields[10], fields[11], fields[12])


class Image:
    """The bytes of one ELF file, and what lies where in them. Lives only while a module is being read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bits, self.endianness = layout(data[:64])
        self.order = _order(self.endianness)
        self.header = self._parse_header() if data[:4] == ELF_MAGIC else None
        self.sections = self._section_table() if self.header else ()

    def _parse_header(self) -> Header | None:
        size = HEADER_SIZE[self.bits]
        raw = self.data[:size]
        if len(raw) < size:
            return None
        ident = ELF_MAGIC + bytes((self.bits // 32, 1 if self.endianness == "little" else 2))
        try:
            header = _File(ident + raw[6:]).header
        except ELFError:
            return decode_header(raw, self.bits, self.endianness)
        e_type, e_machine = struct.unpack(self.order + "HH", raw[16:20])
        return Header(
            e_type, e_machine, header["e_entry"], header["e_shoff"], header["e_flags"],
            header["e_shentsize"], header["e_shnum"], header["e_shstrndx"],
        )  # fmt: skip

    def _section_table(self) -> tuple[Section, ...]:
        assert self.header
        size = SECTION_HEADER_SIZE[self.bits]
        start = self.header.e_shoff
        end = start + size * self.header.e_shnum
        if end > len(self.data):
            return ()
        rows = list(struct.iter_unpack(self.order + _SECTION[self.bits], self.data[start:end]))
        names = b""
        if self.header.e_shstrndx < len(rows):
            offset, length = rows[self.header.e_shstrndx][4:6]
            names = self.data[offset : offset + length]
        return tuple(
            Section(_string(names, row[0]), row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])
            for row in rows
        )

    @cached_property
    def relocation_sections(self) -> dict[int, list[Section]]:
        """The relocation sections by the index of the section that they are for."""
        found: dict[int, list[Section]] = {}
        for section in self.sections:
            if section.sh_type in (SHT_RELA, SHT_REL):
                found.setdefault(section.sh_info, []).append(section)
        return found

    def bytes_of(self, section: Section) -> bytes:
        """The section's bytes as far as the file has them; none for NOBITS."""
        if section.sh_type == SHT_NOBITS:
            return b""
        return self.data[section.sh_offset : section.sh_offset + section.sh_size]

    def find(self, name: str, flags: int = 0) -> Section | None:
        """The first section of this name that has all of `flags`; None when there is none."""
        for section in self.sections:
            if section.name == name and section.sh_type != SHT_NULL and section.sh_flags & flags == flags:
                return section
        return None

    def unpack(self, format: str, data: bytes) -> Iterator[tuple[int, ...]]:
        """The records of `format` in `data`, in the file's byte order; a cut last record is left out."""
        format = self.order + format
        return struct.iter_unpack(format, data[: len(data) - len(data) % struct.calcsize(format)])

    def symbol_rows(self) -> list[tuple[int, int, int, int, int]]:
        """The first symbol table: name offset, st_info, section index, value, size of each entry."""
        section = self.symtab
        if section is None:
            return []
        rows = self.unpack(_SYMBOL[self.bits], self.bytes_of(section))
        if self.bits == 64:
            return [(row[0], row[1], row[3], row[4], row[5]) for row in rows]
        return [(row[0], row[3], row[5], row[1], row[2]) for row in rows]

    @property
    def symtab(self) -> Section | None:
        return next((section for section in self.sections if section.sh_type == SHT_SYMTAB), None)

    def symbol_strings(self) -> bytes:
        """The string table of the first symbol table."""
        section = self.symtab
        if section is None or section.sh_link >= len(self.sections):
            return b""
        return self.bytes_of(self.sections[section.sh_link])

    def string(self, strings: bytes, offset: int) -> str:
        """The NUL-terminated string at `offset`, empty where `strings` ends before it."""
        return _string(strings, offset) or ""

    def loader_symbols(self, rows: list[tuple[int, int, int, int, int]], strings: bytes) -> tuple[Symbol, ...]:
        """The entries of `rows` that the kernel has to look up or refuses, in their order; see `Symbol`."""
        known = len(self.sections)
        return tuple(
            Symbol(_string(strings, row[0]) or "", row[1] >> 4, row[1] & 15, row[2])
            for row in rows[1:]
            if row[2] == SHN_UNDEF or (row[2] >= known and row[2] not in (SHN_ABS, SHN_LIVEPATCH))
        )

    def facts(self, rows: list[tuple[int, int, int, int, int]], strings: bytes) -> Elf:
        """The container's facts, for the kernel's validity checks."""
        names_last = None
        if self.header and self.header.e_shstrndx < len(self.sections):
            names = self.bytes_of(self.sections[self.header.e_shstrndx])
            names_last = names[-1] if names else None
        return Elf(
            length=len(self.data),
            raw_header=self.data[:64],
            bits=self.bits,
            endianness=self.endianness,
            header=self.header,
            sections=self.sections,
            names_last_byte=names_last,
            strtab_edges=(strings[0], strings[-1]) if strings else None,
            max_st_name=max((row[0] for row in rows), default=0),
        )


def text(raw: bytes) -> str:
    """Bytes of a module as text: UTF-8, with other bytes kept as surrogates so that nothing is lost."""
    return raw.decode("utf-8", "surrogateescape")


def _order(endianness: Endianness) -> str:
    return "<" if endianness == "little" else ">"


def _string(strings: bytes, offset: int) -> str | None:
    if offset >= len(strings):
        return None
    end = strings.find(b"\0", offset)
    return text(strings[offset:] if end < 0 else strings[offset:end])
