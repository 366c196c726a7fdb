"""`module-support`: a kernel that loads no modules at all.

Without CONFIG_MODULES there is no system call for it (kernel/sys_ni.c); `nomodule` on the command line, or the sysctl
`kernel.modules_disabled`, ends it for this boot (kernel/module/main.c, 2.6.31 to 7.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ...target.facts import Target, is_true
from ..concerns import concerns
from ..facts import Answer, Finding, Load

RULE = "module-support"


@lru_cache(maxsize=2)
def _of_target(target: Target) -> tuple[Finding, ...]:
    """It is the same for every module."""
    if target.option("MODULES") == "n":
        return (Finding(RULE, "error", "the kernel is built without CONFIG_MODULES", "ENOSYS"),)
    if is_true((target.boot_options("nomodule") or ["0"])[-1]):
        return (Finding(RULE, "error", "the kernel's command line forbids all modules (nomodule)", "EPERM"),)
    if target.modules_disabled:
        return (Finding(RULE, "error", "loading modules is turned off there (kernel.modules_disabled=1)", "EPERM"),)
    return ()


@concerns(targets=_of_target)
def module_support(load: Load) -> Iterator[Answer]:
    """CONFIG_MODULES, the parameter `nomodule`, the sysctl `modules_disabled`."""
    yield from _of_target(load.target)
