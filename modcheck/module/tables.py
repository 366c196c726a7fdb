"""The tables that modpost writes into a module: modinfo, the versions of its imports, and its exports with theirs.

Sources: `kernel/module/main.c`, `include/linux/export.h` and `scripts/mod/modpost.c` of 2.6.11 to 7.3.
"""

from __future__ import annotations

from .elf import Image, Strings, text
from .facts import SHF_ALLOC, SHN_ABS, SHN_UNDEF, SHT_NOBITS, SHT_RELA, Export, Section

#: bytes in a record of `__versions` on every architecture: an unsigned long, then the name
_VERSION_RECORD = {32: "I60s", 64: "Q56s"}

#: where struct module's name begins, and how many bytes it has, by word size
_MODULE_NAME = {32: (12, 60), 64: (24, 56)}

#: sections of exports and whether theirs are GPL-only; the last three until 5.11
_EXPORT_SECTIONS = {"": False, "_gpl": True, "_gpl_future": False, "_unused": False, "_unused_gpl": True}
_EXPORT_TABLES = {
    kind + suffix for kind in ("__ksymtab", "__kcrctab", "__kflagstab") for suffix in (*_EXPORT_SECTIONS, "_strings")
}


def read_modinfo(image: Image) -> tuple[tuple[str, str], ...]:
    """The `tag=value` pairs of `.modinfo` in their order; strings without `=` are left out, as the kernel does."""
    section = image.find(".modinfo")
    if section is None or section.sh_type == SHT_NOBITS:
        return ()
    end = section.sh_offset + section.sh_size
    if image.data[end - 1 : end] != b"\0":  # the last value runs on to its NUL, wherever that is
        end = max(end, image.data.find(b"\0", end))
    entries = text(image.data[section.sh_offset : end]).split("\0")
    return tuple([(tag, value) for tag, equals, value in [entry.partition("=") for entry in entries] if equals])


def read_module_name(image: Image, section: Section | None) -> str:
    """The name in struct module, empty where there is none."""
    if section is None:
        return ""
    start, length = _MODULE_NAME[image.bits]
    return text(image.bytes_of(section)[start : start + length].split(b"\0", 1)[0])


def read_versions(image: Image) -> tuple[tuple[str, int], ...] | None:
    """`__versions`; None when there is no such section (not allocated counts as absent, as for the kernel)."""
    section = image.find("__versions", SHF_ALLOC)
    if section is None:
        return None
    data = image.bytes_of(section)
    record = _VERSION_RECORD[image.bits]
    fields: list[tuple[int, bytes]] = list(image.unpack(record, data))
    return tuple(zip(_padded_names([name for _, name in fields]), [crc for crc, _ in fields]))


def _padded_names(fields: list[bytes]) -> list[str]:
    """The strings in fields of one size, each up to its first NUL."""
    whole = b"\0".join([field.rstrip(b"\0") for field in fields])
    if whole.count(b"\0") == len(fields) - 1:  # nothing stands behind a NUL
        return text(whole).split("\0")
    return [text(field.split(b"\0", 1)[0]) for field in fields]


def read_versions_ext(image: Image) -> tuple[tuple[str, int], ...] | None:
    """The extended version tables of 6.14 and later; None when either is missing."""
    crcs = image.find("__version_ext_crcs", SHF_ALLOC)
    names = image.find("__version_ext_names", SHF_ALLOC)
    if crcs is None or names is None:
        return None
    values = (value for (value,) in image.unpack("I", image.bytes_of(crcs)))
    return tuple(zip((text(name) for name in image.bytes_of(names).split(b"\0")), values))


def read_entry_points(image: Image) -> tuple[tuple[str, int], ...]:
    """The pointers that relocations set in `.gnu.linkonce.this_module`: name of the symbol, and offset."""
    place = image.place(".gnu.linkonce.this_module")
    if place is None:
        return ()
    rows, found = image.symbols, relocations_of(image, place)
    return tuple((image.strings.get(rows[symbol][0]), offset) for offset, symbol, _ in found if symbol < len(rows))


def count_unnamed_versions(image: Image) -> int:
    """How many CRCs of the extended version table have no name."""
    if "__version_ext_crcs" not in image.sections.places:
        return 0
    crcs, names = (image.find(name, SHF_ALLOC) for name in ("__version_ext_crcs", "__version_ext_names"))
    if crcs is None or names is None:
        return 0
    return max(0, crcs.sh_size // 4 - image.bytes_of(names).count(b"\0"))


def read_exports(image: Image, owner: str) -> tuple[Export, ...]:
    """What the module exports, table by table in the kernel's order; `owner` is the module's own name."""
    found: list[Export] = []
    for suffix, gpl in _EXPORT_SECTIONS.items():
        place = image.place("__ksymtab" + suffix)
        if place is None or not image.sections[place].sh_size:
            continue
        entries = _entries(image, place)
        crcs = _crcs(image, image.place("__kcrctab" + suffix), len(entries))
        flags = image.find("__kflagstab" + suffix)
        kinds = image.bytes_of(flags) if flags else b""
        for index, (name, namespace) in enumerate(entries):
            gpl_only = bool(kinds[index] & 1) if index < len(kinds) else gpl
            found.append(Export(name, crcs[index], gpl_only, namespace, owner))
    return tuple(found)


def export_sections(image: Image) -> frozenset[str]:
    """Which of `__ksymtab`, `__kcrctab`, `__kflagstab` … are there and not empty."""
    sections = image.sections
    there = _EXPORT_TABLES & sections.places.keys()
    return frozenset(name for name in there if any(sections.sh_size[place] for place in sections.places_of(name)))


def relocations_of(image: Image, target: int) -> list[tuple[int, int, int]]:
    """Offset, symbol index and addend of each relocation for the section `target`, by offset. The words of REL sections
    hold their addends (4 bytes: all architectures with REL have 32 bits, or mips's old 64-bit form)."""
    found = []
    content = image.bytes_of(image.sections[target])
    for section in image.relocation_sections(target):
        rela = section.sh_type == SHT_RELA
        data = image.bytes_of(section)
        if image.bits == 32:
            for row in image.unpack("IIi" if rela else "II", data):
                addend = row[2] if rela else _word(image, content, row[0], 4)
                found.append((row[0], row[1] >> 8, addend))
        elif image.header and image.header.e_machine == 8:  # mips64: r_sym is a word of its own, before the types
            for row in image.unpack("QIIq" if rela else "QII", data):
                found.append((row[0], row[1], row[3] if rela else 0))
        else:
            for row in image.unpack("QQq" if rela else "QQ", data):
                found.append((row[0], row[1] >> 32, row[2] if rela else 0))
    return sorted(found)


def _word(image: Image, data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], image.endianness)


def _entries(image: Image, section: int) -> list[tuple[str, str]]:
    """Name and namespace of each entry of a `__ksymtab` section.

    An entry is value, name and (5.4+) namespace: offsets of 4 bytes from their own place (x86 and arm64 since 4.19),
    or pointers. On disk they are zero and the relocations tell; which of them are strings tells how long an entry is.
    """
    rows = image.symbols
    relocations = [r for r in relocations_of(image, section) if r[1] < len(rows)]
    if not relocations:
        return []
    place = image.place("__ksymtab_strings")
    if place is None:
        return []
    strings = Strings(image.bytes_of(image.sections[place]))
    sections, starts = rows.column("st_shndx"), rows.column("st_value")
    texts = {
        offset: strings.get(starts[symbol] + addend)
        for offset, symbol, addend in relocations
        if sections[symbol] == place
    }
    values = [offset for offset, symbol, _ in relocations if offset not in texts]
    if not texts or not values:
        return []
    word = min(texts) - min(values)  # a value's place to its name's
    return [(texts[value + word], texts.get(value + 2 * word, "")) for value in values if value + word in texts]


def _crcs(image: Image, place: int | None, count: int) -> list[int | None]:
    """The CRC of each of `count` exports; None for each without a table.

    5.19+: plain 32-bit words. Before: relocations against `__crc_NAME`, an absolute symbol whose value is the CRC, or
    (CONFIG_MODULE_REL_CRCS) one that stands where the CRC does. A weak undefined one is a CRC that was not computed: 0.
    """
    section = None if place is None else image.sections[place]
    if place is None or section is None or not section.sh_size or not count:
        return [None] * count
    width = 8 if section.sh_size == 8 * count else 4
    relocations = relocations_of(image, place)
    if not relocations:
        words = image.unpack("Q" if width == 8 else "I", image.bytes_of(section))
        plain: list[int | None] = [value & 0xFFFFFFFF for (value,) in words]
        return (plain + [0] * count)[:count]
    rows = image.symbols
    crcs: list[int | None] = [0] * count
    for offset, symbol, addend in relocations:
        index = offset // width
        if index >= count or symbol >= len(rows):
            continue
        shndx, value = rows[symbol][2], rows[symbol][3]
        if shndx == SHN_ABS:
            crcs[index] = (value + addend) & 0xFFFFFFFF
        elif shndx != SHN_UNDEF and shndx < len(image.sections):
            data = image.bytes_of(image.sections[shndx])
            crcs[index] = _word(image, data, value + addend, 4)
    return crcs
