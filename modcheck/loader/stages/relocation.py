"""`relocation`: records that the architecture's loader does not know, or that it finds already written.

`apply_relocate_add()` and `apply_relocate()` of arch/*/kernel/module*.c: x86 (4.9 to 7.3), arm64 (4.4 to 7.3), arm,
riscv, powerpc, s390 and mips (6.1 and 7.3; riscv took most of its types in 6.8). Whether a value fits its field depends
on where the module is put, and is judged where what stands in the file decides. loongarch and the rest are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...module.facts import Relocations, RelocationSections
from ..facts import Answer, Finding, Load, LogLine, Unknown, line

RULE = "relocation"


class _Loader(NamedTuple):
    """One architecture's: its kind of records (None: either), what it says of an unknown type, and with which errno."""

    rela: bool | None
    line: str
    errno: str = "ENOEXEC"


_LOADERS = {
    "x86_64": _Loader(True, "module: {name}: Unknown rela relocation: {type}"),
    "i386": _Loader(False, "module: {name}: Unknown relocation: {type}"),
    "arm64": _Loader(True, "module {name}: unsupported RELA relocation: {type}"),
    "arm": _Loader(False, "{name}: unknown relocation: {type}"),
    "riscv64": _Loader(True, "{name}: Unknown relocation type {type}", "EINVAL"),
    "ppc64": _Loader(True, "{name}: Unknown ADD relocation: {type}"),
    "ppc": _Loader(True, "{name}: unknown ADD relocation: {type}"),
    "s390x": _Loader(True, "module {name}: unknown relocation: {type}"),
    "mips": _Loader(False, "{name}: Unknown relocation type {type}", "EINVAL"),
    "mips64": _Loader(None, "{name}: Unknown relocation type {type}", "EINVAL"),
}
_ARM64 = {0, 256, *range(257, 263), *range(263, 273), *range(273, 281), *range(282, 294), 299}
_ARM = {0, 1, 2, 3, 28, 29, 38, 40, 42, 43, 44, 45, 46, 57, 59, 63}
_THUMB = {10, 30, 47, 48, 49, 50}
_RISCV = {1, 2, *range(16, 21), *range(23, 29), 35, 36, 39, 40, 44, 45, 51}
_RISCV_ALIGN = 43
_RISCV_6_8 = {33, 34, 37, 38, *range(52, 58), 59, 60, 61}
_RISCV_DYNAMIC, _RISCV_TLS = {*range(3, 12), 58}, {21, 22, 29, 30, 31, 32}
_PPC64 = {1, 10, 26, 38, 44, 47, 48, 50, 51, 63, 64, 109, 118, 250, 252}
_PPC64_LOAD_TOC = 0xE8410018
_S390 = {*range(9), *range(13, 37), 57, 58, 59}
_MIPS = {0, 2, 4, 5, 6, 10, 18, 28, 29, 60, 61}


#: what is told of the records of nearly all sections beside their types
_NOTHING_ELSE = (None,) * len(Relocations._fields[4:])


def _known(load: Load) -> set[int] | None:
    """The types that the kernel's loader applies; None where that is not known."""
    arch, version, option = load.target.arch, load.version, load.target.option
    if arch == "x86_64":
        return {0, 1, 2, 10, 11} | ({4} if version.since(4, 16) else set()) | ({24} if version.since(5, 0) else set())
    if arch == "i386":
        return {1, 2} | ({4} if version.since(4, 19) else set())
    if arch == "arm":
        return _ARM | (_THUMB if option("THUMB2_KERNEL") == "y" else set())
    if arch == "riscv64":
        return _RISCV | (_RISCV_6_8 if version.since(6, 8) else set())
    if arch == "ppc64":
        pcrel = {116, 132, 133} if version.since(6, 3) and option("PPC_KERNEL_PCREL") == "y" else set()
        return _PPC64 | ({116} if version.since(6, 3) else set()) | pcrel
    fixed = {"arm64": _ARM64, "ppc": {1, 4, 5, 6, 10, 26}, "s390x": _S390, "mips": _MIPS, "mips64": _MIPS}
    return fixed.get(arch or "")


def relocation(load: Load) -> Iterator[Answer]:
    """The first record that fails, in the order of the sections."""
    arch = load.target.arch or ""
    known = _known(load)
    if known is None:
        if arch and load.module.relocations:
            yield Unknown(RULE, f"which types of relocations the loader of {arch} applies: not known to modcheck")
        return
    yield from _into_struct_module(load, arch)
    sections, wanted = load.module.relocations, _LOADERS[arch].rela
    if (
        isinstance(sections, RelocationSections)
        and wanted in (None, sections.rela)
        and known.issuperset(sections.types)
    ):
        return
    for section in sections:
        if wanted not in (None, section.rela):
            kind = "RELA" if section.rela else "REL"
            text = f"module {load.module.name}: {kind} relocation unsupported"
            yield Finding(RULE, "error", f"has relocations of the kind {kind}", "ENOEXEC", (line(text),))
            return
        if section[4:] == _NOTHING_ELSE and known.issuperset([kind for kind, _ in section.types]):
            continue
        if section.outside:
            where = f"record {section.outside[1]} of section {section.section} is written"
            yield Unknown(RULE, f"what lies in memory behind section {section.target}, where {where}: no file tells")
        failed = _first_failure(load, section, known, arch)
        yield from _undecided(section, failed)
        if failed:
            yield failed
            return


def _into_struct_module(load: Load, arch: str) -> Iterator[Unknown]:
    """Pointers that the module sets in struct module elsewhere than the kernel's own modules do: by then the kernel has
    filled other fields, and x86-64 refuses places that are not zero."""
    known = load.target.entry_points
    if arch != "x86_64" or not known:
        return
    odd = [f"{name} at {offset:#x}" for name, offset in load.module.entry_points if offset not in known]
    if odd:
        yield Unknown(RULE, f"what the kernel's struct module has where the module sets {', '.join(odd)}")


def _undecided(section: Relocations, failed: Finding | None) -> Iterator[Unknown]:
    """Records before the one that is refused for certain, whose outcome depends on addresses."""
    end = failed.details["record"] if failed else None
    for found, what in (
        (section.overlap, "shares bytes with an earlier one, which may be zero by then or not"),
        (section.beyond, "is of a symbol beyond the symbol table, where other memory lies"),
        (section.unsure, "fits its field or not by where the module is put"),
    ):
        if found and (end is None or found[1] < end):
            yield Unknown(RULE, f"what becomes of record {found[1]} of section {section.section}: it {what}")


def _first_failure(load: Load, section: Relocations, known: set[int], arch: str) -> Finding | None:
    """The record that is refused first; of one record its type is looked at first, then the place, then the value."""
    unknown = next((found for found in section.types if found[0] not in known), None)
    nonzero = section.nonzero if load.version.since(4, 3) else None
    no_nop = None if _restored(load, section.no_nop) else section.no_nop
    name = load.module.name
    failures: list[tuple[tuple[int, int] | None, str, str, tuple[LogLine, ...]]] = [
        (unknown, "", _LOADERS[arch].errno, _unknown_lines(load, unknown[0]) if unknown else ()),
        (
            section.no_high,
            "the lower half of an address has no upper half in its section",
            "EINVAL",
            (line(f"{name}: Can not find HI20 relocation information"),),
        ),
        (
            no_nop,
            "a call out of the module is not followed by a nop: compiled without a TOC",
            "ENOEXEC",
            (line(f"{_said_by(load)}{name}: Expected nop after call, got {no_nop[0]:08x} at *"),) if no_nop else (),
        ),
        (
            nonzero,
            "a place to be relocated is not zero: relocated before, or damaged",
            "ENOEXEC",
            (line(_nonzero_line(load, section, *nonzero)),) if nonzero else (),
        ),
        (
            section.far,
            "a relocated value does not fit its field",
            "EINVAL" if arch == "riscv64" else "ENOEXEC",
            _far_lines(load, section, *section.far) if section.far else (),
        ),
    ]
    first = min((place[1] for place, *_ in failures if place), default=None)
    for place, summary, errno, written in failures:
        if place and place[1] == first:
            told = summary or f"relocation type {place[0]} is not one that the {arch} loader applies"
            return Finding(RULE, "error", told, errno, written, {"type": place[0], "record": place[1]})
    return None


def _restored(load: Load, found: tuple[int, int] | None) -> bool:
    """Whether the kernel takes what stands behind a call: since 6.3 the TOC pointer restored already, or anything where
    it has none."""
    restores = load.version.since(6, 3) and found is not None and found[0] == _PPC64_LOAD_TOC
    return restores or load.target.option("PPC_KERNEL_PCREL") == "y"


def _far_lines(load: Load, section: Relocations, kind: int, record: int) -> tuple[LogLine, ...]:
    """Stars stand for addresses."""
    name = load.module.name
    if load.target.arch == "arm64":
        return (line(f"{_said_by(load)}module {name}: overflow in relocation type {kind} val *"),)
    if load.target.arch == "riscv64" and kind == 1:
        return (line(f"{name}: value * out of range for 32-bit field"),)
    if load.target.arch == "riscv64":
        return (line(f"{name}: target * can not be addressed by the 32-bit offset from PC = *"),)
    where = f" sec {section.section} idx {record}" if load.version.since(7, 0) else ""
    return (
        line(f"module: overflow in relocation type {kind} val *{where}", 0),
        line(f"module: `{name}' likely not compiled with -mcmodel=kernel", 1),
    )


def _unknown_lines(load: Load, kind: int) -> tuple[LogLine, ...]:
    """What is written of a type that is not applied; s390 has four that it refuses without a word."""
    arch, name = load.target.arch or "", load.module.name
    if arch == "s390x" and kind in range(9, 13):
        return ()
    if arch == "riscv64" and load.version.since(6, 8) and kind in _RISCV_DYNAMIC | _RISCV_TLS:
        what = "Dynamic linking" if kind in _RISCV_DYNAMIC else "Thread local storage"
        return (line(f"{name}: {what} not supported in kernel modules PC = *"),)
    if arch == "riscv64" and kind == _RISCV_ALIGN:
        return (line(f"{name}: The unexpected relocation type 'R_RISCV_ALIGN' from PC = *"),)
    return (line(_said_by(load) + _LOADERS[arch].line.format(name=name, type=kind)),)


def _said_by(load: Load) -> str:
    """What some architectures' loaders put before their lines."""
    arch, version = load.target.arch, load.version
    if arch == "arm64" and version.since(6, 5):
        return "Modules: "
    return {"ppc64": "module_64: ", "ppc": "module_32: "}.get(arch or "", "") if version.since(3, 18) else ""


def _nonzero_line(load: Load, section: Relocations, kind: int, record: int) -> str:
    """The addresses in it are the kernel's own; stars stand for them."""
    if load.version.since(7, 0):
        return (
            "module: x86/modules: Invalid relocation target, existing value is nonzero for "
            f"sec {section.section}, idx {record}, type {kind}, loc *, val *"
        )
    verb = "Invalid" if load.version.since(6, 4) else "Skipping invalid"
    return f"module: x86/modules: {verb} relocation target, existing value is nonzero for type {kind}, loc *, val *"
