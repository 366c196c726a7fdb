"""Modules with a field rewritten, for kernels and toolchains that cannot be had any more (gcc-3.3, 2.6.5)."""

from __future__ import annotations

from oracle.mutants import put

from modcheck.module.elf import Image


def with_modinfo(data: bytes, **values: str) -> bytes:
    """The module `data` with other values in .modinfo.

    The section keeps its size: pairs that no loader of any version reads make room, and NULs fill the rest.
    """
    section = Image(data).find(".modinfo")
    assert section is not None
    end = section.sh_offset + section.sh_size
    pairs = [entry.split(b"=", 1) for entry in data[section.sh_offset : end].split(b"\0") if b"=" in entry]
    for tag, value in values.items():
        pairs = [pair for pair in pairs if pair[0] != tag.encode()] + [[tag.encode(), value.encode()]]
    unread = (b"description", b"author", b"alias", b"srcversion", b"depends")
    while len(content := b"\0".join(b"=".join(pair) for pair in pairs) + b"\0") > section.sh_size:
        pairs.remove(next(pair for pair in pairs if pair[0] in unread))
    return data[: section.sh_offset] + content.ljust(section.sh_size, b"\0") + data[end:]


def _header(data: bytes, name: str) -> tuple[Image, int]:
    """The image, and the file offset of the 64-bit section header of that name."""
    image = Image(data)
    assert image.header is not None
    index = next(place for place, section in enumerate(image.sections) if section.name == name)
    return image, image.header.e_shoff + 64 * index


def with_section_name(data: bytes, old: str, new: str) -> bytes:
    """The module with another name for a section: that of another one, or one that is no longer than the old."""
    image, header = _header(data, old)
    if image.find(new):
        other = _header(data, new)[1]
        return put(data, header, data[other : other + 4])
    assert image.header is not None
    assert len(new) <= len(old)
    names = image.sections[image.header.e_shstrndx].sh_offset + int.from_bytes(data[header : header + 4], "little")
    return put(data, names, new.encode().ljust(len(old), b"\0"))


def header_of(data: bytes, name: str) -> int:
    """The file offset of the 64-bit section header of that name."""
    return _header(data, name)[1]


def with_section_flags(data: bytes, name: str, flags: int) -> bytes:
    """The module with other sh_flags for a section."""
    return put(data, header_of(data, name) + 8, flags.to_bytes(8, "little"))


def with_symbol(data: bytes, name: str, shndx: int | None = None, renamed: str | None = None) -> bytes:
    """The module with a symbol of its table in another section, or under another name of the same length."""
    image = Image(data)
    rows, strings = image.symbols, image.strings
    place = next(place for place, row in enumerate(rows) if strings.get(row[0]) == name)
    assert image.symtab is not None
    if shndx is not None:
        data = put(data, image.symtab.sh_offset + 24 * place + 6, shndx.to_bytes(2, "little"))
    if renamed is not None:
        assert len(renamed) == len(name)
        data = put(data, image.sections[image.symtab.sh_link].sh_offset + rows[place][0], renamed.encode())
    return data


def version_of(data: bytes, name: str) -> int:
    """The file offset of a symbol's record in `__versions`: a CRC of 8 bytes, and the name."""
    section = Image(data).find("__versions")
    assert section is not None
    return data.index(name.encode() + b"\0", section.sh_offset) - 8


def with_crc(data: bytes, name: str, crc: int) -> bytes:
    """The module with another CRC for a symbol in its `__versions`."""
    return put(data, version_of(data, name), crc.to_bytes(8, "little"))


def with_relocation_type(data: bytes, section: str, kind: int) -> bytes:
    """The module with another type for the first record of a RELA section."""
    found = Image(data).find(section)
    assert found is not None
    return put(data, found.sh_offset + 8, kind.to_bytes(4, "little"))
