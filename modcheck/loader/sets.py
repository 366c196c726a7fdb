"""The sets that the modules of a call are judged in: under modprobe one is loaded for another's sake."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..module.facts import Module
from .facts import Prediction
from .links import Alone
from .together import Together
from .walk import Walk


class Group(NamedTuple):
    """Modules that are judged in one set, by their places."""

    judged: list[int]
    members: list[int]
    """the set; of two of one name the last counts"""


def groups(modules: Sequence[tuple[str, str]]) -> list[Group]:
    """The sets of modules that are each given by path and name (none for what is no module).

    One set, where all have names of their own. Else one for each folder: there its own modules go before those of the
    same names elsewhere, as where a driver's modules lie built for one kernel beside those for another.
    """
    places = [place for place, (_, name) in enumerate(modules) if name]
    names = Counter(modules[place][1] for place in places)
    if max(names.values(), default=0) < 2:
        return [Group(list(range(len(modules))), places)]
    folders: dict[str, list[int]] = {}
    for place, (path, _) in enumerate(modules):
        folders.setdefault(os.path.dirname(path), []).append(place)
    return [Group(own, sorted(places, key=set(own).__contains__)) for own in folders.values()]


class Sets:
    """Modules on one kernel, each to be judged in its set.

    :ivar groups: the sets
    """

    def __init__(
        self,
        modules: Sequence[Module | Alone],
        walks: Sequence[Walk],
        loaded: Collection[Module | str] = (),
        already: Collection[str] | None = None,
    ) -> None:
        """:param walks, loaded, already: as `Together` takes them"""
        self._modules, self._terms = modules, (loaded, already)
        self._walks = walks
        named = [one.links if isinstance(one, Alone) else one for one in modules]
        self.groups = groups([(one.path, "" if one.error else one.name) for one in named])
        self._last: tuple[int, Together] | None = None

    def together(self, number: int) -> Together:
        """The set of that number; the last is kept."""
        if self._last is None or self._last[0] != number:
            members = [self._modules[place] for place in self.groups[number].members]
            self._last = number, Together(self._walks, members, *self._terms)
        return self._last[1]

    def predictions(self) -> list[Prediction]:
        """Of all of them, in their order."""
        found = {
            place: self.together(number).predict(self._modules[place])
            for number, group in enumerate(self.groups)
            for place in group.judged
        }
        return [found[place] for place in range(len(self._modules))]
