"""Types from DWARF (2 to 5), through pyelftools: of a module all, of a kernel the units that define certain symbols."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from .graph import Part, Types

#: more debug information than this is not read whole: it would take minutes
MOST = 24 << 20
_KINDS = {
    "DW_TAG_base_type": "int", "DW_TAG_pointer_type": "*", "DW_TAG_array_type": "[]", "DW_TAG_structure_type": "struct",
    "DW_TAG_union_type": "union", "DW_TAG_enumeration_type": "enum", "DW_TAG_typedef": "typedef",
    "DW_TAG_const_type": "const", "DW_TAG_volatile_type": "volatile", "DW_TAG_restrict_type": "restrict",
    "DW_TAG_subroutine_type": "()", "DW_TAG_atomic_type": "volatile", "DW_TAG_unspecified_type": "int",
}  # fmt: skip
_DECLARING = ("DW_TAG_subprogram", "DW_TAG_variable")


def dwarf_types(elf: ELFFile, symbols: Collection[str] = ()) -> Types | None:
    """The types of an ELF file's debug information; None where it has none that can be read.

    :param symbols: of a linked kernel only the units that define one of these are read
    """
    try:
        if not elf.has_dwarf_info() or (elf["e_type"] == "ET_REL" and _debug_size(elf) > MOST):
            return None
        dwarf = elf.get_dwarf_info()
        units = list(dwarf.iter_CUs() if elf["e_type"] == "ET_REL" else _units_of(elf, dwarf, symbols))
        found = Types()
        for unit in units:
            _read_unit(unit, found)
    except Exception:  # debug information may be damaged in any way, and decides nothing
        return None
    return found if found.aggregates else None


def _debug_size(elf: ELFFile) -> int:
    section = elf.get_section_by_name(".debug_info")
    return int(section["sh_size"]) if section else 0


def _units_of(elf: ELFFile, dwarf: Any, symbols: Collection[str]) -> Iterator[CompileUnit]:
    """The units that the addresses of `symbols` lie in."""
    table, ranges = elf.get_section_by_name(".symtab"), dwarf.get_aranges()
    if not isinstance(table, SymbolTableSection) or ranges is None:
        return
    wanted = frozenset(symbols)
    seen: set[int] = set()
    for symbol in table.iter_symbols():
        if symbol.name in wanted:
            offset = ranges.cu_offset_at_addr(symbol["st_value"])
            if offset is not None and offset not in seen:
                seen.add(offset)
                yield dwarf.get_CU_at(offset)


def _read_unit(unit: CompileUnit, found: Types) -> None:
    """Add a unit's types: rows for all first, then what refers to what."""
    entries: list[tuple[DIE, int]] = []
    places: dict[int, int] = {}
    declared: list[DIE] = []

    def collect(parent: DIE) -> None:
        for entry in parent.iter_children():
            if entry.tag in _KINDS:
                places[entry.offset] = found.add(_kind(entry), _name(entry), _number(entry, "DW_AT_byte_size"))
                entries.append((entry, places[entry.offset]))
                if entry.tag in ("DW_TAG_structure_type", "DW_TAG_union_type"):
                    collect(entry)  # a structure inside of one stands there
            elif entry.tag in _DECLARING and parent is top and "DW_AT_external" in entry.attributes:
                declared.append(entry)

    top = unit.get_top_DIE()
    collect(top)

    def type_of(entry: DIE) -> int:
        attribute = entry.attributes.get("DW_AT_type")
        if attribute is None:
            return 0
        offset = attribute.value + (unit.cu_offset if attribute.form.startswith("DW_FORM_ref") and
                                    attribute.form != "DW_FORM_ref_addr" else 0)  # fmt: skip
        return places.get(offset, 0)

    for entry, place in entries:
        kind = found.kinds[place]
        found.to[place] = type_of(entry)
        if kind in ("struct", "union"):
            found.parts[place] = tuple(_members(entry, type_of, unit.structs.little_endian))
        elif kind == "enum":
            found.to[place] = 0
            found.parts[place] = tuple(
                Part(_name(one), _number(one, "DW_AT_const_value"), 0, 0)
                for one in entry.iter_children()
                if one.tag == "DW_TAG_enumerator"
            )
        elif kind == "()":
            found.parts[place] = _parameters(entry, type_of)
        elif kind == "[]":
            _dimensions(entry, place, found)
    for entry in declared:
        if (name := _name(entry)) and name not in found.symbols:
            if entry.tag == "DW_TAG_variable":
                found.symbols[name] = type_of(entry)
            else:
                found.symbols[name] = found.add("()", parts=_parameters(entry, type_of), to=type_of(entry))


def _kind(entry: DIE) -> str:
    kind = _KINDS[str(entry.tag)]
    return "declared" if kind in ("struct", "union", "enum") and "DW_AT_declaration" in entry.attributes else kind


def _name(entry: DIE) -> str:
    attribute = entry.attributes.get("DW_AT_name")
    name = attribute.value.decode("utf-8", "replace") if attribute and isinstance(attribute.value, bytes) else ""
    if name and "DW_AT_declaration" in entry.attributes and entry.tag in _KINDS:
        return f"{_KINDS[str(entry.tag)]} {name}"
    return name or ("void" if entry.tag == "DW_TAG_unspecified_type" else "")


def _number(entry: DIE, name: str) -> int:
    attribute = entry.attributes.get(name)
    return attribute.value if attribute and isinstance(attribute.value, int) else 0


def _members(entry: DIE, type_of: Any, little: bool) -> Iterator[Part]:
    for one in entry.iter_children():
        if one.tag == "DW_TAG_member":
            bits = _number(one, "DW_AT_bit_size")
            offset = 8 * _number(one, "DW_AT_data_member_location")
            if "DW_AT_data_bit_offset" in one.attributes:
                offset = _number(one, "DW_AT_data_bit_offset")
            elif "DW_AT_bit_offset" in one.attributes:  # DWARF 3: counted from the most significant bit
                storage = 8 * _number(one, "DW_AT_byte_size")
                from_top = _number(one, "DW_AT_bit_offset")
                offset += storage - from_top - bits if little else from_top
            yield Part(_name(one), offset, bits, type_of(one))


def _parameters(entry: DIE, type_of: Any) -> tuple[Part, ...]:
    kinds = ("DW_TAG_formal_parameter", "DW_TAG_unspecified_parameters")
    return tuple(Part("", 0, 0, type_of(one)) for one in entry.iter_children() if one.tag in kinds)


def _dimensions(entry: DIE, place: int, found: Types) -> None:
    """A type for each dimension, the last one innermost."""
    counts = []
    for one in entry.iter_children():
        if one.tag == "DW_TAG_subrange_type":
            bound = one.attributes.get("DW_AT_upper_bound")
            counted = _number(one, "DW_AT_count")
            known = bound is not None and isinstance(bound.value, int)
            counts.append(bound.value + 1 if known and bound is not None else counted)
    element = found.to[place]
    for count in reversed(counts[1:]):
        element = found.add("[]", size=count, to=element)
    found.sizes[place], found.to[place] = (counts[0] if counts else 0), element
