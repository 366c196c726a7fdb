"""A kernel's BTF, from an ELF file that has it in a section: `vmlinux`, or what Debian's headers have of it."""

from __future__ import annotations

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..btf import MAGIC, Btf
from ..errors import UnreadableError


def read_btf(path: str) -> Btf | None:
    """The section `.BTF` of the ELF file at `path`; None where it has none, or one with kinds not known here.

    :raises UnreadableError: it cannot be read, or is no ELF file
    """
    try:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            section = elf.get_section_by_name(".BTF")
            data = section.data() if section else b""
    except OSError as error:
        raise UnreadableError(path, (error.strerror or str(error)).lower()) from None
    except (ELFError, ValueError, OverflowError, MemoryError) as error:
        raise UnreadableError(path, f"broken ELF file: {error}") from None
    found = Btf(data, "little" if elf.little_endian else "big")
    return found if found.magic == MAGIC and found.whole else None
