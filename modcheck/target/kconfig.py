"""A kernel's `.config`, as the build leaves it or `/proc/config.gz` shows it.

Options that it does not name are off: that is how kconfig writes them. A defconfig or a fragment, where this is not so,
is told by its missing header and refused.
"""

from __future__ import annotations

import re
from functools import cached_property

from ..arch import Endianness
from ..errors import TargetError
from ..files import beginning
from ..version import Version, parse_version

# since 3.x "# Linux/arm64 6.1.99 Kernel Configuration"; before, "# Linux kernel version: 2.6.18"
_HEADER = re.compile(r"^# (?:Linux/(\S+) (\d\S*) Kernel Configuration|Linux kernel version: (\d\S*))", re.MULTILINE)
_ARCHITECTURES = (
    ("X86_64", "x86_64"), ("X86_32", "i386"), ("ARM64", "arm64"), ("ARM", "arm"), ("PPC64", "ppc64"), ("PPC32", "ppc"),
    ("SPARC64", "sparc64"), ("SPARC32", "sparc"), ("ALPHA", "alpha"), ("IA64", "ia64"), ("M68K", "m68k"),
    ("SUPERH", "sh"), ("ARC", "arc"), ("XTENSA", "xtensa"), ("OPENRISC", "openrisc"), ("CSKY", "csky"),
    ("HEXAGON", "hexagon"), ("NIOS2", "nios2"), ("MICROBLAZE", "microblaze"),
)  # fmt: skip
_BY_WORD_SIZE = {
    "RISCV": ("riscv32", "riscv64"), "S390": ("s390", "s390x"), "MIPS": ("mips", "mips64"),
    "LOONGARCH": ("loongarch32", "loongarch64"), "PARISC": ("parisc", "parisc64"),
}  # fmt: skip


class Config:
    """One `.config`. Options are looked up in the text: a check asks for some thirty of ten thousand.

    :ivar path: the file it was read from
    :ivar version: the kernel version of its header
    """

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        header = _HEADER.search(text)
        if header is None:
            if "CONFIG_" in text:
                raise TargetError(
                    path, "no .config of a built kernel: the header naming its version is missing (a defconfig?)"
                )
            raise TargetError(path, "no kernel .config")
        self.version_text: str = header[2] or header[3]
        self._text = "\n" + text
        self._found: dict[str, str] = {}

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._text[1:]

    @property
    def version(self) -> Version | None:
        return parse_version(self.version_text)

    def get(self, option: str) -> str:
        """The value of `CONFIG_option`: `y`, `m`, a number, a string without its quotes; `n` when it is off."""
        if option not in self._found:
            self._found[option] = self._search(option)
        return self._found[option]

    def _search(self, option: str) -> str:
        key = f"\nCONFIG_{option}="
        start = self._text.find(key)
        if start < 0:
            return "n"
        end = self._text.find("\n", start + 1)
        return _unquoted(self._text[start + len(key) : end if end >= 0 else None])

    @cached_property
    def options(self) -> dict[str, str]:
        """All options that are not off, by name, as `get` gives them."""
        pairs = re.findall(r"^CONFIG_(\w+)=(.*)$", self._text, re.MULTILINE)
        return {name: value for name, written in pairs if (value := _unquoted(written)) != "n"}

    def on(self, option: str) -> bool:
        """Whether `CONFIG_option` is `y`."""
        return self.get(option) == "y"

    @property
    def arch(self) -> str | None:
        """modcheck's name of the architecture that this configures."""
        for option, name in _ARCHITECTURES:
            if self.on(option):
                return name
        for option, names in _BY_WORD_SIZE.items():
            if self.on(option):
                return names[self.on("64BIT")]
        return None

    @property
    def endianness(self) -> Endianness | None:
        """The byte order that it names; architectures with one order, and old kernels, name none."""
        return "big" if self.on("CPU_BIG_ENDIAN") else "little" if self.on("CPU_LITTLE_ENDIAN") else None


def is_config(path: str) -> bool:
    """Whether the file `path` begins like a `.config`, or is a compressed one by its name (`config.gz`)."""
    return _HEADER.search(beginning(path, 400, "config").decode("utf-8", "replace")) is not None


def _unquoted(written: str) -> str:
    value = written.strip()
    return value[1:-1] if value.startswith('"') and value.endswith('"') and len(value) > 1 else value
