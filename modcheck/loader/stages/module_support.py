"""`module-support`: a kernel that loads no modules at all.

Without CONFIG_MODULES there is no system call for it (kernel/sys_ni.c); `nomodule` on the command line, or the sysctl
`kernel.modules_disabled`, ends it for this boot (kernel/module/main.c, 2.6.31 to 7.3).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...target.facts import is_true
from ..facts import Answer, Finding, Load

RULE = "module-support"


def module_support(load: Load) -> Iterator[Answer]:
    """CONFIG_MODULES, the parameter `nomodule`, the sysctl `modules_disabled`."""
    if load.target.option("MODULES") == "n":
        yield Finding(RULE, "error", "the kernel is built without CONFIG_MODULES", "ENOSYS")
    elif is_true((load.target.boot_options("nomodule") or ["0"])[-1]):
        yield Finding(RULE, "error", "the kernel's command line forbids all modules (nomodule)", "EPERM")
    elif load.target.modules_disabled:
        yield Finding(RULE, "error", "loading modules is turned off there (kernel.modules_disabled=1)", "EPERM")
