"""The order of the load path: which stages a kernel goes through, by its version.

`load_module()` of kernel/module/main.c (kernel/module.c until 5.18), 2.6.0 to 7.3. A module is refused at the first
stage that refuses; what comes later is judged all the same, so that one run shows everything there is to mend.
"""

from __future__ import annotations

from functools import lru_cache

from ..version import Version
from .facts import Stage
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
from .stages.livepatch import livepatch, livepatch_taint
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
        trampolines, duplicate_export, btf, parameter, builtin_clash, sysfs,
    )),
    ((5, 13, 0), (
        signature, *_ELF, blacklist, module_layout, vermagic, *_TAINTS, arch_sections, wx_section, already_loaded,
        unsigned_taint, license_by_name, constructors, export_versions, protected_symbol, symbols, relocation,
        trampolines, duplicate_export, btf, parameter, builtin_clash, sysfs,
    )),
    ((4, 19, 0), (
        header, arch, sections, tables, blacklist, signature, module_layout, vermagic, *_TAINTS, arch_sections,
        wx_section, already_loaded, unsigned_taint, license_by_name, export_versions, symbols, relocation,
        trampolines, duplicate_export, btf, parameter, builtin_clash, sysfs,
    )),
    ((3, 8, 0), (
        signature, header, arch, sections, tables, blacklist, module_layout, vermagic, *_TAINTS, arch_sections,
        already_loaded, unsigned_taint, license_by_name, export_versions, symbols, relocation, duplicate_export,
        parameter, builtin_clash,
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


@lru_cache(maxsize=64)
def stages(version: Version) -> tuple[Stage, ...]:
    """The stages of that version's load path in their order; what modprobe does comes before them."""
    if version.late_5_10:
        version = Version(5, 13, 0)
    found = next((stages for since, stages in EPOCHS if version.since(*since)), EPOCHS[-1][1])
    return (depmod, dependency, module_support, compression, *found, proof)
