"""A kernel's BTF, from an ELF file that has it in a section: `vmlinux`, or what Debian's headers have of it."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import IO

from ..arch import Endianness
from ..btf import MAGIC, Btf
from ..errors import UnreadableError
from ..files import open_binary
from ..module.elf import Image


def read_btf(path: str) -> Btf | None:
    """The BTF at `path`, or in the section `.BTF` of the ELF file there.

    None: it has none.

    :raises UnreadableError: it cannot be read, or is no ELF file
    """
    try:
        with open_binary(path) as file:
            start = file.read(2)
            if start in (b"\x9f\xeb", b"\xeb\x9f"):  # as in /sys/kernel/btf
                return _known(start + file.read(), "little" if start[0] == 0x9F else "big")
            image = Image(_content(file))
            section = image.find(".BTF")
            data = image.bytes_of(section) if section else b""
    except OSError as error:
        raise UnreadableError(path, (error.strerror or str(error)).lower()) from None
    if image.header is None:
        raise UnreadableError(path, "not an ELF file")
    return _known(data, image.endianness)


def _content(file: IO[bytes]) -> bytes | mmap:
    """All of a file, which may have debug information in hundreds of megabytes, as far as it is looked at."""
    try:
        return mmap(file.fileno(), 0, access=ACCESS_READ)
    except ValueError:  # it is empty, or in an archive
        file.seek(0)
        return file.read()


def _known(data: bytes, order: Endianness) -> Btf | None:
    found = Btf(data, order)
    return found if found.magic == MAGIC else None
