"""Causes and remedies for predictions: advice/, and the files around a module, which it does not read itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..loader.causes import TypeChange
from ..loader.facts import Prediction
from ..module import Module
from ..target import Target

if TYPE_CHECKING:
    from ..types.symtypes import Symtypes

#: rules of which a warning has a cause worth telling as well
_TOLD = ("depmod", "license", "symbol-version", "module-layout", "btf", "compression", "namespace")


class Adviser:
    """Predictions with causes and remedies, where there is anything to mend or to find out.

    :param symtypes: paths of .symtypes: the kernel's, or those of what was built against, and the kernel's
    """

    def __init__(self, target: Target, symtypes: Sequence[str]) -> None:
        """:raises ModcheckError: there are no .symtypes at one of these paths"""
        self.target = target
        self.symtypes: list[Symtypes] = []
        if symtypes:
            from ..types.symtypes import read_symtypes

            self.symtypes = [read_symtypes(path) for path in symtypes]

    def advised(self, prediction: Prediction, module: Module, *, look: bool = True) -> Prediction:
        """:param look: read debug information, which takes seconds, where CRCs differ"""
        if not has_more(prediction):
            return prediction
        from ..advice import advise
        from ..target.built import NOTHING, read_built

        against, kernels = self.target.built_against, self.target.tree
        tree = kernels or (against.tree if against else None)
        built = (
            read_built(module.path, module.vermagic, tree, kernels=kernels is not None)
            if _to_mend(prediction) or tree
            else NOTHING
        )
        types = self._types(prediction, module, built.tree and built.tree.path, look)
        return advise(replace(prediction, module=module), self.target, built, types)

    def _types(self, prediction: Prediction, module: Module, tree: str | None, look: bool) -> tuple[TypeChange, ...]:
        """What lies behind CRCs that differ."""
        from ..advice.crcs import differing_symbols

        names = differing_symbols(prediction)
        if not names:
            return ()
        found: tuple[TypeChange, ...] = ()
        sides = ("the module", "the kernel")
        if look:
            from ..types.read import kernel_types, module_types
            from ..types.reasons import type_changes

            own = module_types(module, tree)
            found = type_changes(own, own and kernel_types(self.target, names), names, sides)
        if self.symtypes and not found:
            from ..types.reasons import written_changes

            agreeing = [name for name, _ in module.versions or () if name not in names]
            found = written_changes(self.symtypes, names, agreeing, sides)
        return found


def has_more(prediction: Prediction) -> bool:
    """Whether there is anything to mend, or to find out."""
    return bool(prediction.unchecked) or _to_mend(prediction)


def looks_into(prediction: Prediction) -> bool:
    """Whether debug information could explain it."""
    if prediction.verdict == "loads":
        return False
    from ..advice.crcs import differing_symbols

    return bool(differing_symbols(prediction))


def _to_mend(prediction: Prediction) -> bool:
    return any(
        finding.level == "error" or (finding.level == "warning" and finding.rule in _TOLD)
        for finding in prediction.findings
    )
