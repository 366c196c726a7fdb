"""Single-fault variants of real modules, from a seed: what bad storage, bad tools and bad luck make of a .ko.

Each mutant differs from its source in one place, by one of the kinds below. The same seed, modules and count give the
same bytes. Signatures are cut off first: with them a kernel refuses every mutant before it looks at the fault.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from modcheck.module.elf import Image
from modcheck.module.facts import SHT_NOBITS, SHT_RELA, Section

from .signing import unsigned

KERNEL_EXPORTS = ("_printk", "printk", "kfree", "memcpy", "jiffies", "schedule")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A variant: its name (`kind-number-source`), and its bytes."""

    name: str
    kind: str
    data: bytes


Kind = Callable[[random.Random, Image], bytes | None]


def mutants(sources: Sequence[tuple[str, bytes]], seed: int, count: int) -> Iterator[Mutant]:
    """`count` variants of `sources` (name and plain bytes), kinds in turn; one that changes nothing is not made.

    :param sources: 64-bit little-endian modules
    """
    rng = random.Random(seed)
    images = [(name, Image(unsigned(data))) for name, data in sources]
    made = 0
    for turn in range(count * 10):
        kind, function = list(KINDS.items())[turn % len(KINDS)]
        name, image = rng.choice(images)
        data = function(rng, image)
        if data is not None and data != image.data:
            made += 1
            yield Mutant(f"{kind}-{made:05}-{name}", kind, data)
        if made == count:
            return


def put(data: bytes, offset: int, new: bytes) -> bytes:
    """`data` with `new` in place of as many bytes from `offset` on."""
    return data[:offset] + new + data[offset + len(new) :]


def _section(image: Image, name: str) -> Section | None:
    section = image.find(name)
    return section if section and section.sh_size else None


def _header_offset(image: Image, section: Section) -> int:
    assert image.header
    return image.header.e_shoff + 64 * image.sections.index(section)


def _odd(rng: random.Random, value: int, bits: int) -> int:
    """Another number in place of `value`: near it, zero, a flipped bit, or any."""
    top = (1 << bits) - 1
    choices = (0, 1, value + 1, value - 1, value ^ 1 << rng.randrange(bits), top, rng.randrange(top + 1), value * 2)
    return rng.choice(choices) & top


def crc(rng: random.Random, image: Image) -> bytes | None:
    """A bit of a CRC, sometimes above its 32."""
    section = _section(image, "__versions")
    if section is None:
        return None
    offset = section.sh_offset + 64 * rng.randrange(section.sh_size // 64) + rng.choice((0, 1, 2, 3, 3, 4, 7))
    return put(image.data, offset, bytes((image.data[offset] ^ 1 << rng.randrange(8),)))


def version_name(rng: random.Random, image: Image) -> bytes | None:
    """A name in `__versions`."""
    section = _section(image, "__versions")
    if section is None:
        return None
    offset = section.sh_offset + 64 * rng.randrange(section.sh_size // 64) + 8
    return put(image.data, offset, rng.choice((b"X", b"\0", b"_", b"zz")))


def version_removed(rng: random.Random, image: Image) -> bytes | None:
    """A record of `__versions` less."""
    section = _section(image, "__versions")
    if section is None:
        return None
    count = section.sh_size // 64
    place = rng.randrange(count)
    start, end = section.sh_offset, section.sh_offset + section.sh_size
    records = image.data[start : start + 64 * place] + image.data[start + 64 * (place + 1) : end]
    data = put(image.data, start, records + bytes(64))
    return put(data, _header_offset(image, section) + 32, struct.pack("<Q", section.sh_size - 64))


def versions_dropped(rng: random.Random, image: Image) -> bytes | None:
    """`__versions` no longer allocated, empty, or under another name."""
    section = _section(image, "__versions")
    if section is None:
        return None
    header = _header_offset(image, section)
    how = rng.randrange(3)
    if how == 0:
        return put(image.data, header + 8, struct.pack("<Q", section.sh_flags & ~2))
    if how == 1:
        return put(image.data, header + 32, bytes(8))
    return put(image.data, header, bytes(4))


def vermagic(rng: random.Random, image: Image) -> bytes | None:
    """A byte of vermagic, or its tag."""
    section = _section(image, ".modinfo")
    start = image.data.find(b"vermagic=", section.sh_offset) if section else -1
    if start < 0:
        return None
    end = image.data.index(b"\0", start)
    return put(image.data, rng.randrange(start, end), bytes((rng.choice(b"X. 5+\0"),)))


def modinfo(rng: random.Random, image: Image) -> bytes | None:
    """A byte of .modinfo: terminators and tags among them."""
    section = _section(image, ".modinfo")
    if section is None:
        return None
    content = image.bytes_of(section)
    zeros = [at for at, byte in enumerate(content) if byte == 0]
    place = rng.choice(zeros) if rng.random() < 0.5 else rng.randrange(len(content))
    return put(image.data, section.sh_offset + place, bytes((rng.choice(b"!=\0a"),)))


def licence(rng: random.Random, image: Image) -> bytes | None:
    """Another licence, no longer than the one that was there."""
    section = _section(image, ".modinfo")
    start = image.data.find(b"license=", section.sh_offset) + 8 if section else 7
    if start == 7:
        return None
    length = image.data.index(b"\0", start) - start
    words = (b"MIT", b"GPL", b"BSD", b"gpl", b"GPLv2", b"GPL v2", b"Dual MIT/GPL", b"", b"X")
    word = rng.choice([word for word in words if len(word) <= length])
    return put(image.data, start, word.ljust(length, b"\0"))


def header(rng: random.Random, image: Image) -> bytes | None:
    """A field of the ELF header."""
    offset, size = rng.choice(
        ((16, 2), (18, 2), (20, 4), (40, 8), (48, 4), (52, 2), (58, 2), (60, 2), (62, 2), (24, 8))
    )
    value = int.from_bytes(image.data[offset : offset + size], "little")
    return put(image.data, offset, _odd(rng, value, 8 * size).to_bytes(size, "little"))


def identity(rng: random.Random, image: Image) -> bytes | None:
    """A byte of e_ident."""
    return put(image.data, rng.randrange(16), bytes((rng.randrange(256),)))


def section_field(rng: random.Random, image: Image) -> bytes | None:
    """A field of a section header."""
    assert image.header
    section = rng.randrange(len(image.sections))
    offset, size = rng.choice(((0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4), (56, 8)))
    offset += image.header.e_shoff + 64 * section
    value = int.from_bytes(image.data[offset : offset + size], "little")
    return put(image.data, offset, _odd(rng, value, 8 * size).to_bytes(size, "little"))


def truncated(rng: random.Random, image: Image) -> bytes | None:
    """The file cut short anywhere."""
    return image.data[: rng.randrange(len(image.data))]


def struct_size(rng: random.Random, image: Image) -> bytes | None:
    """The size of struct module."""
    section = _section(image, ".gnu.linkonce.this_module")
    if section is None:
        return None
    size = section.sh_size + rng.choice((-64, -8, -1, 1, 8, 64))
    return put(image.data, _header_offset(image, section) + 32, struct.pack("<Q", size))


def struct_name(rng: random.Random, image: Image) -> bytes | None:
    """The name in struct module."""
    section = _section(image, ".gnu.linkonce.this_module")
    if section is None:
        return None
    return put(image.data, section.sh_offset + 24, rng.choice((b"X", b"other_name\0", b"ext4\0", b"a b\0")))


def symbol_field(rng: random.Random, image: Image) -> bytes | None:
    """A field of a symbol: name, binding and type, section index."""
    symtab = image.symtab
    if symtab is None:
        return None
    entry = symtab.sh_offset + 24 * rng.randrange(1, symtab.sh_size // 24)
    how = rng.randrange(3)
    if how == 0:
        (value,) = struct.unpack_from("<I", image.data, entry)
        return put(image.data, entry, struct.pack("<I", _odd(rng, value, 20)))
    if how == 1:
        return put(image.data, entry + 4, bytes((rng.choice((0x00, 0x10, 0x20, 0x12, 0x03)),)))
    shndx = rng.choice((0, 1, 0xFFF1, 0xFFF2, 0xFF20, len(image.sections), 0xFEFF, 0xFFFF))
    return put(image.data, entry + 6, struct.pack("<H", shndx))


def imported_name(rng: random.Random, image: Image) -> bytes | None:
    """The name of an undefined symbol."""
    symtab = image.symtab
    rows = image.symbols
    undefined = [row for row in rows[1:] if row[2] == 0]
    if symtab is None or not undefined:
        return None
    strings = image.sections[symtab.sh_link]
    offset = strings.sh_offset + rng.choice(undefined)[0]
    return put(image.data, offset, rng.choice((b"X", b"\0", b"q")))


def _record(rng: random.Random, image: Image) -> tuple[Section, int] | None:
    """A relocation that the loader applies: its section, and where in the file the record begins."""
    found = [
        section
        for section in image.sections
        if section.sh_type == SHT_RELA and section.sh_size and image.sections[section.sh_info].sh_flags & 2
    ]
    if not found:
        return None
    section = rng.choice(found)
    return section, section.sh_offset + 24 * rng.randrange(section.sh_size // 24)


def relocation_type(rng: random.Random, image: Image) -> bytes | None:
    """The type of a relocation that the loader applies."""
    record = _record(rng, image)
    if record is None:
        return None
    return put(image.data, record[1] + 8, bytes((rng.choice((0, 3, 5, 6, 7, 8, 9, 12, 14, 23, 38, 42, 43, 200)),)))


def relocated_place(rng: random.Random, image: Image) -> bytes | None:
    """A byte that is not zero where a relocation will be written."""
    record = _record(rng, image)
    if record is None:
        return None
    target = image.sections[record[0].sh_info]
    (place,) = struct.unpack_from("<Q", image.data, record[1])
    if target.sh_type == SHT_NOBITS or place >= target.sh_size:
        return None
    return put(image.data, target.sh_offset + place, b"\x5a")


def duplicate(rng: random.Random, image: Image) -> bytes | None:
    """An export under a name that the kernel exports already."""
    symbols = [row for row in image.symbols if row[2] and row[0]]
    strings = image.strings
    names = [(strings.get(row[0]), row) for row in symbols]
    exported = [name.removeprefix("__kstrtab_") for name, _ in names if name.startswith("__kstrtab_")]
    table = _section(image, "__ksymtab_strings")
    if not exported or table is None:
        return None
    name = rng.choice(exported)
    fitting = [known for known in KERNEL_EXPORTS if len(known) <= len(name)]
    at = image.data.find(b"\0" + name.encode() + b"\0", table.sh_offset - 1, table.sh_offset + table.sh_size)
    if not fitting or at < 0:
        return None
    return put(image.data, at + 1, rng.choice(fitting).encode() + b"\0")


def any_byte(rng: random.Random, image: Image) -> bytes | None:
    """A byte of the metadata, anywhere but in code and data."""
    assert image.header
    ranges = [(section.sh_offset, section.sh_size) for section in image.sections if not section.sh_flags & 2]
    ranges = [(start, size) for start, size in ranges if size and start + size <= len(image.data)]
    ranges.append((image.header.e_shoff, 64 * len(image.sections)))
    start, size = rng.choice(ranges)
    return put(image.data, start + rng.randrange(size), bytes((rng.randrange(256),)))


KINDS: dict[str, Kind] = {
    function.__name__.replace("_", "-"): function
    for function in (
        crc, version_name, version_removed, versions_dropped, vermagic, modinfo, licence, header, identity,
        section_field, truncated, struct_size, struct_name, symbol_field, imported_name, relocation_type,
        relocated_place, duplicate, any_byte,
    )
}  # fmt: skip
