"""Which build of a kernel a source describes, and whether a tree's table is of the build that runs.

What runs is an image, a capture, `/proc`, the board's modules, and what options state of the board; what was built is a
tree, or a table. One build has one build id, one banner, one CRC for a symbol, one size of struct module. Where both
sides know such a fact and it differs, they are two builds; where it agrees, that proves as much as the fact covers: the
build id and the banner (`include/generated/compile.h`, `utsversion.h`: init/version.c) the whole table, a CRC its own
symbol. Equal releases and options prove nothing: a kernel is built again under the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..module.facts import STB_WEAK, Module
from .kconfig import Config
from .symvers import Symvers

if TYPE_CHECKING:
    from .modules_dir import ModulesDir

Standing = Literal["runs", "built", "assumed"]
State = Literal["tied", "assumed", "other"]


class Witness(NamedTuple):
    """A file of the board that names symbols of its kernel, each with its CRC (None where the kernel has none)."""

    path: str
    crcs: Mapping[str, int | None]
    listed: bool = False
    """whether a whole table of its build has each of them: what an in-tree module uses"""
    all_of_kernel: bool = False
    """whether they are all that the kernel itself exports"""
    kinds: Mapping[str, tuple[bool | None, str]] = MappingProxyType({})
    """whether a symbol is for GPL-compatible modules alone, and its namespace, as far as that is told"""
    namespaces: frozenset[str] = frozenset()
    """of a module: those that it imports; a symbol that it uses may be in one of them"""


@dataclass(slots=True)
class Build:
    """What identifies one build of a kernel; None where it is not known.

    :ivar sources: the files and options that describe it
    :ivar standing: `runs`; `built`: a tree alone, judged for the kernel that it builds; `assumed`: a loose table
    :ivar origins: fact name: where it came from
    """

    standing: Standing
    sources: tuple[str, ...] = ()
    release: str | None = None
    version: str | None = None
    banner: str | None = None
    """the line of /proc/version"""
    build_id: str | None = None
    """hexadecimal digits, of the note that the linker made"""
    vermagic: str | None = None
    arch: str | None = None
    this_module_size: int | None = None
    module_layout: int | None = None
    """the CRC of that symbol"""
    config: Config | None = None
    tree: str | None = None
    """its build or headers directory"""
    origins: Mapping[str, str] = field(default_factory=dict)


class Survey:
    """What all modules of the board prove of a table: looked into when it is asked for, since it takes seconds."""

    def __init__(self, modules: ModulesDir, table: Symvers) -> None:
        self._modules, self._table = modules, table

    @cached_property
    def names(self) -> frozenset[str]:
        """The symbols that its modules refer to as the table has them."""
        table = self._table
        rows = ((name, crc, table.get(name)) for name, crc in self._modules.survey().references)
        return frozenset(name for name, crc, row in rows if row and (crc == row.crc if table.has_crcs else crc is None))


class Tie(NamedTuple):
    """How a table is tied to the kernel that runs.

    `tied`: it is of that build; `assumed`: nothing contradicts it; `other`: it is of another build, and no fact of the
    target but the symbols in `names`.
    """

    state: State
    table: str
    """the path of the table, or of the tree"""
    by: tuple[str, ...]
    """kinds of evidence for it, the strongest first: `build-id`, `banner`, `modules-directory`, `stated`, `exports`,
    `crcs`, `config`, `release`"""
    whole: bool
    """whether all of the table is proven, or a tree has none"""
    names: frozenset[str] = frozenset()
    """the symbols that are proven"""
    against: tuple[str, ...] = ()
    """what differs, in words"""
    other: str | None = None
    """of another build: its release, or where that is the same its number and date (`#1 SMP …`)"""
    configured: bool = True
    """whether the board's own `.config` is known"""
    more: Survey | None = None
    """further symbols that are proven"""

    def unproven(self, names: Sequence[str]) -> list[str]:
        """Those of the symbols that nothing proves to be the running kernel's own."""
        if self.whole:
            return []
        found = [name for name in names if name not in self.names]
        if found and self.more:
            found = [name for name in found if name not in self.more.names]
        return found


def tie(
    runs: Build,
    built: Build,
    table: Symvers | None,
    path: str,
    witnesses: Sequence[Witness],
    *,
    stated: bool = False,
    own: bool = False,
    more: Survey | None = None,
) -> Tie:
    """Whether `built`, and its table, are of the build that runs.

    :param path: how the table, or the tree, is called
    :param witnesses: files of the board that name symbols
    :param stated: whether the user has said so
    :param own: whether the table came with the board's modules
    """
    proven, contradicted = _compared(table, witnesses)
    strong = [*_differing(runs, built), *contradicted]
    named = _one_release(runs, built)
    configured = runs.config is not None
    # a release can be set anew without a build (`uname` of a container), a build id not
    if strong or (named is False and not (stated or _both(runs, built, "build_id"))):
        told = (*([_two("release", runs, built)] if named is False else []), *strong)
        other = built.release if named is False else _number(runs, built)
        return Tie("other", path, (), False, frozenset(proven), told, other, configured, more)
    by = [kind for kind in ("build_id", "banner") if _both(runs, built, kind)]
    by = [kind.replace("_", "-") for kind in by] + (["modules-directory"] if own else [])
    if by:
        return Tie("tied", path, tuple(by), True, configured=configured)
    by = ["stated"] if stated else []
    exported = [one for one in witnesses if one.all_of_kernel and table]
    by += ["exports"] if exported else []
    by += ["crcs"] if proven and any(not one.all_of_kernel for one in witnesses) else []
    by += ["config"] if runs.config and built.config else []
    by += ["release"] if named else []
    whole = stated or table is None
    return Tie("tied" if stated else "assumed", path, tuple(by), whole, frozenset(proven), configured=configured,
               more=more)  # fmt: skip


def differing(one: Build, other: Build, table: Symvers | None = None, witness: Symvers | None = None) -> str:
    """The first fact in which two builds of the same standing differ, in words; empty where they may be one."""
    told = [_two("release", one, other)] if _one_release(one, other) is False else []
    told += _differing(one, other)
    if table is not None and witness is not None and not told:
        told += _compared(table, [witness_of(witness)])[1]
    return next(iter(told), "")


def crcs_of(module: Module) -> dict[str, int | None]:
    """The symbols that a module was built to use, each with its CRC; without CRCs those that must be there."""
    if module.versions is None and module.versions_ext is None:
        return {one.name: None for one in module.undefined if one.bind != STB_WEAK}
    recorded = (*reversed(module.versions or ()), *reversed(module.versions_ext or ()))
    return {name: crc & 0xFFFFFFFF for name, crc in recorded if name}


def witnesses_of(modules: Sequence[Module]) -> list[Witness]:
    """Modules of the board as witnesses; what came with the kernel uses nothing but what its build exports."""
    return [
        Witness(one.path, crcs_of(one), one.info("intree") is not None, namespaces=one.import_namespaces)
        for one in modules
    ]


def witness_of(table: Symvers) -> Witness:
    """A kernel's table as a witness of what the kernel exports."""
    kinds = {} if table.inferred else table.kernel_kinds
    return Witness(table.path, table.kernel_crcs, True, table.has_kernel, kinds)


def _one_release(runs: Build, built: Build) -> bool | None:
    return None if None in (runs.release, built.release) else runs.release == built.release


def _both(runs: Build, built: Build, fact: str) -> bool:
    """Whether both know the fact, and it is the same."""
    return getattr(runs, fact) is not None and getattr(runs, fact) == getattr(built, fact)


def _two(fact: str, runs: Build, built: Build) -> str:
    """A fact on both sides, with where it comes from; of two banners what they do not have in common."""
    values = [str(getattr(one, fact)) for one in (runs, built)]
    begins = [value.rpartition(") #")[0] for value in values]
    if fact == "banner" and begins[0] == begins[1]:
        values = [value[len(begins[0]) + 2 :] for value in values]
    sides = (
        f"{value} ({one.origins.get(fact) or ', '.join(one.sources)})" for value, one in zip(values, (runs, built))
    )
    return f"{fact.replace('_', ' ')}: {', '.join(sides)}"


def _differing(runs: Build, built: Build) -> Iterator[str]:
    """What of the facts that every build has alone differs, in words."""
    # a banner has the release in it
    for fact in ("arch", "build_id", *(("banner",) if _one_release(runs, built) else ()), "this_module_size"):
        ours, theirs = getattr(runs, fact), getattr(built, fact)
        if None not in (ours, theirs) and ours != theirs:
            yield _two(fact, runs, built)
    series = [one.version.split(".")[:2] for one in (runs, built) if one.version]
    if len(series) == 2 and series[0] != series[1]:
        yield _two("version", runs, built)
    if runs.vermagic and built.vermagic and _flags(runs.vermagic) != _flags(built.vermagic):
        yield _two("vermagic", runs, built)
    if runs.config and built.config:
        from .options import identifying  # takes as long as a table

        for one in identifying(runs.config, built.config):
            yield f"CONFIG_{one.option}: {one.one} in {runs.config.path}, {one.other} in {built.config.path}"


def _number(runs: Build, built: Build) -> str | None:
    """What the banner of what was built ends in, behind the compiler, if that is what differs."""
    told = [one.banner.rpartition(") #")[2] for one in (runs, built) if one.banner]
    return f"#{told[1]}" if len(told) == 2 and told[0] != told[1] else None


def _flags(vermagic: str) -> list[str]:
    """The words of a vermagic behind the release."""
    return vermagic.split()[1:]


def _kind(gpl: bool | None, namespace: str) -> str:
    """How a symbol is exported, in the words of Module.symvers."""
    return f"EXPORT_SYMBOL{'_GPL' if gpl else ''}" + (f" in namespace {namespace}" if namespace else "")


def _compared(table: Symvers | None, witnesses: Sequence[Witness]) -> tuple[set[str], list[str]]:
    """The symbols of the table that the board's files have as well, with the same CRC; what they have otherwise."""
    proven: set[str] = set()
    told: list[str] = []
    for witness in witnesses:
        agreeing, others = _against(table, witness) if table else (set(), [])
        proven |= agreeing
        if others:
            told.append(others[0] + (f" (and {len(others) - 1} more)" if len(others) > 1 else ""))
    return proven, told


def _against(table: Symvers, witness: Witness) -> tuple[set[str], list[str]]:
    """Of one witness: the symbols that agree, and in words what does not."""
    whole = witness.all_of_kernel
    rows = table.kernel_crcs if whole else {name: row.crc for name in witness.crcs if (row := table.get(name))}
    told: list[str] = []
    if table.has_crcs:
        pairs = [(name, crc, rows[name]) for name, crc in witness.crcs.items() if crc is not None and name in rows]
        agreeing = {name for name, crc, other in pairs if crc == other}
        told += [
            f"CRC of {name}: 0x{crc:08x} in {witness.path}, 0x{other or 0:08x} in {table.path}"
            for name, crc, other in pairs
            if crc != other
        ]
    else:
        agreeing = {name for name, crc in witness.crcs.items() if not crc and name in rows}
    if witness.namespaces:
        agreeing = {name for name in agreeing if (row := table.get(name)) and row.namespace in witness.namespaces}
    if witness.kinds and not table.inferred:
        theirs = table.kernel_kinds
        told += [
            f"{name}: {_kind(*kind)} in {witness.path}, {_kind(*theirs[name])} in {table.path}"
            for name, kind in witness.kinds.items()
            if name in theirs and kind != theirs[name]
        ]
    if whole or (witness.listed and table.whole):
        told += [f"{name}: in {witness.path}, not in {table.path}" for name in witness.crcs if name not in rows]
    if whole:
        told += [f"{name}: in {table.path}, not in {witness.path}" for name in rows if name not in witness.crcs]
    return agreeing, told
