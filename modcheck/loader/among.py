"""A load among other modules: what the stages look at that are about others than the module that is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .facts import Attempt, Prediction, Terms, Verdict
from .links import Links
from .visible import View


class LoadAmong(Attempt):
    """One attempt to load a module, after what is loaded before it.

    :ivar links: the module
    :ivar view: the exports that it sees
    :ivar loaded: names of the modules already loaded
    :ivar proprietary: those of them that taint the kernel as proprietary
    :ivar needs: the modules that are loaded before it because it needs them, first to last
    :ivar cycle: a module that it needs, and that needs it
    :ivar arguments: what it is given for its parameters
    :ivar dependencies: predictions for those of `needs` that are at hand
    :ivar rivals: those of them of which it is not certain that the first is refused first
    :ivar softdeps: those that modprobe tries before, and whose failure does not matter
    """

    def __init__(
        self,
        terms: Terms,
        view: View,
        *,
        loaded: frozenset[str],
        proprietary: frozenset[str],
        needs: tuple[str, ...],
        cycle: str | None = None,
        arguments: str = "",
        dependencies: Mapping[str, Prediction] = MappingProxyType({}),
        rivals: tuple[str, ...] = (),
        softdeps: tuple[tuple[str, Verdict], ...] = (),
    ) -> None:
        super().__init__(terms)
        self.links, self.view = view.links, view
        self.loaded, self.proprietary = loaded, proprietary
        self.needs, self.cycle, self.arguments = needs, cycle, arguments
        self.dependencies, self.rivals, self.softdeps = dependencies, rivals, softdeps

    @property
    def present(self) -> frozenset[str]:
        """Names of the modules that are there when it is loaded: all that are loaded already, and what it needs."""
        return self.view.visible.loaded.union(self.needs)

    @property
    def others(self) -> list[Links]:
        """Those of them whose files are at hand."""
        found = map(self.view.visible.at_hand, sorted(self.present - {self.links.name}))
        return [one.links for one in found if one]

    @property
    def knows_absent(self) -> bool:
        """Whether a symbol that nothing has is known not to be there: insmod sees but the kernel's own."""
        symbols = self.target.symbols
        return symbols is not None and (symbols.complete or (symbols.names_kernel and self.loader != "modprobe"))
