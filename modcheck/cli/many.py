"""One module or thousands on one kernel: who works on them, and the parts of all reports in their order.

Each is read and judged alone by one of several processes, which keeps of it what others ask (loader/alone.py). When
all are known, they are judged together. A module of which a report has more to say is read once more, unless there are
but few, and explained, again by several.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from ..errors import ModcheckError
from ..loader.alone import judge_alone
from ..loader.facts import Prediction
from ..loader.links import Alone
from ..loader.sets import predictions
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

Item = TypeVar("Item")

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


class _Explained:
    """Reports on predictions of which there is more to say."""

    def __init__(self, question: Question, predictions: Mapping[int, Prediction], looks: Collection[int]) -> None:
        """:param predictions: by their places in the call
        :param looks: the places of those for which debug information is read
        """
        self.question, self.predictions, self.looks = question, predictions, looks

    def __call__(self, places: Sequence[int]) -> list[tuple[str, ...]]:
        """The parts of some of them."""
        return [self.question.parts(self._advised(place)) for place in places]

    def _advised(self, place: int) -> Prediction:
        prediction = self.predictions[place]
        try:
            module = self.question.read(prediction.path)
        except ModcheckError:  # it is gone by now; what was judged stands
            return prediction
        return self.question.adviser.advised(prediction, module, look=place in self.looks)


def answer(question: Question, found: Sequence[Found], jobs: int | None) -> Answers:
    """All reports on the modules `found`.

    :param jobs: how many processes work on many; the answers are the same
    :raises ModcheckError: the target's table is broken
    """
    question.keeps = len(found) <= CHUNK
    question.target.expect(len(found))
    read: list[Alone | tuple[str, str]] = []
    with progress(len(found), "modules") as done:
        for some in spread(question.alone, _shares(found), jobs):
            read += some
            done(len(some))
    modules = [one for one in read if isinstance(one, Alone)]
    judged = iter(predictions(modules, question.walks, question.loaded))
    results: list[Result] = [next(judged) if isinstance(one, Alone) else one for one in read]
    answers = Answers(list(map(_fate, read)))
    more: dict[int, Prediction] = {}
    for place, result in enumerate(results):
        answers.sums.add(result, question.strict)
        if isinstance(result, Prediction) and has_more(result):
            more[place] = result
        else:
            answers.put(place, question.parts(result))
    looks = [place for place, prediction in more.items() if looks_into(prediction)]
    explained, shares = _Explained(question, more, looks[:LOOKED_INTO]), _shares(list(more))
    with progress(len(more), "reports") as done:
        for told, places in zip(spread(explained, shares, jobs), shares):
            for place, parts in zip(places, told):
                answers.put(place, parts)
            done(len(places))
    return answers


def _shares(items: Sequence[Item]) -> list[Sequence[Item]]:
    """What a process works on at a time."""
    return [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]


def _fate(one: Alone | tuple[str, str]) -> Fate:
    return Fate(one.links.path, one.name, one.error) if isinstance(one, Alone) else Fate(one[0], "", one[1])
