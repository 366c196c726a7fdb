"""`module-layout`: whether the structures of the module loader itself are those of the kernel's build.

`check_modstruct_version()` of kernel/module/version.c: the CRC of `module_layout` (`struct_module` until 2.6.29),
compared before vermagic. With CONFIG_MODVERSIONS only.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, Unknown, line
from .force import force_load
from .versions import check_version, missing_refused

RULE = "module-layout"


@concerns(targets=lambda target: target.modversions is not False)
def module_layout(load: Load) -> Iterator[Answer]:
    """One CRC for struct module and all that belongs to it."""
    target = load.target
    if target.modversions is None:
        yield Unknown(RULE, f"whether CONFIG_MODVERSIONS is on: {needs.CONFIG}")
        return
    name = "module_layout" if load.version.since(2, 6, 30) else "struct_module"
    recorded = load.recorded
    if recorded.basic is None and recorded.extended is None:
        yield from force_load(load, RULE, "the module has no CRCs (no __versions)", name)
        return
    rows = target.symbols.find(name) if target.symbols else ()
    if not rows or not target.symbols:
        yield Unknown(RULE, needs.SYMVERS)
        return
    row = rows[0]
    if not target.symbols.has_crcs:
        yield Unknown(RULE, needs.CRCS)
        return
    check = check_version(recorded, name, row.crc)
    if check.outcome == "differs":
        yield Finding(
            RULE,
            "error",
            "built for a kernel whose module structures differ: another version, .config or patch level",
            "ENOEXEC",
            (line(f"{load.label}: disagrees about version of symbol {name}"),),
            {"symbol": name, "module_crc": check.module_crc, "target_crc": row.crc},
        )
    elif check.outcome == "missing":
        refused = missing_refused(load, check)
        text = f"{load.label}: no {'extended ' if check.extended else ''}symbol version for {name}"
        summary = "the module was built without the kernel's Module.symvers: it has no CRC of module_layout"
        details = {"symbol": name, "module_crc": None, "target_crc": row.crc}
        if refused is None:
            yield Unknown(RULE, needs.VENDOR)
        elif refused:
            yield Finding(RULE, "error", summary, "ENOEXEC", (line(text),), details)
        else:
            yield Finding(RULE, "warning", summary, None, (line(text, once="no-symbol-version"),), details)
