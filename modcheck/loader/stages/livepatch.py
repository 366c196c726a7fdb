"""`livepatch`: a module that patches the running kernel, and a kernel that does not do that.

`check_modinfo_livepatch()` of kernel/module/main.c, and klp_module_coming() of kernel/livepatch/core.c, both since 4.7.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import Module
from ...target.facts import Target
from .. import needs
from ..among import LoadAmong
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


@concerns((4, 7), targets=lambda target: target.option("LIVEPATCH") != "n", others=True)
def live_patched(load: LoadAmong) -> Iterator[Answer]:
    """A live patch that is loaded is applied to a module that comes later, by its name; it is refused where that
    fails. One that is built for the kernel fits the kernel's own modules: what is in the place of one of these may not.
    """
    patches = [one.name for one in load.others if one.info("livepatch") is not None]
    if patches and not load.links.own_build and _is_of_kernel(load.target, load.links.name):
        yield Unknown(RULE, f"whether {', '.join(patches)} patches {load.links.name}, and fits this build of it")


def _is_of_kernel(target: Target, name: str) -> bool:
    """Whether a module of that name is known to be the kernel's own."""
    exports = target.symbols is not None and target.symbols.has_owner(name)
    return exports or (target.modules is not None and name in target.modules)
