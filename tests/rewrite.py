"""Modules with a field rewritten, for kernels and toolchains that cannot be had any more (gcc-3.3, 2.6.5)."""

from __future__ import annotations

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
