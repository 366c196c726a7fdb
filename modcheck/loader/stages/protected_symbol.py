"""`protected-symbol`: Android's kernels keep symbols from modules that are not signed with their own key.

`simplify_symbols()` and `verify_exported_symbols()` of Android's kernel/module/main.c, with gki_module.c (5.15 to 6.6);
no kernel of kernel.org has it. The lists of symbols are compiled into the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..concerns import concerns
from ..facts import Answer, Load, Unknown
from .signature import verified

RULE = "protected-symbol"


@concerns(targets=lambda target: target.option("MODULE_SIG_PROTECT") == "y")
def protected_symbol(load: Load) -> Iterator[Answer]:
    """CONFIG_MODULE_SIG_PROTECT: what an unsigned module may use and export, no file tells."""
    module = load.module
    if verified(load):
        return
    if module.undefined or module.exports:
        needs = (
            "whether the kernel's lists let modules without its signature use these symbols: its ABI symbol list tells"
        )
        yield Unknown(RULE, needs)
