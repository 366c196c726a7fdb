"""What is known of one kernel: the `Target` that the readers make and the loader judges by.

A fact that is not known is None, never a default. `sources` says of each fact from which file or option it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ..arch import Endianness
from ..btf import Btf
from ..module.facts import Export
from ..version import Version
from .builds import Build, Tie
from .builtin import Builtin
from .certificates import Certificate
from .kconfig import Config
from .symvers import KERNEL, Symvers

if TYPE_CHECKING:
    from .modules_dir import ModulesDir


#: the rows that so many modules want are searched for in the text of a table
_FEW = 32


class _OfKernel(dict[str, "Export | None"]):
    """The kernel's own export of each name that was asked for; None where it has none."""

    def __init__(self, tables: Sequence[Symvers]) -> None:
        super().__init__()
        self.tables = tables

    def __missing__(self, name: str) -> Export | None:
        rows = (table.get(name) for table in self.tables)
        self[name] = found = next((row for row in rows if row and row.owner == KERNEL), None)
        return found


class Symbols:
    """The exports of a kernel and its modules, from one or more tables; earlier tables go first.

    :ivar of_kernel: the kernel's own by name; None for a name that it does not export
    """

    def __init__(self, tables: Iterable[Symvers]) -> None:
        self.tables = tuple(tables)
        self.of_kernel: Mapping[str, Export | None] = _OfKernel(self.tables)
        self._found: dict[str, tuple[Export, ...]] = {}

    @cached_property
    def complete(self) -> bool:
        """Whether a kernel's own table is among them, and one of its modules: only then is a symbol that none has known
        to be absent."""
        return self.names_kernel and any(table.whole for table in self.tables)

    @cached_property
    def names_kernel(self) -> bool:
        """Whether what none has is known not to be the kernel's own: its table is there, and none is cut."""
        return self.has_kernel and not self.cut

    @cached_property
    def cut(self) -> bool:
        """Whether the end of a table is missing."""
        return any(table.cut for table in self.tables)

    @cached_property
    def has_kernel(self) -> bool:
        """Whether a kernel's own table is among them: all that there is before any module is loaded."""
        return any(table.has_kernel for table in self.tables)

    @cached_property
    def has_crcs(self) -> bool:
        """Whether a table of the kernel itself has CRCs other than zero."""
        return any(table.has_crcs for table in self.tables if table.has_kernel or table.inferred)

    @cached_property
    def inferred(self) -> bool:
        """Whether of the kernel's own exports some are known by their names alone, or not known at all."""
        return any(table.inferred for table in self.tables)

    @property
    def count(self) -> int:
        return sum(table.rows for table in self.tables)

    def find(self, name: str) -> tuple[Export, ...]:
        """The exports of that name, the kernel's own first."""
        if name not in self._found:
            found = [row for table in self.tables if (row := table.get(name))]
            self._found[name] = tuple(sorted(found, key=_not_kernels) if len(found) > 1 else found)
        return self._found[name]

    @property
    def module_layout(self) -> int | None:
        """The CRC of `module_layout` (`struct_module` until 2.6.29); None where it is not known, or there are none."""
        rows = self.find("module_layout") or self.find("struct_module")
        return rows[0].crc or None if rows else None

    def has_owner(self, name: str) -> bool:
        """Whether a module of that name exports anything in a table."""
        return any(name in table.owners for table in self.tables)


def _not_kernels(row: Export) -> bool:
    return row.owner != KERNEL


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """One kernel that may be asked to load a module."""

    release: str | None = None
    """what `uname -r` prints, the first word of vermagic"""
    version: Version | None = None
    """which loader it has, and which messages"""
    vendor: str | None = None
    """who patched it: `debian`, `upstream`, `ubuntu`, …; None where nothing tells"""
    vermagic: str | None = None
    arch: str | None = None
    endianness: Endianness | None = None
    config: Config | None = None
    symbols: Symbols | None = None
    this_module_size: int | None = None
    """sizeof(struct module) in bytes"""
    entry_points: frozenset[int] | None = None
    """offsets in struct module of its pointers to init and exit"""
    btf: Btf | None = None
    """its type information"""
    builtin: Builtin | None = None
    """what is built into it"""
    modules: ModulesDir | None = None
    """what is installed for it"""
    certificates: tuple[Certificate, ...] = ()
    """keys that it trusts for modules"""
    all_certificates: bool = False
    """whether those are all that its image has"""
    cmdline: str | None = None
    """what /proc/cmdline prints there"""
    lockdown: str | None = None
    """`none`, `integrity` or `confidentiality`"""
    sig_enforce: bool | None = None
    """whether it takes signed modules alone, as /sys/module/module/parameters/sig_enforce says"""
    modules_disabled: bool | None = None
    """whether loading modules has been turned off (/proc/sys/kernel/modules_disabled)"""
    sys_module: frozenset[str] | None = None
    """the folders in /sys/module before any module is loaded; a module of that name is refused"""
    tree: str | None = None
    """its build or headers directory"""
    build: Build | None = None
    """which build of a kernel it is"""
    built_against: Build | None = None
    """the tree or table that was given as what modules are built against: of the same build, or of another"""
    tied: Tie | None = None
    """how that table is tied to the kernel that runs; None where there is nothing to tie"""
    sources: Mapping[str, str] = field(default_factory=dict)
    """fact name: where it came from"""
    notes: tuple[str, ...] = ()
    """what contradicts what, and what an option replaced; whole sentences"""

    def __repr__(self) -> str:
        return f"<Target {self.release or 'of unknown release'}, {self.arch or 'unknown architecture'}>"

    def expect(self, modules: int) -> None:
        """Get ready for the questions of so many modules, before there are processes that would each do that: to take
        all rows of a table apart takes as long as to search its text a hundred times.
        """
        if modules > _FEW:
            _ = self.known_btf, [table.columns for table in self.symbols.tables] if self.symbols else ()

    @cached_property
    def modversions(self) -> bool | None:
        """Whether it compares CRCs (CONFIG_MODVERSIONS); None where nothing tells."""
        if self.config is not None:
            return self.config.on("MODVERSIONS")
        if self.vermagic is not None:
            if "modversions" in self.vermagic.split():
                return True
            if self.version is not None and self.version.since(2, 6, 26):
                return False
        return True if self.symbols is not None and self.symbols.has_crcs else None

    @cached_property
    def known_btf(self) -> Btf | None:
        """Its type information; None too where that has kinds of types that are not known here."""
        return self.btf if self.btf is not None and self.btf.whole else None

    def boot_options(self, name: str) -> list[str]:
        """The values that the command line, and the one built in, give to a parameter; empty for a bare word.

        What stands behind `--` is for the init program. Architectures differ in the option that turns a built-in line
        on; one that the boot loader's replaces is counted all the same.
        """
        return [value for line in self._command_lines() for value in _values(line, name)]

    @property
    def has_boot_options(self) -> bool:
        """Whether any command line is known to say anything."""
        return any(self._command_lines())

    def boot_parameters(self, module: str) -> list[str]:
        """The words `PARAMETER=VALUE` of `MODULE.PARAMETER=VALUE` in /proc/cmdline: modprobe hands them over."""
        built_in, given = self._command_lines()
        found = []
        for written in _words(built_in if self.cmdline is None else given):
            quoted = written.startswith('"')  # as GRUB does with the whole word
            name, dot, word = written.strip('"' if quoted else "").partition(".")
            parameter, equals, value = word.partition("=")
            if dot and name.replace("-", "_") == module and "." not in parameter:
                found.append(f'{parameter}="{value}"' if quoted and equals else word)
        return found

    def _command_lines(self) -> tuple[str, str]:
        """The built-in command line and the boot loader's."""
        has_switch = self.arch in ("x86_64", "i386", "mips", "mips64", "sparc", "sparc64")
        built_in = "" if has_switch and self.option("CMDLINE_BOOL") != "y" else self.option("CMDLINE")
        return "" if built_in in (None, "n") else built_in or "", self.cmdline or ""

    def option(self, name: str) -> str | None:
        """The value of `CONFIG_name` (`n` when it is off); None when the configuration is not known."""
        return None if self.config is None else self.config.get(name)


def _words(line: str) -> list[str]:
    """The words of a command line; quotes hold blanks together."""
    if not line:
        return []
    return re.findall(r'(?:[^\s"]|"[^"]*"?)+', line)


@lru_cache(maxsize=1024)
def _values(line: str, name: str) -> tuple[str, ...]:
    """The values that a command line gives to a parameter: every module asks for the same few."""
    words = _words(line)
    words = words[: words.index("--")] if "--" in words else words
    pairs = (word.partition("=") for word in words)
    return tuple(value.strip('"') for key, _, value in pairs if key.replace("-", "_") == name)


def is_true(value: str) -> bool:
    """Whether a boolean parameter with this value is on, as kstrtobool() of lib/kstrtox.c reads it; a bare word is."""
    return value == "" or value[0] in "yY1tT" or value[:2].lower() == "on"
