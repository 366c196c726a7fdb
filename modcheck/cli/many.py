"""One module or thousands on one kernel: who works on them, and the parts of all reports in their order.

Each is read and judged alone by one of several processes, which keeps of it what others ask (loader/alone.py). When
all are known, they are judged together, and the parts of the reports made, again by several. A module of which a
report has more to say is then read once more, unless there are but few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ..errors import ModcheckError
from ..loader.alone import judge_alone
from ..loader.facts import Prediction
from ..loader.links import Alone
from ..loader.sets import Group, Sets
from ..loader.walk import Walk, walks_of
from ..module import Module
from ..report import Context, Result, Totals, format_named
from ..target import Target
from .adviser import Adviser, has_more, looks_into
from .common import read_one, status_of
from .pool import progress, spread

#: debug information is read of so many modules of a call: that takes seconds each
LOOKED_INTO = 10
#: so many modules a process takes at a time
CHUNK = 32

#: a path, or path and reason of what cannot be read
Found = str | tuple[str, str]


class Question:
    """What is asked of each module: the kernel, how modules are loaded, and which reports are made.

    :ivar keeps: whether modules that are read are kept, for reports that have more to say of them
    """

    def __init__(
        self,
        target: Target,
        adviser: Adviser,
        loading: Mapping[str, Any],
        loaded: Sequence[Module | str],
        contexts: Sequence[tuple[str, Context]],
    ) -> None:
        """:param loading: the loader and what it is told, as `walks_of` takes it
        :param contexts: formats, each with its context
        """
        self.target, self.adviser, self.contexts = target, adviser, contexts
        self.loaded, self.strict = loaded, bool(loading.get("strict"))
        self.walks: tuple[Walk, ...] = walks_of(target, **loading)
        self._kept: dict[str, Module] = {}
        self.keeps = False

    @cached_property
    def without(self) -> frozenset[str]:
        """What of a module this kernel does not ask for."""
        digests = any(one.key for one in self.target.certificates)
        parameters = self.walks[0].terms.arguments or self.target.modules or self.target.has_boot_options
        return frozenset((*(() if digests else ("digests",)), *(() if parameters else ("parameters",))))

    def read(self, path: str) -> Module:
        """The module at a path.

        :raises UnreadableError: it cannot be read
        """
        if path in self._kept:
            return self._kept[path]
        module = read_one(path, self.without)
        if self.keeps:
            self._kept[path] = module
        return module

    def alone(self, found: Sequence[Found]) -> list[Alone | tuple[str, str]]:
        """What becomes of some modules alone; path and reason of what cannot be read."""
        return [one if isinstance(one, tuple) else self._alone(one) for one in found]

    def _alone(self, path: str) -> Alone | tuple[str, str]:
        try:
            module = self.read(path)
        except ModcheckError as error:
            return path, error.reason
        return judge_alone(module, self.walks)

    def report(self, prediction: Prediction, *, look: bool) -> tuple[Prediction, tuple[str, ...]]:
        """The prediction with what explains it, and its part in each report.

        :param look: read debug information, where that may explain it
        """
        if has_more(prediction):
            module = self.read(prediction.path)
            prediction = self.adviser.advised(prediction, module, look=look)
        return prediction, self.parts(prediction)

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

    def __init__(self, fates: Sequence[Fate]) -> None:
        self.fates, self.sums = fates, Sums()
        self._parts: list[Sequence[str]] = [()] * len(fates)

    def put(self, place: int, parts: Sequence[str]) -> None:
        """The parts of one module."""
        self._parts[place] = parts

    def parts(self, place: int) -> Iterator[str]:
        """All parts of one report."""
        return (parts[place] for parts in self._parts)


class _Share(NamedTuple):
    """Modules that a process judges at a time, by their places among those that were read."""

    group: int
    places: Sequence[int]
    looks: int
    """debug information may be read of so many"""


class _Told(NamedTuple):
    """What became of them."""

    parts: list[tuple[str, ...]]
    explained: list[bool | None]
    """whether debug information was read; None where it would not explain anything"""
    sums: Sums


class _Together:
    """Judges modules together, and reports on them."""

    def __init__(self, question: Question, modules: Sequence[Alone]) -> None:
        self.question, self.modules = question, modules
        self.sets = Sets(modules, question.walks, question.loaded)

    def __call__(self, share: _Share) -> _Told:
        told = _Told([], [], Sums())
        looks = share.looks
        for place in share.places:
            prediction = self.sets.together(share.group).predict(self.modules[place])
            wanted = looks_into(prediction)
            look = wanted and looks > 0
            looks -= look
            prediction, parts = self.question.report(prediction, look=look)
            told.parts.append(parts)
            told.explained.append(look if wanted else None)
            told.sums.add(prediction, self.question.strict)
        return told


def answer(question: Question, found: Sequence[Found], jobs: int | None) -> Answers:
    """All reports on the modules `found`.

    :param jobs: how many processes work on many; the answers are the same
    :raises ModcheckError: the target's table is broken
    """
    question.keeps = len(found) <= CHUNK
    question.target.expect(len(found))
    read: list[Alone | tuple[str, str]] = []
    with progress(len(found), "modules") as done:
        for some in spread(question.alone, [found[at : at + CHUNK] for at in range(0, len(found), CHUNK)], jobs):
            read += some
            done(len(some))
    answers = Answers(list(map(_fate, read)))
    places = []
    for place, one in enumerate(read):
        if isinstance(one, Alone):
            places.append(place)
        else:
            answers.put(place, question.parts(one))
            answers.sums.add(one, question.strict)
    modules = [one for one in read if isinstance(one, Alone)]
    together = _Together(question, modules)
    shares = list(_shares(together.sets.groups))
    looks, left = LOOKED_INTO, []
    with progress(len(modules), "modules together") as done:
        for told, share in zip(spread(together, shares, jobs), shares):
            for place, parts, explained in zip(share.places, told.parts, told.explained):
                answers.put(places[place], parts)
                looks -= explained is True
                left += [(place, share.group)] if explained is False else []
            answers.sums.merge(told.sums)
            done(len(share.places))
    for place, group in sorted(left)[:looks]:
        answers.put(places[place], together(_Share(group, [place], 1)).parts[0])
    return answers


def _shares(sets: Sequence[Group]) -> Iterator[_Share]:
    """The modules of each set, so many at a time; debug information is read for those of the first share at once."""
    looks = LOOKED_INTO
    for number, group in enumerate(sets):
        for at in range(0, len(group.judged), CHUNK):
            yield _Share(number, group.judged[at : at + CHUNK], looks)
            looks = 0


def _fate(one: Alone | tuple[str, str]) -> Fate:
    return Fate(one.links.path, one.name, one.error) if isinstance(one, Alone) else Fate(one[0], "", one[1])
