"""`relocation`: records that the architecture's loader does not know, or that it finds already written.

`apply_relocate_add()` of arch/x86/kernel/module.c (4.9 to 7.3) and arch/arm64/kernel/module.c (4.4 to 7.3),
`apply_relocate()` for x86 of 32 bits. Whether a value fits its field depends on where the module is put, and is judged
only where its addend alone does not; other architectures' types are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import Relocations
from ...version import Version
from ..facts import Answer, Finding, Load, Unknown, line

RULE = "relocation"

_ARM64 = frozenset(
    (0, 256, *range(257, 263), *range(263, 273), *range(273, 281), *range(282, 294), 299)
)  # fmt: skip


def _known(arch: str, version: Version) -> frozenset[int] | None:
    """The types that the loader of this version applies; None where that is not known."""
    if arch == "x86_64":
        plt = {4} if version.since(4, 16) else set()
        pc64 = {24} if version.since(5, 0) else set()
        return frozenset({0, 1, 2, 10, 11} | plt | pc64)
    if arch == "i386":
        return frozenset({1, 2} | ({4} if version.since(4, 19) else set()))
    return _ARM64 if arch == "arm64" else None


def relocation(load: Load) -> Iterator[Answer]:
    """The first record that fails, in the order of the sections."""
    arch = load.target.arch or ""
    known = _known(arch, load.version)
    if known is None:
        return
    for section in load.module.relocations:
        if not section.rela and arch != "i386":
            text = f"module {load.module.name}: REL relocation unsupported"
            yield Finding(RULE, "error", "has relocations of the kind REL", "ENOEXEC", (line(text),))
            return
        if section.outside:
            where = f"record {section.outside[1]} of section {section.section} is written"
            yield Unknown(RULE, f"what lies in memory behind section {section.target}, where {where}: no file tells")
        failed = _first_failure(load, section, known, arch)
        if failed:
            yield failed
            return


def _first_failure(load: Load, section: Relocations, known: frozenset[int], arch: str) -> Finding | None:
    unknown = next(((kind, record) for kind, record in section.types if kind not in known), None)
    nonzero = section.nonzero
    if unknown and (nonzero is None or unknown[1] <= nonzero[1]):
        text = {
            "x86_64": f"module: {load.module.name}: Unknown rela relocation: {unknown[0]}",
            "i386": f"module: {load.module.name}: Unknown relocation: {unknown[0]}",
            "arm64": f"module {load.module.name}: unsupported RELA relocation: {unknown[0]}",
        }[arch]
        summary = f"relocation type {unknown[0]} is not one that the {arch} loader applies"
        return Finding(RULE, "error", summary, "ENOEXEC", (line(text),), {"type": unknown[0], "record": unknown[1]})
    if section.far and (nonzero is None or section.far[1] < nonzero[1]):
        kind, record = section.far
        where = f" sec {section.section} idx {record}" if load.version.since(7, 0) else ""
        texts = (
            f"module: overflow in relocation type {kind} val *{where}",
            f"module: `{load.module.name}' likely not compiled with -mcmodel=kernel",
        )
        written = tuple(line(text, order) for order, text in enumerate(texts))
        return Finding(RULE, "error", "a relocated value does not fit its field", "ENOEXEC", written, {"type": kind})
    if nonzero and load.version.since(4, 3):
        summary = "a place to be relocated is not zero: relocated before, or damaged"
        text = _nonzero_line(load, section, *nonzero)
        return Finding(RULE, "error", summary, "ENOEXEC", (line(text),), {"type": nonzero[0], "record": nonzero[1]})
    return None


def _nonzero_line(load: Load, section: Relocations, kind: int, record: int) -> str:
    """The addresses in it are the kernel's own; stars stand for them."""
    if load.version.since(7, 0):
        return (
            "module: x86/modules: Invalid relocation target, existing value is nonzero for "
            f"sec {section.section}, idx {record}, type {kind}, loc *, val *"
        )
    verb = "Invalid" if load.version.since(6, 4) else "Skipping invalid"
    return f"module: x86/modules: {verb} relocation target, existing value is nonzero for type {kind}, loc *, val *"
