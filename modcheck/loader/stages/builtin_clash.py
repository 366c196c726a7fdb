"""`builtin-clash`: something built into the kernel has the folder in /sys/module that the module would get.

`mod_sysfs_init()` of kernel/module/sysfs.c (kernel/module.c until 5.18), 2.6.24 to 7.3. What is built in has one if it
has a version, or a parameter that can be read (kernel/params.c), under a prefix that is nearly always its name; since
platform drivers tell their name (seen in 7.3), also if it registers a driver (drivers/base/module.c).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Answer, Finding, Load, Unknown, line

RULE = "builtin-clash"


def builtin_clash(load: Load) -> Iterator[Answer]:
    """The name in struct module among those of /sys/module; an empty one cannot have a folder."""
    name, builtin = load.module.name, load.target.builtin
    if not name:
        yield Finding(RULE, "error", "it has no name, and so cannot have a folder in /sys/module", "EINVAL")
    elif name == "kernel" or (
        name in load.target.sys_module
        if load.target.sys_module is not None
        else builtin and name in builtin.modules & builtin.with_version
    ):
        text = f"{name}: module is already loaded"
        yield Finding(RULE, "error", f"{name} is built into the kernel", "EINVAL", (line(text),))
    elif load.target.sys_module is None and builtin and name in _perhaps(load):
        yield Unknown(RULE, f"whether /sys/module/{name} is there without the module: something built in has that name")


def _perhaps(load: Load) -> frozenset[str]:
    builtin = load.target.builtin
    assert builtin
    if load.version.since(6, 15):
        return builtin.modules | builtin.declaring
    return builtin.with_parameters | builtin.with_version
