"""The table of what a kernel exports, rebuilt from its plain image: `__ksymtab`, `__kcrctab`, `__kflagstab`.

include/linux/export.h and include/asm-generic/vmlinux.lds.h, 4.4 to 7.3. An entry has the symbol's value, the place of
its name and, since 5.4, that of its namespace: as offsets from the entry itself (x86, arm64, 4.19 and later), or as
addresses. There is a table for all and one for GPL-compatible modules, or (since 7.1) one table with flags; beside each
the CRCs, where there are any: of 32 bits, or words (up to 4.9), or offsets to them (CONFIG_MODULE_REL_CRCS, to 5.18).

The section headers of an ELF file tell where they are; a flat image is searched (ksymtab_flat.py).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate, pairwise, repeat
from operator import add
from typing import NamedTuple, cast

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..module.facts import Export
from .ksymtab_table import Layout, Table, columns, follow_crcs


class _Section(NamedTuple):
    address: int
    data: bytes
    offset: int


#: kinds of exports, and whether they are for GPL-compatible modules alone; the last three up to 5.11
_KINDS = {"": False, "_gpl": True, "_unused": False, "_unused_gpl": True, "_gpl_future": False}


def kernel_exports(data: bytes) -> tuple[Export, ...] | None:
    """What the kernel in the plain image `data` exports; None where no table is found, or none that is understood."""
    table = kernel_table(data)
    return None if table is None else table.exports()


def kernel_table(data: bytes) -> Table | None:
    """The same by columns, which takes half the time."""
    if data[:4] == b"\x7fELF" and (table := _elf_table(data)):
        return table
    from .ksymtab_flat import search

    return search(data)


def _elf_table(data: bytes) -> Table | None:
    """By the section headers of an ELF file; None where it has none, or what they show is not understood."""
    sections = _sections(data)
    strings = sections.get("__ksymtab_strings")
    if strings is None or not any(f"__ksymtab{kind}" in sections for kind in _KINDS):
        return None
    order = "<" if data[5] == 1 else ">"
    word = 8 if data[4] == 2 else 4
    layouts = [Layout(order, *form) for form in ((True, 4, 3), (True, 4, 2), (False, word, 3), (False, word, 2))]
    layout = layouts[0]
    all_names: list[str] = []
    all_crcs: list[int | None] = []
    all_gpl: list[bool] = []
    all_namespaces: list[str] = []
    for kind, gpl in _KINDS.items():
        table = sections.get(f"__ksymtab{kind}")
        if table is None or not table.data:
            continue
        found = next(((form, read) for form in layouts if (read := _names(table, form, strings))), None)
        if found is None and ".rela.dyn" in sections:
            table = _relocated(table, sections[".rela.dyn"].data, order)
            found = next(((form, read) for form in layouts[2:] if (read := _names(table, form, strings))), None)
        if found is None:
            return None
        layout, (names, namespaces) = found
        count = len(names)
        crcs = _crcs(data, sections.get(f"__kcrctab{kind}"), count, order)
        flags = sections.get(f"__kflagstab{kind}")
        only = [bool(flag & 1) for flag in flags.data] if flags and flags.data else [gpl] * count
        if crcs is None or len(only) != count or _is_damaged(names, crcs):
            return None
        all_names += names
        all_crcs += crcs
        all_gpl += only
        all_namespaces += namespaces
    return columns(all_names, all_crcs, all_gpl, all_namespaces, layout)


def _sections(data: bytes) -> dict[str, _Section]:
    """The sections of the export tables, and relocations of the whole."""
    found = {}
    try:
        for section in ELFFile(BytesIO(data)).iter_sections():
            if section.name.startswith(("__ksymtab", "__kcrctab", "__kflagstab")) or section.name == ".rela.dyn":
                start, size = section["sh_offset"], section["sh_size"]
                content = data[start : start + size]
                if section["sh_type"] == "SHT_NOBITS" or len(content) != size:
                    return {}
                found[section.name] = _Section(section["sh_addr"], content, start)
    except (ELFError, ValueError, OverflowError, AttributeError):
        return {}
    return found


def _names(table: _Section, layout: Layout, strings: _Section) -> tuple[list[str], list[str]] | None:
    """Names and namespaces of all entries; None unless each lies among the strings."""
    step = layout.word * layout.fields
    if len(table.data) % step:
        return None
    words = layout.words(table.data)
    whole = strings.data.decode("latin-1").split("\0")  # one character a byte, as offsets count
    starts = accumulate((len(text) + 1 for text in whole), initial=0)
    texts_at: dict[int, str | None] = dict(zip(starts, whole))
    texts: list[list[str]] = []
    for field in range(1, layout.fields):
        here = words[field :: layout.fields]
        first = table.address + layout.word * field - strings.address
        shifts = range(first, first + len(table.data), step) if layout.relative else repeat(-strings.address)
        places = list(map(add, here, shifts))
        texts_at.update((place, _text(strings.data, place)) for place in set(places) - texts_at.keys())
        read = list(map(texts_at.__getitem__, places))
        if field == 2 and 0 in here:  # 5.4 has no address where there is no namespace
            read = [text if word else "" for text, word in zip(read, here)]
        if None in read:
            return None
        texts.append(cast("list[str]", read))
    if not all(texts[0]):
        return None
    return texts[0], texts[1] if layout.fields == 3 else [""] * len(texts[0])


def _text(strings: bytes, place: int) -> str | None:
    """The string at an offset; None outside."""
    if not 0 <= place < len(strings):
        return None
    return strings[place : strings.find(b"\0", place)].decode("latin-1")


def _crcs(data: bytes, section: _Section | None, count: int, order: str) -> Sequence[int | None] | None:
    """The CRCs of a table of so many entries, None for each where it has none; None where they are not understood."""
    if section is None or not section.data:
        return [None] * count
    if len(section.data) == 4 * count:
        return follow_crcs(data, section.offset, struct.unpack(f"{order}{count}I", section.data), order)
    if len(section.data) == 8 * count:
        return struct.unpack(f"{order}{count}Q", section.data)
    return None


def _is_damaged(names: Sequence[str], crcs: Sequence[int | None]) -> bool:
    """Whether some names are out of order where most are sorted (2.6.39 and later), or a page of CRCs is gone."""
    inversions = 0 if sorted(names) == names else sum(one > other for one, other in pairwise(names))
    return 0 < 20 * inversions < len(names) or (any(crcs) and 50 * crcs.count(0) > len(crcs))


def _relocated(table: _Section, relocations: bytes, order: str) -> _Section:
    """A table with the addresses that a relocatable kernel writes into itself when it starts."""
    end = table.address + len(table.data)
    content = bytearray(table.data)
    whole = len(relocations) // 24 * 24
    for address, _, addend in struct.iter_unpack(f"{order}QQQ", relocations[:whole]):
        if table.address <= address <= end - 8:
            struct.pack_into(f"{order}Q", content, address - table.address, addend)
    return table._replace(data=bytes(content))
