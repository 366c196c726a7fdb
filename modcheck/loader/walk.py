"""The order of the load path: which stages a kernel goes through, by its version.

`load_module()` of kernel/module/main.c (kernel/module.c until 5.18), 2.6.0 to 7.3. A module is refused at the first
stage that refuses; what comes later is judged all the same, so that one run shows everything there is to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import ModcheckError
from ..target.facts import Target
from ..version import Version
from .concerns import Stage, concern_of
from .errnos import LOADERS
from .facts import Answer, Finding, Terms
from .stages.already_loaded import already_loaded
from .stages.arch import arch
from .stages.blacklist import blacklist
from .stages.btf import btf
from .stages.builtin_clash import builtin_clash
from .stages.compression import compression
from .stages.dependency import dependency
from .stages.depmod import depmod
from .stages.elf_format import header, sections, tables
from .stages.exports import duplicate_export, export_versions
from .stages.license import license, license_by_name, out_of_tree, retpoline, staging, test
from .stages.livepatch import live_patched, livepatch, livepatch_taint
from .stages.module_layout import module_layout
from .stages.module_struct import module_struct
from .stages.module_support import module_support
from .stages.parameter import parameter
from .stages.proof import proof
from .stages.protected_symbol import protected_symbol
from .stages.relocation import relocation
from .stages.sections import arch_sections, constructors, trampolines, wx_section
from .stages.signature import signature, unsigned_taint
from .stages.symbols import imported_module_namespace, symbols
from .stages.sysfs import sysfs
from .stages.vermagic import vermagic

#: the newest version whose load path is known; later ones are judged like it
NEWEST = Version(7, 3, 0)

_ELF = (header, arch, sections, module_struct, tables)
_TAINTS = (out_of_tree, retpoline, staging, livepatch, livepatch_taint, license, test)

#: (first version, stages) of each shape of the load path, newest first
EPOCHS: tuple[tuple[tuple[int, int, int], tuple[Stage, ...]], ...] = (
    ((6, 4, 0), (
        signature, *_ELF, blacklist, module_layout, vermagic, livepatch, already_loaded, arch_sections, wx_section,
        out_of_tree, retpoline, staging, livepatch_taint, license, test, unsigned_taint, license_by_name,
        constructors, export_versions, imported_module_namespace, protected_symbol, symbols, relocation,
        trampolines, duplicate_export, live_patched, btf, parameter, builtin_clash, sysfs,
    )),
    ((5, 13, 0), (
        signature, *_ELF, blacklist, module_layout, vermagic, *_TAINTS, arch_sections, wx_section, already_loaded,
        unsigned_taint, license_by_name, constructors, export_versions, protected_symbol, symbols, relocation,
        trampolines, duplicate_export, live_patched, btf, parameter, builtin_clash, sysfs,
    )),
    ((4, 19, 0), (
        header, arch, sections, tables, blacklist, signature, module_layout, vermagic, *_TAINTS, arch_sections,
        wx_section, already_loaded, unsigned_taint, license_by_name, export_versions, symbols, relocation,
        trampolines, duplicate_export, live_patched, btf, parameter, builtin_clash, sysfs,
    )),
    ((3, 8, 0), (
        signature, header, arch, sections, tables, blacklist, module_layout, vermagic, *_TAINTS, arch_sections,
        already_loaded, unsigned_taint, license_by_name, export_versions, symbols, relocation, duplicate_export,
        live_patched, parameter, builtin_clash,
    )),
    ((2, 6, 36), (
        header, arch, sections, tables, module_layout, vermagic, *_TAINTS, arch_sections, license_by_name,
        export_versions, symbols, relocation, already_loaded, duplicate_export, parameter, builtin_clash,
    )),
    ((2, 6, 0), (
        header, arch, sections, tables, module_layout, vermagic, staging, already_loaded, arch_sections, license,
        license_by_name, symbols, export_versions, relocation, duplicate_export,
        parameter,
    )),
)  # fmt: skip


#: one version of each shape of the load path: what they agree on holds for a kernel whose version is not known
EVERY_SHAPE = (
    NEWEST, Version(6, 17, 0), Version(6, 14, 0), Version(6, 12, 117), Version(6, 6, 0), Version(6, 1, 176),
    Version(5, 15, 100), Version(5, 10, 200), Version(5, 4, 200), Version(4, 19, 200), Version(4, 4, 0),
    Version(3, 10, 0), Version(2, 6, 39), Version(2, 6, 32),
)  # fmt: skip

#: rules behind which nothing of the file can be judged
_FINAL = ("elf-format", "compression")


@lru_cache(maxsize=64)
def stages(version: Version) -> tuple[Stage, ...]:
    """The stages of that version's load path in their order; what modprobe does comes before them."""
    if version.late_5_10:
        version = Version(5, 13, 0)
    found = next((stages for since, stages in EPOCHS if version.since(*since)), EPOCHS[-1][1])
    return (depmod, dependency, module_support, compression, *found, proof)


class Placed(NamedTuple):
    """A stage of a walk."""

    place: int
    stage: Stage
    is_concerned: Callable[[Any], object] | None
    """of which modules it may find anything; None: of any"""


class Walk:
    """The way through the load path of one kernel: the stages that have something to say about it, in their order.

    :ivar alone: those that look at the module alone
    :ivar among: those that look at other modules
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.alone: list[Placed] = []
        self.among: list[Placed] = []
        for place, stage in enumerate(stages(terms.version)):
            concern = concern_of(stage)
            if terms.version.since(*concern.since) and (concern.targets is None or concern.targets(terms.target)):
                (self.among if concern.others else self.alone).append(Placed(place, stage, concern.modules))

    def __reduce__(self) -> tuple[type[Walk], tuple[Terms]]:
        return Walk, (self.terms,)  # to another process, where it is made again

    def place_of(self, stage: Stage) -> int:
        """Where a stage that looks at other modules stands."""
        return next(one.place for one in self.among if one.stage is stage)

    def decides(self, answer: Answer) -> bool:
        """Whether the kernel refuses a module for this."""
        return isinstance(answer, Finding) and answer.level == "error" and answer.rule not in self.terms.ignore

    def ends(self, answer: Answer) -> bool:
        """Whether nothing behind this is looked at."""
        if not isinstance(answer, Finding) or answer.level != "error":
            return False
        return answer.rule in _FINAL or (self.terms.until_refused and answer.rule not in self.terms.ignore)


def walks_of(target: Target, *, loader: str = "modprobe", ignore: Collection[str] = (), **how: Any) -> tuple[Walk, ...]:
    """The walk of a kernel; where its version is not known, one for each shape of the load path.

    :param how: the other fields of `Terms`
    :raises ModcheckError: `loader` is none of `LOADERS`
    """
    if loader not in LOADERS:
        raise ModcheckError("loader", f"{loader!r} is none of {', '.join(LOADERS)}")
    versions = EVERY_SHAPE if target.version is None else (min(target.version, NEWEST, key=_series),)
    return tuple(Walk(Terms(target, version, loader=loader, ignore=frozenset(ignore), **how)) for version in versions)


def _series(version: Version) -> tuple[int, int]:
    return version[0], version[1]
