"""What the kernel does where a version or vermagic is missing altogether: `try_to_force_load()`.

kernel/module/main.c, since 2.6.26: with CONFIG_MODULE_FORCE_LOAD it taints the kernel and goes on, without it refuses
and writes nothing. Before 2.6.26 it always went on.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..facts import Answer, Finding, Load, Unknown, line

DEBUG_LOCKING = "Disabling lock debugging due to kernel taint"


def force_load(load: Load, rule: str, what: str, reason: str) -> Iterator[Answer]:
    """`what` is missing: loads tainted, is refused silently, or unknown.

    :param what: for the summary, a noun with its verb
    :param reason: what the kernel calls it: a symbol's name, `bad vermagic`
    """
    allowed = load.target.option("MODULE_FORCE_LOAD")
    if not load.version.since(2, 6, 26):
        allowed = "y"
    if allowed is None:
        yield Unknown(rule, needs.FORCE_LOAD)
    elif allowed == "y":
        written = (line(_text(load, reason), 0, "taint-F"), line(DEBUG_LOCKING, 1, "lock-debugging"))
        yield Finding(
            rule, "warning", f"{what}; the kernel takes it, tainted (CONFIG_MODULE_FORCE_LOAD)", None, written
        )
    else:
        yield Finding(rule, "error", f"{what}, and CONFIG_MODULE_FORCE_LOAD is off: refused without a word", "ENOEXEC")


def _text(load: Load, reason: str) -> str:
    name = load.module.name
    if load.version.since(2, 6, 33):
        return f"{name}: {reason}: kernel tainted."
    if reason == "bad vermagic" and not load.version.since(2, 6, 26):
        return f"{name}: no version magic, tainting kernel."
    return f'{name}: no version for "{reason}" found: kernel tainted.'
