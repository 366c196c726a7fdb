"""The build id of a kernel: its note of the owner GNU, which `readelf -n vmlinux` and /sys/kernel/notes show.

The ELF specification, "Note Section"; NT_GNU_BUILD_ID of elf.h. include/asm-generic/vmlinux.lds.h (2.6.23 to 7.3) keeps
the kernel's notes in `.notes`. The vdso, which each kernel has in it once or several times as a whole ELF file, has
such notes of its own (arch/*/vdso/note.S), as has every program in a built-in initramfs: what lies in another ELF file
is not the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from .plain import elf_end

#: so many notes and ELF files are looked at; kernels have up to five of each
_MOST = 1000
_NOTE = re.compile(
    rb"(?:\x04\0\0\0([\x08-\x40])\0\0\0\x03\0\0\0|\0\0\0\x04\0\0\0([\x08-\x40])\0\0\0\x03)GNU\0", re.DOTALL
)


def build_id(data: bytes) -> str | None:
    """The build id of the plain kernel `data`, in hexadecimal; None where it has none, or several notes may be it."""
    found = {}
    for place in islice(_places(data, b"GNU\0", 12), _MOST):
        if note := _NOTE.match(data, place - 12):
            size = (note[1] or note[2])[0]
            found[place] = data[place + 4 : place + 4 + size].hex()
    others = [(start, elf_end(data, start) or 0) for start in islice(_places(data, b"\x7fELF", 1), _MOST)]
    own = {value for place, value in found.items() if not any(start < place < end for start, end in others)}
    return own.pop() if len(own) == 1 else None


def _places(data: bytes, wanted: bytes, start: int) -> Iterator[int]:
    at = data.find(wanted, start)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)
