"""`already-loaded`: a module of that name is loaded.

`add_unformed_module()` and `module_patient_check_exists()` of kernel/module/main.c; where in the load path depends on
the version.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Finding

RULE = "already-loaded"


@concerns(others=True)
def already_loaded(load: LoadAmong) -> Iterator[Answer]:
    """The name in struct module among those loaded."""
    if load.links.name not in load.loaded:
        return
    if load.loader == "modprobe":
        yield Finding(RULE, "note", f"a module named {load.links.name} is already loaded: modprobe does nothing then")
    else:
        yield Finding(RULE, "error", f"a module named {load.links.name} is already loaded", "EEXIST")
