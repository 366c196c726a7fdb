"""A kernel's BTF, from an ELF file that has it in a section: `vmlinux`, or what Debian's headers have of it."""

from __future__ import annotations

from ..arch import Endianness
from ..btf import MAGIC, Btf
from ..errors import UnreadableError
from ..files import open_binary


def read_btf(path: str) -> Btf | None:
    """The BTF at `path`, or in the section `.BTF` of the ELF file there.

    None: it has none.

    :raises UnreadableError: it cannot be read, or is no ELF file
    """
    from elftools.common.exceptions import ELFError  # takes a quarter of a short run, which mostly has no use for it
    from elftools.elf.elffile import ELFFile

    try:
        with open_binary(path) as file:
            start = file.read(2)
            if start in (b"\x9f\xeb", b"\xeb\x9f"):  # as in /sys/kernel/btf
                return _known(start + file.read(), "little" if start[0] == 0x9F else "big")
            elf = ELFFile(file)
            section = elf.get_section_by_name(".BTF")
            data = section.data() if section else b""
    except OSError as error:
        raise UnreadableError(path, (error.strerror or str(error)).lower()) from None
    except (ELFError, ValueError, OverflowError, MemoryError) as error:
        raise UnreadableError(path, f"broken ELF file: {error}") from None
    return _known(data, "little" if elf.little_endian else "big")


def _known(data: bytes, order: Endianness) -> Btf | None:
    found = Btf(data, order)
    return found if found.magic == MAGIC else None
