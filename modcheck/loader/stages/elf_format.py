"""`elf-format`: whether the file is an ELF object that the kernel's loader can walk.

`elf_validity_*()` of kernel/module/main.c (6.13 to 7.3, and 6.12.117), `elf_validity_check()` (5.13 to 6.12,
5.10.37+), `elf_header_check()` and `rewrite_section_headers()` before. EI_CLASS, EI_DATA and e_version are not looked
at. The kernel reads the header in its own word size and byte order, whatever the file's may be.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...arch import ARCHES
from ...module.elf import HEADER_SIZE, SECTION_HEADER_SIZE, decode_header
from ...module.facts import SHF_ALLOC, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SHT_SYMTAB, Header, Section
from ...version import Version
from ..facts import Answer, Finding, Load, line, once
from .signature import signed_length

RULE = "elf-format"
THIS_MODULE = ".gnu.linkonce.this_module"
_NO_NAME = "(missing .modinfo section or name field)"


@once
def header_as_read(load: Load) -> Header | None:
    """The header's fields as the target reads them; in the file's own layout where the target's is not known."""
    elf = load.module.elf
    arch = load.target.arch
    bits = ARCHES[arch].bits if arch else elf.bits
    endianness = load.target.endianness or elf.endianness
    if (bits, endianness) == (elf.bits, elf.endianness) and elf.header:
        return elf.header
    return decode_header(elf.raw_header[: elf.length], bits, endianness)


def refusal(load: Load, summary: str, *texts: str) -> Finding:
    """An ENOEXEC whose line is written, or not, as kernels of that version do."""
    return Finding(RULE, "error", summary, "ENOEXEC", tuple(line(text, n) for n, text in enumerate(texts)))


def front_lines(version: Version, text: str, *, always: bool = False) -> tuple[str, ...]:
    """The lines for a failed check of the header or a section's bounds.

    Since 5.16 (5.15.y) each check has a line; 5.13 to 5.15 (5.10.37+) write one for all, after that of a section's;
    5.11 and 5.12 one for the header; earlier kernels none.
    """
    if version.since(5, 15, 1):
        return (text,)
    if version.since(5, 13) or version.late_5_10:
        last = "Module has invalid ELF structures"
        return (text, last) if always else (last,)
    return ("Module has invalid ELF header",) if version.since(5, 11) else ()


def in_front(version: Version) -> bool:
    """Whether all checks stand before everything else (5.13+, 5.10.37+) and not in several places."""
    return version.since(5, 13) or version.late_5_10


def header(load: Load) -> Iterator[Answer]:
    """Size, magic and type of the ELF header."""
    elf = load.module.elf
    if elf.length == 0:
        kind = "compression" if load.module.compression else RULE
        summary = "the file is empty" if kind == RULE else "the compressed file cannot be unpacked"
        yield Finding(kind, "error", summary, "EINVAL")
        return
    length = signed_length(load)
    arch = load.target.arch
    size = HEADER_SIZE[ARCHES[arch].bits if arch else elf.bits]
    read = header_as_read(load)
    if length < size:
        yield refusal(
            load, "shorter than an ELF header", *front_lines(load.version, f"Invalid ELF header len {length}")
        )
    elif elf.raw_header[:4] != b"\x7fELF":
        yield refusal(load, "no ELF file", *front_lines(load.version, "Invalid ELF header magic: != \x7fELF"))
    elif read and read.e_type != 1:
        text = f"Invalid ELF header type: {read.e_type} != 1"
        if read.e_type == 0x100:
            summary = f"built for the other byte order ({elf.endianness}-endian)"
        else:
            summary = f"not a relocatable object: ELF type {read.e_type}, a module has 1"
        yield refusal(load, summary, *front_lines(load.version, text))


def sections(load: Load) -> Iterator[Answer]:
    """The section headers, their names, and the sections that a module must have."""
    read = header_as_read(load)
    if read is None:
        return
    elf = load.module.elf
    length = signed_length(load)
    entry = SECTION_HEADER_SIZE[ARCHES[load.target.arch].bits if load.target.arch else elf.bits]
    if read.e_shentsize != entry:
        text = "Invalid ELF section header size"
        yield refusal(load, text, *front_lines(load.version, text))
    elif read.e_shoff >= length or read.e_shnum * entry > length - read.e_shoff:
        text = "Invalid ELF section header overflow"
        summary = "the section header table ends after the file: is it cut short?"
        yield refusal(load, summary, *front_lines(load.version, text))
    elif read != elf.header or (in_front(load.version) and _is_sound(load)):
        return  # of what a kernel of another word size or byte order takes for its table nothing is known
    elif split_checks(load.version):
        yield from _first(load, _names(load, read, length), _unique_sections(load))
    elif in_front(load.version):
        yield from _first(load, _names_before_6_13(load, read, length), _unique_sections_before_6_13(load))
    else:
        for section in elf.sections[1:]:
            if section.sh_type != SHT_NOBITS and section.sh_offset + section.sh_size > length:
                yield refusal(load, "the file is cut short", f"Module len {length} truncated")
                return


def tables(load: Load) -> Iterator[Answer]:
    """Symbol table and string tables: what comes after the size of struct module was compared."""
    if split_checks(load.version):
        yield from () if _is_sound(load) else _first(load, _symbol_table(load))
    elif not load.version.since(6, 4):
        yield from _first(load, _symbols_and_module(load))


@once
def _is_sound(load: Load) -> bool:
    """Whether nothing of what follows finds fault with the container, in any version: nearly all are, by one look."""
    elf, length = load.module.elf, signed_length(load)
    sections, places, header = elf.sections, elf.sections.places, elf.header
    if header is None or not 0 < header.e_shstrndx < len(sections) or len(sections.symtabs) != 1:
        return False
    if THIS_MODULE not in places or ".modinfo" not in places or not sections.are_named_apart:
        return False
    kinds, sizes = sections.sh_type, sections.sh_size
    this_module, names, link = places[THIS_MODULE], header.e_shstrndx, sections.sh_link[sections.symtabs[0]]
    return (
        not (kinds[0] or sizes[0] or sections.sh_addr[0])
        and sections.contents_end <= length
        and sections.contents_end < 1 << elf.bits
        and kinds[names] == SHT_STRTAB
        and sections.max_sh_name < sizes[names]
        and elf.names_last_byte == 0
        and kinds[this_module] not in (SHT_NULL, SHT_NOBITS)
        and bool(sections.sh_flags[this_module] & SHF_ALLOC)
        and 0 < link < len(sections)
        and kinds[link] == SHT_STRTAB
        and elf.strtab_edges == (0, 0)
        and elf.max_st_name < sizes[link]
        and "__version_ext_crcs" not in places
        and "__version_ext_names" not in places
    )


def split_checks(version: Version) -> bool:
    """Whether it has the checks of 6.13, as late 6.12.y have."""
    return version.since(6, 13) or (version[:2] == (6, 12) and version.since(6, 12, 110))


def checks_table_types(version: Version) -> bool:
    """Whether it looks at the types of the string tables: 7.2, and late 6.12.y."""
    return version.since(7, 2) or (version[:2] == (6, 12) and version.since(6, 12, 110))


Check = Iterator[tuple[str, tuple[str, ...]]]


def _first(load: Load, *checks: Check) -> Iterator[Answer]:
    """The first failure of `checks`, which yield a summary and the kernel's lines."""
    for check in checks:
        for summary, lines in check:
            yield refusal(load, summary, *lines)
            return


def _said(text: str) -> tuple[str, tuple[str, ...]]:
    return text, (text,)


def _outside(section: Section, length: int, bits: int) -> bool:
    end = section.sh_offset + section.sh_size
    return end > length or end >= 1 << bits


def _names(load: Load, read: Header, length: int) -> Check:
    elf = load.module.elf
    zero = elf.sections[0] if elf.sections else None
    if zero and (zero.sh_type != SHT_NULL or zero.sh_size or zero.sh_addr):
        yield _said(f"ELF Spec violation: section 0 type({_int(zero.sh_type)})!=SH_NULL or non-zero len or addr")
    yield from _contents(load, length)
    yield from _name_index(read)
    names = elf.sections[read.e_shstrndx]
    if checks_table_types(load.version) and names.sh_type != SHT_STRTAB:
        yield _said(f"Invalid ELF section name table type: {names.sh_type}")
    yield from _name_table(load, names)
    if elf.sections.max_sh_name < names.sh_size:
        return
    for index, section in enumerate(elf.sections):
        if section.sh_type != SHT_NULL and section.sh_name >= names.sh_size:
            yield _said(f"Invalid ELF section name in module (section {index} type {section.sh_type})")


def _contents(load: Load, length: int) -> Check:
    """Sections that end after the file, or after all addresses."""
    elf = load.module.elf
    if elf.sections.contents_end <= length and elf.sections.contents_end < 1 << elf.bits:
        return
    for index, section in enumerate(elf.sections):
        if index and section.sh_type not in (SHT_NULL, SHT_NOBITS) and _outside(section, length, elf.bits):
            yield _section_outside(index, section)


def _section_outside(index: int, section: Section) -> tuple[str, tuple[str, ...]]:
    text = f"Invalid ELF section in module (section {index} type {section.sh_type})"
    return f"section {index} ({section.name}) ends after the file: is it cut short?", (text,)


def _name_index(read: Header) -> Check:
    index, count = read.e_shstrndx, read.e_shnum
    if index == 0 or index >= count:
        yield _said(f"Invalid ELF section name index: {index} || e_shstrndx ({index}) >= e_shnum ({count})")


def _name_table(load: Load, names: Section) -> Check:
    if names.sh_size == 0:
        yield _said("empty section name table")
    if load.module.elf.names_last_byte != 0:
        yield _said("ELF Spec violation: section name table isn't null terminated")


def _unique_sections(load: Load) -> Check:
    modinfo, this_module = (_named(load, name, SHT_NULL) for name in (".modinfo", THIS_MODULE))
    if len(modinfo) > 1:
        yield _said("Only one .modinfo section must exist.")
    name = load.module.info_name or _NO_NAME
    if len(this_module) != 1:
        yield _said(f"module {name}: Exactly one {THIS_MODULE} section must exist.")
    elif this_module[0].sh_type == SHT_NOBITS:
        yield _said(f"module {name}: {THIS_MODULE} section must have a size set")
    elif not this_module[0].sh_flags & SHF_ALLOC:
        yield _said(f"module {name}: {THIS_MODULE} must occupy memory during process execution")


def _named(load: Load, name: str, *not_of: int) -> list[Section]:
    """The sections of a name that are of other types."""
    return [section for section in load.module.elf.sections.named(name) if section.sh_type not in not_of]


def _symbol_table(load: Load) -> Check:
    elf = load.module.elf
    name = load.module.info_name or _NO_NAME
    symtabs = elf.sections.symtabs
    if len(symtabs) != 1:
        yield _said(f"{name}: module has no symbols (stripped?)")
        return
    symtab = elf.sections[symtabs[0]]
    yield from _symtab_link(symtab, len(elf.sections))
    strings = elf.sections[symtab.sh_link]
    if checks_table_types(load.version) and strings.sh_type != SHT_STRTAB:
        yield _said(f"Invalid ELF symbol string table type: {strings.sh_type}")
    if load.version.since(6, 14) and not load.force_modversion:
        present = [any(one.sh_flags & SHF_ALLOC for one in elf.sections.named(table)) for table in
                   ("__version_ext_crcs", "__version_ext_names")]  # fmt: skip
        if present[0] != present[1]:
            yield _said("extended version crc+name presence does not match")
        elif load.module.unnamed_versions:
            yield _said("more extended version crcs than names")
    if load.version.since(6, 13):
        if elf.strtab_edges is None:
            yield _said("empty symbol string table")
        elif elf.strtab_edges[0] != 0:
            yield _said("symbol string table missing leading NUL")
        elif elf.strtab_edges[1] != 0:
            yield _said("symbol string table isn't NUL terminated")
        if elf.max_st_name >= strings.sh_size:
            yield _said("symbol name out of bounds in string table")


def _symtab_link(symtab: Section, count: int) -> Check:
    link = symtab.sh_link
    if link == 0 or link >= count:
        yield _said(f"Invalid ELF sh_link!=SHN_UNDEF({_int(link)}) or (sh_link({_int(link)}) >= hdr->e_shnum({count})")


def _names_before_6_13(load: Load, read: Header, length: int) -> Check:
    """5.13 to 6.12, where the section names come before the sections' bounds."""

    def said(text: str, *, always: bool = False) -> tuple[str, tuple[str, ...]]:
        return text, front_lines(load.version, text, always=always)

    elf = load.module.elf
    for summary, _ in _name_index(read):
        yield said(summary)
        return
    names = elf.sections[read.e_shstrndx]
    if _outside(names, length, elf.bits):
        yield said(f"Invalid ELF section hdr(type {names.sh_type})")
    if names.sh_size or load.version.since(5, 15, 1):
        for summary, _ in _name_table(load, names):
            yield said(summary)
    zero = elf.sections[0]
    if zero.sh_type != SHT_NULL or zero.sh_size or zero.sh_addr:
        yield said(f"ELF Spec violation: section 0 type({_int(zero.sh_type)})!=SH_NULL or non-zero len or addr")
    sections = elf.sections
    within = sections.contents_end <= length and sections.contents_end < 1 << elf.bits
    ordinary = within and sections.max_sh_name < names.sh_size
    for place in sections.symtabs if ordinary else ():
        for summary, _ in _symtab_link(sections[place], len(sections)):
            yield said(summary)
    for index, section in enumerate(elf.sections if not ordinary else ()):
        if index == 0 or section.sh_type in (SHT_NULL, SHT_NOBITS):
            continue
        if section.sh_type == SHT_SYMTAB:
            for summary, _ in _symtab_link(section, len(elf.sections)):
                yield said(summary)
        if _outside(section, length, elf.bits):
            summary, (text,) = _section_outside(index, section)
            yield summary, front_lines(load.version, text, always=True)
        if section.sh_flags & SHF_ALLOC and section.sh_name >= names.sh_size:
            yield said(f"Invalid ELF section name in module (section {index} type {section.sh_type})", always=True)


def _unique_sections_before_6_13(load: Load) -> Check:
    """6.4 to 6.12: sections without contents are not counted; the symbol table comes first."""
    if not load.version.since(6, 4):
        return
    modinfo, this_module = (_named(load, name, SHT_NULL, SHT_NOBITS) for name in (".modinfo", THIS_MODULE))
    if len(modinfo) > 1:
        yield _said("Only one .modinfo section must exist.")
    name = load.module.info_name or _NO_NAME
    if load.module.elf.sections.sh_type.count(SHT_SYMTAB) != 1:
        yield _said(f"{name}: module has no symbols (stripped?)")
    if len(this_module) != 1:
        yield _said(f"module {name}: Only one {THIS_MODULE} section must exist.")
    elif not this_module[0].sh_flags & SHF_ALLOC:
        yield _said(f"module {name}: {THIS_MODULE} must occupy memory during process execution")


def _symbols_and_module(load: Load) -> Check:
    """Before 6.4: a symbol table and struct module must be there; until 4.18 struct module was looked for first."""
    version = load.version
    name = load.module.info_name or _NO_NAME if version.since(5, 10) else load.label
    prefix = f"{name}: " if version.since(4, 13) else ""
    no_module = f"{prefix}No module found in object"
    no_symbols = f"{name}: module has no symbols (stripped?)"
    sections = load.module.elf.sections
    has_symbols = SHT_SYMTAB in sections.sh_type
    has_module = any(one.sh_flags & SHF_ALLOC for one in sections.named(THIS_MODULE))
    failed = [] if has_symbols else [no_symbols]
    if not has_module:
        failed.insert(len(failed) if version.since(4, 19) else 0, no_module)
    for text in failed:
        yield _said(text)


def _int(number: int) -> int:
    """An unsigned 32-bit number as C's %d prints it."""
    return number - (1 << 32) if number >= 1 << 31 else number
