"""What one `.ko` declares, as plain values: the `Module` that the reader makes and the loader judges.

Names are the kernel's (`kernel/module/main.c`, `include/linux/module.h`) and ELF's. A fact that the file does not have
is None, which differs from an empty one: no `__versions` section is None, an empty one is `()`.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, overload

from ..arch import Endianness
from ..version import Version

if TYPE_CHECKING:
    from .signature import Signature

SHN_UNDEF, SHN_LORESERVE, SHN_LIVEPATCH, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFF20, 0xFFF1, 0xFFF2
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 1, 2, 3, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
STB_WEAK, STT_REGISTER = 2, 13
#: tags of modinfo for people, for programs that find drivers, and those that are facts of their own
_FOR_OTHERS = frozenset((
    "alias", "author", "description", "firmware", "name", "parm", "parmtype", "retpoline", "srcversion", "vermagic",
    "version",
))  # fmt: skip
_WX = SHF_WRITE | SHF_EXECINSTR
_NO_CONTENT = (SHT_NULL, SHT_NOBITS)

Entry = TypeVar("Entry")


class Header(NamedTuple):
    """The fields of the ELF header that a kernel looks at, raw."""

    e_type: int
    e_machine: int
    e_entry: int
    e_shoff: int
    e_flags: int
    e_shentsize: int
    e_shnum: int
    e_shstrndx: int


class Section(NamedTuple):
    """One section header. `name` is None where `sh_name` lies outside the section name table."""

    name: str | None
    sh_name: int
    sh_type: int
    sh_flags: int
    sh_addr: int
    sh_offset: int
    sh_size: int
    sh_link: int
    sh_info: int


class _Made(Sequence[Entry]):
    """Entries that are made when they are asked for; as a tuple of them, but for what it takes."""

    __slots__ = ()

    @abstractmethod
    def _entry(self, place: int) -> Entry: ...

    @overload
    def __getitem__(self, place: int) -> Entry: ...

    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...

    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        if isinstance(place, slice):
            return [self._entry(one) for one in range(*place.indices(len(self)))]
        return self._entry(place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Sections(_Made[Section]):
    """A section header table by its columns; entries are made when they are asked for.

    :ivar names: the names of all, None where sh_name lies outside the section name table
    :ivar places: where each name is, the last of it
    :ivar contents_end: where the last of those ends that has bytes in the file
    :ivar symtabs: the places of those of type SYMTAB, but the first of all
    :ivar writable_code: the places of those that are both writable and executable
    :ivar max_sh_name: largest name offset of those that are any (not of type NULL)
    """

    __slots__ = (
        "_made", "contents_end", "max_sh_name", "names", "places", "sh_addr", "sh_flags", "sh_info", "sh_link",
        "sh_name", "sh_offset", "sh_size", "sh_type", "symtabs", "writable_code",
    )  # fmt: skip

    def __init__(self, names: Sequence[str | None] = (), columns: Sequence[Sequence[int]] = ((),) * 8) -> None:
        """:param columns: the fields of `Section` behind the name, each of all sections"""
        self.names = names
        self.sh_name, self.sh_type, self.sh_flags, self.sh_addr = columns[:4]
        self.sh_offset, self.sh_size, self.sh_link, self.sh_info = columns[4:]
        self._made: list[Section | None] = [None] * len(names)
        self.places = dict(zip(names, range(len(names))))
        kept = [kind not in _NO_CONTENT for kind in self.sh_type]
        kept[:1] = [False] * len(kept[:1])
        self.contents_end = max(compress(map(add, self.sh_offset, self.sh_size), kept), default=0)
        self.max_sh_name = max(compress(self.sh_name, self.sh_type), default=0)
        self.symtabs = [place for place, kind in enumerate(self.sh_type) if kind == SHT_SYMTAB and place]
        odd = [flags for flags in set(self.sh_flags) if flags & _WX == _WX]
        self.writable_code = [place for place, flags in enumerate(self.sh_flags) if flags in odd] if odd else []

    def named(self, name: str) -> list[Section]:
        """The sections of a name, in their order."""
        return [self[place] for place in self.places_of(name)]

    def places_of(self, name: str) -> list[int]:
        """The places of a name's sections, in their order."""
        place = self.places.get(name)
        if place is None:
            return []
        if self.are_named_apart:
            return [place]
        return [place for place, one in enumerate(self.names) if one == name]

    @property
    def are_named_apart(self) -> bool:
        """Whether no two have the same name."""
        return len(self.places) == len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def _entry(self, place: int) -> Section:
        made = self._made[place]
        if made is None:
            made = self._made[place] = Section(
                self.names[place], self.sh_name[place], self.sh_type[place], self.sh_flags[place],
                self.sh_addr[place], self.sh_offset[place], self.sh_size[place], self.sh_link[place],
                self.sh_info[place],
            )  # fmt: skip
        return made


class Symbol(NamedTuple):
    """An entry of the symbol table that the loader has to resolve, or refuses: undefined, COMMON, or with a section
    index that no section has."""

    name: str
    bind: int
    type: int
    shndx: int


class LoaderSymbols(_Made[Symbol]):
    """The symbols that the loader has to look up or refuses, in their order, by columns; see `Symbol`.

    :ivar names: of all
    """

    __slots__ = ("_infos", "_sections", "names")

    def __init__(self, names: Sequence[str], infos: Sequence[int], sections: Sequence[int] | None = None) -> None:
        """:param infos: st_info of each
        :param sections: st_shndx of each; None where all are undefined
        """
        self.names, self._infos, self._sections = names, infos, sections

    def __reduce__(self) -> tuple[Any, ...]:
        return _symbols, (self.names, self._infos, self._sections)

    @property
    def imports(self) -> tuple[str, ...]:
        """The names of the undefined ones."""
        if self._sections is None:
            return tuple(self.names)
        return tuple([name for name, shndx in zip(self.names, self._sections) if shndx == SHN_UNDEF])

    def __len__(self) -> int:
        return len(self.names)

    def _entry(self, place: int) -> Symbol:
        info = self._infos[place]
        return Symbol(self.names[place], info >> 4, info & 15, self._sections[place] if self._sections else SHN_UNDEF)


def _symbols(names: Sequence[str], infos: Sequence[int], sections: Sequence[int] | None) -> LoaderSymbols:
    """From another process: modules share most names."""
    return LoaderSymbols(tuple(map(sys.intern, names)), infos, sections)


class Export(NamedTuple):
    """A symbol that a module or a kernel exports.

    `crc` is None where there is none (built without CONFIG_MODVERSIONS); `namespace` is empty for none; `owner` is the
    module's name, `vmlinux` for the kernel itself. Of an `inferred` one, what is None is not known, nor is a namespace
    `?`; `?NAME` is that one, or none.
    """

    name: str
    crc: int | None
    gpl: bool | None
    namespace: str
    owner: str
    inferred: bool = False


class Relocations(NamedTuple):
    """A section of relocation records that the loader applies."""

    section: int
    """its own place in the section table"""
    target: int
    """the section that it changes"""
    rela: bool
    """whether records have addends (RELA) or not (REL)"""
    types: tuple[tuple[int, int], ...]
    """each type with the first record that has it"""
    nonzero: tuple[int, int] | None
    """x86-64: type and record of the first whose place is not zero, which the loader refuses"""
    far: tuple[int, int] | None = None
    """x86-64, arm64, riscv64: type and record of the first whose value does not fit its field: for what stands in the
    file, or because its symbol lies elsewhere than in what is loaded"""
    outside: tuple[int, int] | None = None
    """x86-64: type and record of the first whose place lies beyond the end of its section"""
    overlap: tuple[int, int] | None = None
    """x86-64: type and record of the first whose place an earlier one has written in part"""
    beyond: tuple[int, int] | None = None
    """x86-64: type and record of the first whose symbol the symbol table does not have"""
    unsure: tuple[int, int] | None = None
    """arm64, riscv64, ppc64: type and record of the first that fits or not by where the module is put"""
    no_high: tuple[int, int] | None = None
    """riscv64: type and record of the first lower half of an address without its upper half"""
    no_nop: tuple[int, int] | None = None
    """ppc64: instruction and record of the first call out of the module that no nop follows"""


class RelocationSections(_Made[Relocations]):
    """Sections of relocation records in which there is nothing to tell but the types; see `Relocations`.

    :ivar rela: of which kind all are
    :ivar types: of all of them
    """

    __slots__ = ("_base", "_ends", "_kinds", "_places", "rela", "types")

    def __init__(
        self, rela: bool, places: Sequence[tuple[int, int]], base: int, kinds: bytes | list[int], ends: Sequence[int]
    ) -> None:
        """:param places: the place in the section table of each, and the section that it changes
        :param kinds: the types of all records, less `base`
        :param ends: how many records those of each section end behind
        """
        self.rela, self._places, self._base, self._kinds, self._ends = rela, places, base, kinds, ends
        found, rest = [], kinds if isinstance(kinds, bytes) else b""
        while rest:  # what is another each time: there are a few types, and thousands of records
            found.append(rest[0])
            rest = rest.translate(None, rest[:1])
        self.types = frozenset([base + kind for kind in found or set(kinds)])

    def __len__(self) -> int:
        return len(self._places)

    def _entry(self, place: int) -> Relocations:
        kinds = self._kinds[self._ends[place - 1] if place else 0 : self._ends[place]]
        types = [(self._base + kind, kinds.index(kind)) for kind in dict.fromkeys(kinds)]
        return Relocations(*self._places[place], self.rela, tuple(types), None)


class Parameter(NamedTuple):
    """A parameter that a module declares."""

    name: str
    type: str
    """`int`, `bool`, `charp` …, the kernel's words (of `param_ops_int`); empty where the module's own code judges"""
    max: int | None
    """most elements of an array, or bytes of a string"""
    array: bool


class Elf(NamedTuple):
    """The ELF container, as far as the kernel's validity checks read it.

    `raw_header` is the file's first 64 bytes: a kernel of another word size or byte order reads other numbers from
    them. `header` and `sections` are decoded in the file's own layout; `header` is None when the file is shorter than
    one, or no ELF file.
    """

    length: int
    """bytes in the file, the signature trailer included"""
    raw_header: bytes
    bits: int
    endianness: Endianness
    header: Header | None
    names_last_byte: int | None
    """last byte of the section name table, None when it is empty or lies outside the file"""
    strtab_edges: tuple[int, int] | None
    """first and last byte of the symbol string table"""
    max_st_name: int
    """largest name offset of any symbol"""
    sections: Sections = Sections()
    """empty where the table does not lie within the file"""


@dataclass(frozen=True, eq=False, repr=False)
class Module:
    """One kernel module as its file declares it."""

    path: str
    error: str | None
    """why this is no kernel module at all; the kernel's answer to it can be predicted all the same"""
    compression: str | None
    """`gz`, `xz`, `zst` or None"""
    arch: str | None
    """modcheck's name of the architecture, None where e_machine is unknown"""
    machine: str
    """e_machine in pyelftools' words"""
    elf: Elf
    name: str
    """the name in struct module: what lsmod shows and most log lines begin with"""
    info_name: str | None
    """modinfo's `name=` (since 4.13): what a few log lines begin with"""
    modinfo: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, int], ...] | None
    """the records of `__versions` in their order: symbol name, CRC (an unsigned long, unmasked)"""
    versions_ext: tuple[tuple[str, int], ...] | None
    """the same of `__version_ext_names` and `__version_ext_crcs`"""
    symbols: Sequence[Symbol]
    exports: tuple[Export, ...]
    export_sections: frozenset[str]
    """which of `__ksymtab`, `__kcrctab`, `__kflagstab` … are there and not empty"""
    relocations: Sequence[Relocations]
    """in the order of the section table; those of sections that are not loaded are left out"""
    parameters: tuple[Parameter, ...] | None
    """None where they are laid out as before 4.2"""
    this_module_size: int | None
    """bytes in `.gnu.linkonce.this_module`, which is sizeof(struct module) of the kernel it was built for"""
    btf: bytes | None
    """the bytes of `.BTF`, its type information; None when there is none, or it is empty"""
    btf_base: bytes | None
    """the bytes of `.BTF.base`: what `.BTF` continues, where that is not the kernel's (6.11 and later)"""
    signature: Signature | None
    entry_points: tuple[tuple[str, int], ...] = ()
    """the pointers in struct module that relocations set: symbol (`init_module`, `cleanup_module`) and offset"""
    unnamed_versions: int = 0
    """how many CRCs of `__version_ext_crcs` have no name in `__version_ext_names`"""
    compression_feature: str | None = None
    """what its compressed stream has that the kernel's own decoders do not know"""

    imports: tuple[str, ...] = field(init=False)
    """the names of the undefined symbols, in the order of the symbol table"""

    def __post_init__(self) -> None:
        if isinstance(self.symbols, LoaderSymbols):
            names = self.symbols.imports
        else:
            names = tuple([symbol.name for symbol in self.symbols if symbol.shndx == SHN_UNDEF])
        object.__setattr__(self, "imports", names)

    def __repr__(self) -> str:
        return f"<Module {self.name or self.path}: {self.vermagic or 'no vermagic'}>"

    def info(self, tag: str) -> str | None:
        """The first value of modinfo's `tag`, as the kernel's get_modinfo() takes it; None when there is none."""
        return self._first_infos.get(tag)

    @cached_property
    def _first_infos(self) -> dict[str, str]:
        return dict(reversed(self.modinfo))

    def as_read(self, version: Version) -> Module:
        """The module as that version of the kernel reads it: until 6.3 a .modinfo that is not to be loaded is none."""
        if version.since(6, 4) or self.loads_modinfo:
            return self
        return replace(self, modinfo=(), info_name=None)

    @cached_property
    def loads_modinfo(self) -> bool:
        """Whether its modinfo is to be loaded (SHF_ALLOC), or there is none."""
        sections = self.elf.sections
        return not self.modinfo or any(sections.sh_flags[place] & SHF_ALLOC for place in sections.places_of(".modinfo"))

    @cached_property
    def crcs(self) -> dict[str, int] | None:
        """The CRCs of `__versions` by symbol; the first record of a name is the one that counts."""
        return None if self.versions is None else dict(reversed(self.versions))

    @cached_property
    def told(self) -> tuple[tuple[str, str], ...]:
        """What its modinfo tells those who load modules."""
        return tuple([one for one in self.modinfo if one[0] not in _FOR_OTHERS])

    @property
    def vermagic(self) -> str | None:
        return self.info("vermagic")

    @property
    def undefined(self) -> tuple[Symbol, ...]:
        """The undefined symbols, in the order of the symbol table."""
        return tuple(symbol for symbol in self.symbols if symbol.shndx == SHN_UNDEF)

    @cached_property
    def depends(self) -> tuple[str, ...] | None:
        """The names of the modules that it says it needs, with `_` for `-`; None where it does not say."""
        told = self.info("depends")
        return None if told is None else tuple(name for name in told.replace("-", "_").split(",") if name)

    @cached_property
    def import_namespaces(self) -> frozenset[str]:
        return frozenset(value for key, value in self.modinfo if key == "import_ns")


class Exporter(Protocol):
    """What exports symbols."""

    @property
    def exports(self) -> tuple[Export, ...]: ...


def exports_by_name(modules: Iterable[Exporter]) -> dict[str, list[Export]]:
    """What the modules export: by symbol, in their order."""
    found: dict[str, list[Export]] = {}
    for module in modules:
        for export in module.exports:
            found.setdefault(export.name, []).append(export)
    return found
