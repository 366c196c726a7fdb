"""`module-support`: a kernel built without CONFIG_MODULES, which has no system call to load one."""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Answer, Finding, Load

RULE = "module-support"


def module_support(load: Load) -> Iterator[Answer]:
    """CONFIG_MODULES; kernel/sys_ni.c answers ENOSYS without it."""
    if load.target.option("MODULES") == "n":
        yield Finding(RULE, "error", "the kernel is built without CONFIG_MODULES", "ENOSYS")
