"""`module-struct`: whether struct module has the size that the kernel was built with.

`elf_validity_cache_index_mod()` of kernel/module/main.c, since 6.4; earlier kernels do not compare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, Unknown, line
from .elf_format import THIS_MODULE

RULE = "module-struct"


@concerns((6, 4), modules=lambda module: module.this_module_size is not None)
def module_struct(load: Load) -> Iterator[Answer]:
    """sh_size of .gnu.linkonce.this_module against sizeof(struct module)."""
    size, wanted = load.module.this_module_size, load.target.this_module_size
    if wanted is None:
        known = load.target.version is not None
        yield Unknown(RULE, needs.STRUCT_SIZE if known else f"{needs.VERSION}; from 6.4 on, {needs.STRUCT_SIZE}")
        return
    if size != wanted:
        name = load.module.info_name or "(missing .modinfo section or name field)"
        text = f"module {name}: {THIS_MODULE} section size must match the kernel's built struct module size at run time"
        summary = f"struct module has {size} bytes in the module, {wanted} in the kernel: another configuration"
        yield Finding(RULE, "error", summary, "ENOEXEC", (line(text),), {"module": size, "target": wanted})
