"""`export-versions` and `duplicate-export`: what the module itself exports.

`check_export_symbol_versions()` and `verify_exported_symbols()` of kernel/module/main.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...target.symvers import KERNEL
from .. import needs
from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Finding, Load, Unknown, line
from ..visible import View
from .force import force_load
from .symbols import looked_up

VERSIONS_RULE = "export-versions"
DUPLICATE_RULE = "duplicate-export"


@concerns(modules=lambda module: module.export_sections)
def export_versions(load: Load) -> Iterator[Answer]:
    """Exports without CRCs on a kernel with CONFIG_MODVERSIONS; since 7.1, exports without flags."""
    sections = load.module.export_sections
    if load.version.since(7, 1) and "__ksymtab" in sections and "__kflagstab" not in sections:
        text = f"{load.module.name}: no flags for exported symbols"
        yield Finding(VERSIONS_RULE, "error", "exports without __kflagstab", "ENOEXEC", (line(text),))
        return
    if not load.target.modversions:
        return
    tables = ("",) if load.version.since(7, 1) else ("", "_gpl")
    if any("__ksymtab" + table in sections and "__kcrctab" + table not in sections for table in tables):
        yield from force_load(
            load, VERSIONS_RULE, "the module exports symbols without CRCs", "no versions for exported symbols"
        )


@concerns(modules=lambda links: links.exports, others=True)
def duplicate_export(load: LoadAmong) -> Iterator[Answer]:
    """A symbol that the kernel, or a module loaded at that time, exports already."""
    for export in load.links.exports:
        for other in load.view.find(export.name):
            if other.owner == load.links.name:
                continue
            owner = "kernel" if other.owner == KERNEL else other.owner
            if other.owner != KERNEL and other.owner not in load.present:
                continue
            text = f"{load.links.name}: exports duplicate symbol {export.name} (owned by {owner})"
            summary = f"exports {export.name}, which {owner} exports already"
            details = {"symbol": export.name, "owner": other.owner}
            yield Finding(DUPLICATE_RULE, "error", summary, "ENOEXEC", (line(text),), details)
            return
    # modpost lets no symbol be exported twice within one build
    if not load.knows_absent and not load.links.own_build and not _knows_exporters(load):
        yield Unknown(DUPLICATE_RULE, needs.SYMVERS)


def _knows_exporters(load: LoadAmong) -> bool:
    """Whether the exports of all that is there by then are known: the kernel's own, and those of the modules that are
    loaded first, which are all at hand if everything that each imports is found."""
    symbols = load.target.symbols
    if symbols is None or not symbols.names_kernel:
        return False
    first = [load.view.visible.member(name) for name in load.needs]
    views = [load.view, *(View(load.view.visible, one.links) for one in first if one)]
    names = ((view, looked_up(load, name)) for view in views for name in view.links.wanted)
    return (
        None not in first
        and not any(view.opaque for view in views)
        and all(name is None or view.find(name) for view, name in names)
    )
