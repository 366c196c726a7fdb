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


def predictions(
    modules: Sequence[Module | Alone], walks: Sequence[Walk], loaded: Collection[Module | str] = ()
) -> list[Prediction]:
    """What one kernel does with each of the modules, in its set.

    :param walks, loaded: as `Together` takes them
    """
    named = [one.links if isinstance(one, Alone) else one for one in modules]
    found: dict[int, Prediction] = {}
    for group in groups([(one.path, "" if one.error else one.name) for one in named]):
        together = Together(walks, [modules[place] for place in group.members], loaded)
        found.update((place, together.predict(modules[place])) for place in group.judged)
    return [found[place] for place in range(len(modules))]
