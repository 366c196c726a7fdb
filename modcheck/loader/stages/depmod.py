"""`depmod`: whether modprobe on the board finds this very file for the module's name.

Not the kernel's own check, and never a reason for it to refuse: modprobe loads what modules.dep names in
/lib/modules/RELEASE, and depmod, which writes that, takes one file of each name (tools/depmod.c of kmod 34).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ..facts import Answer, Finding, Load

RULE = "depmod"


@lru_cache(maxsize=4096)
def folder_of(path: str) -> str | None:
    """The release whose folder a path leads into."""
    _, found, rest = f"/{path}".partition("/lib/modules/")
    release, inside, _ = rest.partition("/")
    return release if found and inside and release else None


def depmod(load: Load) -> Iterator[Answer]:
    """The folder that the file lies in, and others of its name."""
    if load.loader != "modprobe":
        return
    release = load.target.release
    folder = folder_of(load.module.path)
    if folder and release and folder != release:
        summary = f"lies in lib/modules/{folder}, where a kernel with the release {release} does not look"
        yield Finding(RULE, "warning", summary, details={"found": folder, "release": release})
    modules = load.target.modules
    own = modules.relative(load.module.path) if modules else None
    if modules is None:
        return
    if own is None:
        if others := modules.files(load.module.name):
            yield Finding(RULE, "note", f"stands for {', '.join(others)} of {modules.path}")
        return
    picked = modules.picked(modules.known_as(own))
    if own not in picked:
        summary = f"modprobe takes {', '.join(picked)} instead" if picked else "modprobe does not find this file"
        yield Finding(RULE, "warning", summary, details={"picked": list(picked)})
    elif len(picked) > 1:
        rest = ", ".join(path for path in picked if path != own)
        summary = f"depmod takes this file or {rest}: nothing but the order of the folders' entries decides"
        yield Finding(RULE, "warning", summary, details={"picked": list(picked)})
    if modules.lists(own) is False:
        yield Finding(RULE, "warning", "modules.dep does not have this file: run depmod there")
