"""`blacklist`: a module that the kernel's command line forbids.

`blacklisted()` of kernel/module/main.c (kernel/module.c until 5.18), since 4.7; it writes a line since 5.11, and in
5.10.y since that took over the loader of 5.13 (seen). What modprobe.d and `modprobe.blacklist=` forbid is another
matter: it only stops loading by an alias, as udev does for the hardware that is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ...target.facts import Target
from ..concerns import concerns
from ..facts import Answer, Finding, Load, line

RULE = "blacklist"


@lru_cache(maxsize=2)
def _lists(target: Target) -> tuple[frozenset[str], frozenset[str]]:
    """What the command line forbids the kernel, and what it tells modprobe to leave alone."""
    lists = target.boot_options("module_blacklist")
    names = ",".join(target.boot_options("modprobe.blacklist")).replace("-", "_").split(",")
    return frozenset(lists[-1].split(",") if lists else ()), frozenset(filter(None, names))


@concerns(targets=lambda target: any(_lists(target)) or target.modules is not None)
def blacklist(load: Load) -> Iterator[Answer]:
    """`module_blacklist=`: the name as it is written, `-` and `_` differ. The last list on the command line counts."""
    listed, on_boot = _lists(load.target)
    if load.label in listed and load.version.since(4, 7):
        told = load.version.since(5, 11) or load.version.late_5_10
        written = (line(f"Module {load.label} is blacklisted"),) if told else ()
        yield Finding(RULE, "error", "the kernel's command line forbids it (module_blacklist=)", "EPERM", written)
    name = load.module.name
    configured = load.target.modules.modprobe.blacklist if load.target.modules else ()
    if load.loader == "modprobe" and (name in on_boot or name in configured):
        yield Finding(RULE, "note", f"modprobe.d forbids it: `modprobe {name}` loads it, udev does not")
