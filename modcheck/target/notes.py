"""ELF notes of a kernel: `.notes` of vmlinux, which the running kernel shows as /sys/kernel/notes (kernel/ksysfs.c)."""

from __future__ import annotations

import struct

_GNU, _BUILD_ID = b"GNU\0", 3
"""owner and type of the note that ld --build-id makes (binutils' include/elf/common.h: NT_GNU_BUILD_ID)"""


def build_id(notes: bytes, little: bool) -> str | None:
    """The build id among the notes, as hexadecimal digits; None where there is none, or they are of another byte order.

    A note is three numbers (length of owner and of content, type), the owner and the content, each to 4 bytes.
    """
    at = 0
    numbers = struct.Struct("<3I" if little else ">3I")
    while at + numbers.size <= len(notes):
        owner, content, kind = numbers.unpack_from(notes, at)
        start = at + numbers.size + (owner + 3 & ~3)
        if kind == _BUILD_ID and notes[at + numbers.size : at + numbers.size + owner] == _GNU:
            found = notes[start : start + content]
            return found.hex() if len(found) == content else None
        at = start + (content + 3 & ~3)
    return None
