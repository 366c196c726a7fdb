"""`dependency`: modules among those given that must be loaded first, as modprobe does.

Not the kernel's own check: modprobe stops at the first that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Answer, Finding, Load, LogLine, Unknown

RULE = "dependency"


def dependency(load: Load) -> Iterator[Answer]:
    """The first dependency that is refused, with its errno and lines."""
    if load.cycle:
        yield Unknown(RULE, f"which of {load.module.name} and {load.cycle} is loaded first: each needs the other")
    for other in load.dependencies:
        name = other.failed_in or other.module.name
        if other.verdict == "refused":
            for rule in other.earlier_unknown:
                yield Unknown(RULE, f"for {name}: {rule} could not be checked")
            lines = tuple(LogLine(text, order) for order, text in enumerate(other.log))
            yield Finding(RULE, "error", f"needs {name}, which is refused", other.errno, lines, {"failed_in": name})
            return
        if other.verdict == "unknown":
            for unknown in other.unchecked:
                yield Unknown(RULE, f"for {name} ({unknown.rule}): {unknown.needs}")
