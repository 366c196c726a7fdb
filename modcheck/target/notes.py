"""The build id of a kernel: its note of the owner GNU, which `readelf -n vmlinux` and /sys/kernel/notes show.

The ELF specification, "Note Section"; NT_GNU_BUILD_ID of elf.h. include/asm-generic/vmlinux.lds.h (2.6.23 to 7.3) keeps
the kernel's notes in `.notes`. The vdso, which each kernel has in it once or several times as a whole ELF file, has
such notes of its own (arch/*/vdso/note.S), as has every program in a built-in initramfs: what lies in another ELF file
is not the kernel's.
"""

from __future__ import annotations

import re
from itertools import islice

from .plain import elf_end

#: so many notes and ELF files are looked at; kernels have up to five of each
_MOST = 1000
#: in either byte order; searched for one after the other, since a pattern that begins with fixed bytes is found sooner
_NOTES = (
    re.compile(rb"\x04\0\0\0([\x08-\x40])\0\0\0\x03\0\0\0GNU\0", re.DOTALL),
    re.compile(rb"\0\0\0\x04\0\0\0([\x08-\x40])\0\0\0\x03GNU\0", re.DOTALL),
)
_ELF = re.compile(rb"\x7fELF[\x01\x02][\x01\x02]\x01")


def build_id(data: bytes) -> str | None:
    """The build id of the plain kernel `data`, in hexadecimal; None where it has none, or several notes may be it."""
    notes = next(filter(None, (list(islice(one.finditer(data), _MOST)) for one in _NOTES)), [])
    if not notes:
        return None
    starts = (match.start() for match in islice(_ELF.finditer(data, 1, notes[-1].start()), _MOST))
    others = [(start, elf_end(data, start) or 0) for start in starts]
    own = {
        data[note.end() : note.end() + note[1][0]].hex()
        for note in notes
        if not any(start < note.start() < end for start, end in others)
    }
    return own.pop() if len(own) == 1 else None
