"""`sysfs`: sections of one name, which cannot both have a file in /sys/module/NAME/sections.

`add_sect_attrs()` of kernel/module/sysfs.c: up to 6.12 the kernel complains and loads the module without these files,
in 7.3 it refuses it; the change was proposed in September 2024.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import SHF_ALLOC, SHT_SYMTAB
from ..concerns import concerns
from ..facts import Answer, Finding, Load, line

RULE = "sysfs"


@concerns(
    targets=lambda target: target.option("KALLSYMS") == "y",
    modules=lambda module: not module.elf.sections.are_named_apart,
)
def sysfs(load: Load) -> Iterator[Answer]:
    """The names of loaded sections; the symbol table and its strings count as loaded (layout_symtab())."""
    sections = load.module.elf.sections
    symtab = next((section for section in sections if section.sh_type == SHT_SYMTAB), None)
    kept = (symtab, sections[symtab.sh_link] if symtab and symtab.sh_link < len(sections) else None)
    # read, and not loaded: the first section of each of these names
    unloaded = {"__versions", "__version_ext_crcs", "__version_ext_names", ".modinfo", ".data..percpu"}
    names = set()
    for section in sections:
        if not section.sh_size or not (section.sh_flags & SHF_ALLOC or section in kept) or section.name is None:
            continue
        if section.name in unloaded:
            unloaded.remove(section.name)
            continue
        if section.name in names:
            text = f"sysfs: cannot create duplicate filename '/module/{load.module.name}/sections/{section.name}'"
            refused = load.version.since(6, 13)
            summary = f"two sections are named {section.name}"
            yield Finding(
                RULE, "error" if refused else "warning", summary, "EEXIST" if refused else None, (line(text),)
            )
            return
        names.add(section.name)
