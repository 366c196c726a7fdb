"""`dependency`: modules that must be loaded first, as modprobe does.

Not the kernel's own check, but modprobe's (libkmod/libkmod-module.c of kmod 34): it loads what modules.dep names, and
stops at the first that is refused; before each module those of its `softdep` line, whose failure it ignores; and in
place of a module that modprobe.d has an `install` line for it runs that command.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Finding, LogLine, Unknown

if TYPE_CHECKING:
    from ...target.modules_dir import ModulesDir

RULE = "dependency"


@concerns(others=True)
def dependency(load: LoadAmong) -> Iterator[Answer]:
    """The first dependency that is refused, with its errno and lines; what modprobe does beside."""
    if load.target.modules is not None and load.loader == "modprobe":
        yield from _configured(load, load.target.modules)
    if load.cycle:
        yield Unknown(RULE, f"which of {load.links.name} and {load.cycle} is loaded first: each needs the other")
    if load.rivals:
        names = ", ".join(load.rivals)
        yield Unknown(
            RULE, f"which of {names} modprobe loads first: modules.dep, which depmod writes (--modules-dir DIR)"
        )
    for name, other in load.dependencies.items():
        if other.verdict == "refused":
            for rule in other.earlier_unknown:
                yield Unknown(RULE, f"for {name}: {rule} could not be checked")
            lines = tuple(LogLine(text, order) for order, text in enumerate(other.log))
            yield Finding(RULE, "error", f"needs {name}, which is refused", other.errno, lines, {"failed_in": name})
            return
        if other.verdict == "unknown":
            for unknown in other.unchecked:
                yield Unknown(RULE, f"for {name} ({unknown.rule}): {unknown.needs}")


def _configured(load: LoadAmong, modules: ModulesDir) -> Iterator[Answer]:
    """What the board's modprobe.d and modules.softdep say of the module."""
    if gone := ", ".join(name for name in modules.gone(load.links.path) if name not in load.dependencies):
        summary = f"modules.dep names {gone}, which is not there: modprobe loads nothing first; run depmod"
        yield Finding(RULE, "warning", summary)
    command = modules.modprobe.install(load.links.name)
    if command and not any(modules.softdeps(load.links.name)):
        yield Unknown(RULE, f"what the command does that modprobe.d has in place of loading the module: {command}")
    for name, verdict in load.softdeps:
        outcome = "loads" if verdict == "loads" else "need not load"
        yield Finding(RULE, "note", f"modprobe tries {name} first (softdep), which {outcome}")
