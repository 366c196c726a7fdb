"""Architectures: modcheck's name of each, what the kernel's `elf_check_arch` wants of it, and everybody else's names.

Source: `arch/*/include/asm/elf.h` of Linux 7.3.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Endianness = Literal["little", "big"]


class Arch(NamedTuple):
    """One architecture as the kernel's module loader sees it."""

    machines: tuple[int, ...]
    """the values of e_machine that the kernel takes"""
    bits: int
    """word size: 32 or 64"""
    endianness: Endianness | None
    """byte order; None where kernels of both orders are built"""
    checks_class: bool = False
    """whether `elf_check_arch` tests EI_CLASS as well as e_machine"""
    usual_endianness: Endianness | None = None
    """the order of practically all kernels where both are possible"""


ARCHES: dict[str, Arch] = {
    "x86_64": Arch((62,), 64, "little"),
    "i386": Arch((3, 6), 32, "little"),
    "arm64": Arch((183,), 64, None, False, "little"),
    "arm": Arch((40,), 32, None, False, "little"),
    "riscv64": Arch((243,), 64, "little", True),
    "riscv32": Arch((243,), 32, "little", True),
    "ppc64": Arch((21,), 64, None),
    "ppc": Arch((20,), 32, "big"),
    "s390x": Arch((22, 0xA390), 64, "big", True),
    "s390": Arch((22, 0xA390), 32, "big", True),
    "mips64": Arch((8,), 64, None, True),
    "mips": Arch((8,), 32, None, True),
    "loongarch64": Arch((258,), 64, "little", True),
    "loongarch32": Arch((258,), 32, "little", True),
    "sparc64": Arch((43,), 64, "big"),
    "sparc": Arch((2,), 32, "big"),
    "alpha": Arch((0x9026,), 64, "little"),
    "ia64": Arch((50,), 64, "little"),
    "parisc64": Arch((15,), 64, "big", True),
    "parisc": Arch((15,), 32, "big", True),
    "m68k": Arch((4,), 32, "big"),
    "sh": Arch((42,), 32, None),
    "arc": Arch((93, 195), 32, None),
    "xtensa": Arch((94, 0xABC7), 32, None),
    "openrisc": Arch((92, 0x8472), 32, "big"),
    "csky": Arch((252, 39), 32, "little"),
    "hexagon": Arch((164,), 32, "little"),
    "nios2": Arch((113,), 32, "little"),
    "microblaze": Arch((189,), 32, None),
}

# `uname -m`, kbuild's ARCH=, Debian's names, where they differ from the above; the byte order where the name tells it
_ALIASES: dict[str, tuple[str, Endianness | None]] = {
    "amd64": ("x86_64", "little"), "x86-64": ("x86_64", "little"), "x64": ("x86_64", "little"),
    "x86_32": ("i386", "little"), "i486": ("i386", "little"), "i586": ("i386", "little"), "i686": ("i386", "little"),
    "aarch64": ("arm64", None), "aarch64_be": ("arm64", "big"),
    "armhf": ("arm", "little"), "armel": ("arm", "little"), "armeb": ("arm", "big"),
    "armv5tel": ("arm", "little"), "armv6l": ("arm", "little"), "armv7l": ("arm", "little"), "armv7": ("arm", "little"),
    "armv8l": ("arm", "little"), "armv7b": ("arm", "big"),
    "riscv": ("riscv64", "little"),
    "powerpc": ("ppc", "big"), "powerpc64": ("ppc64", None),
    "ppc64le": ("ppc64", "little"), "ppc64el": ("ppc64", "little"), "powerpc64le": ("ppc64", "little"),
    "mipsel": ("mips", "little"), "mips64el": ("mips64", "little"), "mips64r6el": ("mips64", "little"),
    "loongarch": ("loongarch64", "little"), "loong64": ("loongarch64", "little"),
    "hppa": ("parisc", "big"), "hppa64": ("parisc64", "big"), "sh4": ("sh", "little"), "or1k": ("openrisc", "big"),
}  # fmt: skip


def parse_arch(name: str) -> tuple[str, Endianness | None] | None:
    """modcheck's name for the architecture that people call `name`, and its byte order where the name tells it.

    None: not known.
    """
    name = name.strip().lower()
    if name in _ALIASES:
        return _ALIASES[name]
    if name in ARCHES:
        return name, ARCHES[name].endianness
    return None


def arch_of_machine(machine: int, bits: int) -> str | None:
    """The architecture whose kernels take modules with this e_machine and word size; None: none known."""
    for name, arch in ARCHES.items():
        if machine in arch.machines and arch.bits == bits:
            return name
    return None


def bits_of_machine(machine: int) -> int | None:
    """The word size that e_machine `machine` implies; None where it has both, or is not known."""
    sizes = {arch.bits for arch in ARCHES.values() if machine in arch.machines}
    return sizes.pop() if len(sizes) == 1 else None
