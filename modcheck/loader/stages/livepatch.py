"""`livepatch`: a module that patches the running kernel, and a kernel that does not do that.

`check_modinfo_livepatch()` of kernel/module/main.c, since 4.7.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..facts import Answer, Finding, Load, Unknown, line

RULE = "livepatch"


def livepatch(load: Load) -> Iterator[Answer]:
    """modinfo `livepatch=` against CONFIG_LIVEPATCH."""
    if load.module.info("livepatch") is None or not load.version.since(4, 7):
        return
    state = load.target.option("LIVEPATCH")
    if state is None:
        yield Unknown(RULE, needs.CONFIG)
    elif state != "y":
        text = f"{load.module.name}: module is marked as livepatch module, but livepatch support is disabled"
        yield Finding(RULE, "error", "a live patch, and CONFIG_LIVEPATCH is off", "ENOEXEC", (line(text),))


def livepatch_taint(load: Load) -> Iterator[Answer]:
    """The line for a live patch that is taken."""
    if load.module.info("livepatch") is None or not load.version.since(4, 7):
        return
    if load.target.option("LIVEPATCH") == "y":
        text = f"{load.module.name}: tainting kernel with TAINT_LIVEPATCH"
        yield Finding(RULE, "warning", "a live patch: taints the kernel", None, (line(text, once="taint-K"),))
