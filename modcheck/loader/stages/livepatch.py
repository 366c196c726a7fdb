"""`livepatch`: a module that patches the running kernel, and a kernel that does not do that.

`check_modinfo_livepatch()` of kernel/module/main.c, since 4.7.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import Module
from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, Unknown, line

RULE = "livepatch"


def _is_livepatch(module: Module) -> bool:
    return module.info("livepatch") is not None


@concerns((4, 7), modules=_is_livepatch)
def livepatch(load: Load) -> Iterator[Answer]:
    """modinfo `livepatch=` against CONFIG_LIVEPATCH."""
    state = load.target.option("LIVEPATCH")
    if state is None:
        yield Unknown(RULE, needs.CONFIG)
    elif state != "y":
        text = f"{load.module.name}: module is marked as livepatch module, but livepatch support is disabled"
        yield Finding(RULE, "error", "a live patch, and CONFIG_LIVEPATCH is off", "ENOEXEC", (line(text),))


@concerns((4, 7), targets=lambda target: target.option("LIVEPATCH") == "y", modules=_is_livepatch)
def livepatch_taint(load: Load) -> Iterator[Answer]:
    """The line for a live patch that is taken."""
    text = f"{load.module.name}: tainting kernel with TAINT_LIVEPATCH"
    yield Finding(RULE, "warning", "a live patch: taints the kernel", None, (line(text, once="taint-K"),))
