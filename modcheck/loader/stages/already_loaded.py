"""`already-loaded`: a module of that name is loaded.

`add_unformed_module()` and `module_patient_check_exists()` of kernel/module/main.c; where in the load path depends on
the version.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..facts import Answer, Finding, Load

RULE = "already-loaded"


def already_loaded(load: Load) -> Iterator[Answer]:
    """The name in struct module among those loaded."""
    if load.module.name not in load.loaded:
        return
    if load.loader == "modprobe":
        yield Finding(RULE, "note", f"a module named {load.module.name} is already loaded: modprobe does nothing then")
    else:
        yield Finding(RULE, "error", f"a module named {load.module.name} is already loaded", "EEXIST")
