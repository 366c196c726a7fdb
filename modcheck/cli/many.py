"""Many modules on one kernel: what is asked of each, and the parts of all reports in their order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ..errors import ModcheckError
from ..loader.facts import Prediction
from ..loader.judge import Judge
from ..loader.visible import ModuleSet
from ..module import Module
from ..report import Context, Result, Totals, format_named
from ..target import Target
from .adviser import Adviser, looks_into
from .common import read_one, status_of

#: debug information is read of so many modules of a call: that takes seconds each
LOOKED_INTO = 10
#: so many modules at most are read at once and kept, in one process
TOGETHER = 128


class Question:
    """What is asked of each module: the kernel, how modules are loaded, and which reports are made.

    :ivar loading: keyword arguments of `predict`: loader, loaded, force_…, arguments, ignore
    :ivar contexts: formats, each with its context
    """

    def __init__(
        self,
        target: Target,
        adviser: Adviser,
        loading: Mapping[str, Any],
        strict: bool,
        contexts: Sequence[tuple[str, Context]],
    ) -> None:
        self.target, self.adviser, self.loading = target, adviser, loading
        self.strict, self.contexts = strict, contexts

    @cached_property
    def without(self) -> frozenset[str]:
        """What of a module this kernel does not ask for."""
        return frozenset() if any(one.key for one in self.target.certificates) else frozenset(("digests",))

    def judge(self, modules: ModuleSet) -> Judge:
        """Who answers for modules of this set."""
        return Judge(self.target, modules=modules, already=None, **self.loading)

    def read(self, found: str | tuple[str, str]) -> Module | tuple[str, str]:
        """The module at a path; path and reason where it cannot be read."""
        if isinstance(found, tuple):
            return found
        try:
            return read_one(found, self.without)
        except ModcheckError as error:
            return found, error.reason

    def parts(self, result: Result) -> tuple[str, ...]:
        """The part of a module in each report."""
        return tuple(format_named(name).entry(result, context) for name, context in self.contexts)


class Fate(NamedTuple):
    """What is left of a module once it is reported."""

    path: str
    name: str
    error: str | None
    """why it could not be read, or is no module"""


class Sums:
    """What is left of all of them.

    :ivar rules: all that found anything, or could not decide
    """

    def __init__(self) -> None:
        self.totals = Totals()
        self.statuses: set[int] = set()
        self.rules: set[str] = set()

    def add(self, result: Result, strict: bool) -> None:
        self.totals.add(result)
        self.statuses.add(status_of(result, strict))
        if isinstance(result, Prediction):
            self.rules.update(finding.rule for finding in result.findings)
            self.rules.update(unknown.rule for unknown in result.unchecked)

    def merge(self, other: Sums) -> None:
        self.totals.merge(other.totals)
        self.statuses |= other.statuses
        self.rules |= other.rules


class Answers:
    """The parts of all reports, in the order of the modules, and what is left of these.

    :ivar fates: of each module
    :ivar sums: over all of them
    """

    def __init__(self) -> None:
        self.fates: list[Fate] = []
        self.sums = Sums()
        self._parts: list[Sequence[str]] = []

    def append(self, result: Result, parts: Sequence[str], strict: bool) -> None:
        """The next module's parts."""
        self.fates.append(fate_of(result))
        self.sums.add(result, strict)
        self._parts.append(parts)

    def close(self) -> None:
        """Let go of the parts."""

    def parts(self, place: int) -> Iterator[str]:
        """All parts of one report."""
        return (parts[place] for parts in self._parts)


class Group(NamedTuple):
    """Modules that are judged in one set, by their places."""

    judged: list[int]
    members: list[int]
    """the set; of two of one name the last counts"""


def groups(modules: Sequence[tuple[str, str]]) -> list[Group]:
    """The sets that modules are judged in, each given by path and name (none for what is no module).

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


def answer(question: Question, found: Sequence[str | tuple[str, str]], jobs: int | None) -> Answers:
    """All reports on the modules `found`: paths, and pairs of path and reason for what cannot be read.

    :param jobs: how many processes work on many; the answers are the same
    :raises ModcheckError: the target's table is broken
    """
    if len(found) > TOGETHER:
        from .tree import answer_in_parts

        return answer_in_parts(question, found, jobs)
    answers = Answers()
    read = list(map(question.read, found))
    looks = 0
    for one, judge in zip(read, _judges(question.judge, sets(read))):
        result: Result = one if isinstance(one, tuple) else judge.judge(one)
        if isinstance(result, Prediction):
            look = looks < LOOKED_INTO and looks_into(result)
            looks += look
            result = question.adviser.advised(result, look=look)
        answers.append(result, question.parts(result), question.strict)
    return answers


def sets(read: Sequence[Module | tuple[str, str]]) -> list[ModuleSet]:
    """The set that each of the modules is judged in."""
    found: dict[int, ModuleSet] = {}
    for group in groups([(one.path, one.name) if isinstance(one, Module) else (one[0], "") for one in read]):
        members = [one for place in group.members if isinstance(one := read[place], Module)]
        found.update(dict.fromkeys(group.judged, ModuleSet(members)))
    return [found[place] for place in range(len(read))]


def _judges(judge: Callable[[ModuleSet], Judge], together: Sequence[ModuleSet]) -> list[Judge]:
    """Who judges each of the modules: one for each set."""
    found = {one: judge(one) for one in dict.fromkeys(together)}
    return [found[one] for one in together]


def predictions(
    modules: Sequence[Module],
    together: Sequence[ModuleSet],
    target: Target,
    loaded: Sequence[Module | str],
    loading: Mapping[str, Any],
    *,
    until_refused: bool = False,
) -> Iterator[Prediction]:
    """Of each of the modules, in its set, as `loader.predict_all`.

    :param together: the `sets` of the modules, which are the same on all kernels
    :param loading: the loader and what it is told, by the names of the options
    """
    known: dict[str, Any] = {"arguments": "", "ignore": (), "already": None, **loading}

    def judge(one: ModuleSet) -> Judge:
        return Judge(target, modules=one, loaded=loaded, until_refused=until_refused, **known)

    for module, one in zip(modules, _judges(judge, together)):
        yield one.judge(module)


def fate_of(result: Result | Module) -> Fate:
    """What is left of a module, judged or not."""
    if isinstance(result, tuple):
        return Fate(result[0], "", result[1])
    module = result.module if isinstance(result, Prediction) else result
    return Fate(module.path, module.name, module.error)
