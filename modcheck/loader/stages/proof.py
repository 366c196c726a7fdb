"""What a table decided that nothing proves to be of the kernel that runs: under `--strict` it decides nothing.

No check of the kernel's: it compares with what it exports itself, and that is what a table, or a tree, of another build
does not tell (target/builds.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import SHN_UNDEF
from .. import needs
from ..among import LoadAmong
from ..concerns import concerns
from ..facts import Answer, Unknown


@concerns(targets=lambda target: target.tied is not None and target.tied.state == "assumed", others=True)
def proof(load: LoadAmong) -> Iterator[Answer]:
    """Each import that the table has, and the CRC of module_layout."""
    tied = load.target.tied
    if not load.strict or tied is None:
        return
    symbols = load.links.imports.symbols if load.links.imports else ()
    names = [one.name for one in symbols if one.shndx == SHN_UNDEF and _of_table(load, one.name)]
    if load.target.modversions is not False and load.target.symbols:
        names += [name for name in ("module_layout", "struct_module") if load.target.symbols.find(name)]
    unproven = tied.unproven(names)
    if unproven:
        rule = "symbol-version" if load.target.modversions is not False else "unknown-symbol"
        yield Unknown(rule, needs.proof(tied.table))
    if not (unproven or tied.configured or load.links.signed):
        yield Unknown("signature", needs.SIGNED)


def _of_table(load: LoadAmong, name: str) -> bool:
    """Whether what the module gets for a name is what a table says, and not what a module at hand exports."""
    rows, modules = load.view.find(name), load.target.modules
    if not rows or (modules is not None and rows[0].owner in modules):
        return False
    symbols = load.target.symbols
    return symbols is not None and rows[0] in symbols.find(name)
