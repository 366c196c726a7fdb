"""A kernel's BTF, from an ELF file that has it in a section: `vmlinux`, or what Debian's headers have of it."""

from __future__ import annotations

from typing import IO, cast

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
            image = Image(cast("bytes", _Slices(file)))
            section = image.find(".BTF")
            data = image.bytes_of(section) if section else b""
    except OSError as error:
        raise UnreadableError(path, (error.strerror or str(error)).lower()) from None
    if image.header is None:
        raise UnreadableError(path, "not an ELF file")
    cut = image.header.e_shnum and image.header.e_shstrndx >= len(image.sections)
    if cut or (section and len(data) < section.sh_size):
        raise UnreadableError(path, "broken ELF file")
    return _known(data, image.endianness)


class _Slices:
    """A file's bytes as far as `Image` asks for them: some have debug information in hundreds of megabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._length = file, file.seek(0, 2)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._length)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))


def _known(data: bytes, order: Endianness) -> Btf | None:
    found = Btf(data, order)
    return found if found.magic == MAGIC else None
