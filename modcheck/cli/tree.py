"""A tree of modules on one kernel: judged by several processes, in their order, none of them kept.

The modules of a call are a set: under modprobe one is loaded for another's sake. But whether one needs another shows
only when both have been read, and to keep the facts of thousands would take as much memory as there are modules. So
each is first judged alone, by the process that reads it. That is its prediction, if all that it imports is the kernel's
own. If it needs others, and all of these load alone, and each exports just what the kernel's table has for it, then the
set changes but the order of loading: what is left is to write that down. All others are judged once more when it is
known who exports what, and then read what they need.

Each module's part of every report is made where it was judged, and kept in a temporary file.
"""

from __future__ import annotations

import pickle
import tempfile
from array import array
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from ..loader.facts import Prediction
from ..loader.judge import Judge, assumed_in_order
from ..loader.modprobe import depth_first
from ..loader.visible import ModuleSet
from ..module import Export, Module, parse_module
from ..report import Result
from ..target.symvers import KERNEL
from .adviser import is_settled, looks_into
from .many import LOOKED_INTO, Answers, Fate, Group, Question, Sums, fate_of, groups
from .pool import progress, spread

#: so many modules a process takes at a time
_CHUNK = 32
#: of so many modules that others need the facts are kept by each process
_KEPT = 128


class Outline(NamedTuple):
    """What others need to know of a module that exports symbols, or that needs others."""

    exported: tuple[str, ...]
    """the names of what it exports"""
    exports: bytes
    """its exports, where the kernel's table has not just the same; pickled"""
    needs: tuple[str, ...] | None
    """the modules that it needs itself; None where it must be judged once more in any case"""
    alone: bytes
    """what its prediction says, pickled, where it loads and the set may still change it"""
    quiet: bool
    """whether it loads without leaving anything behind that the next one would see"""

    @property
    def is_open(self) -> bool:
        """Whether it is not reported yet."""
        return self.needs is None or bool(self.alone)


class Chunk(NamedTuple):
    """What a process makes of some modules."""

    fates: list[Fate]
    parts: list[tuple[str, ...] | None]
    """the parts of the reports; None for one that is not decided yet"""
    outlines: list[Outline | None]
    unexplained: list[bool]
    """whether debug information might explain it"""
    sums: Sums


class _Spool(Answers):
    """Answers of which the parts lie in a temporary file; some come later than others."""

    def __init__(self, formats: int) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, close() does
        self._places = [(array("Q"), array("Q")) for _ in range(formats)]

    def extend(self, chunk: Chunk) -> None:
        """The next modules; parts that are not there yet are put later."""
        for fate, parts in zip(chunk.fates, chunk.parts):
            self.fates.append(fate)
            for starts, lengths in self._places:
                starts.append(0)
                lengths.append(0)
            if parts is not None:
                self.put(len(self.fates) - 1, parts)
        self.sums.merge(chunk.sums)

    def close(self) -> None:
        self._file.close()

    def put(self, index: int, parts: Sequence[str]) -> None:
        """The parts of one module, in place of what was there."""
        for (starts, lengths), part in zip(self._places, parts):
            data = part.encode("utf-8", "surrogateescape")
            starts[index], lengths[index] = self._file.seek(0, 2), len(data)
            self._file.write(data)

    def parts(self, place: int) -> Iterator[str]:
        """All parts of one report."""
        for start, length in zip(*self._places[place]):
            self._file.seek(start)
            yield self._file.read(length).decode("utf-8", "surrogateescape")


def answer_in_parts(question: Question, found: Sequence[str | tuple[str, str]], jobs: int | None) -> Answers:
    """As `many.answer`, for modules that are not read all at once.

    :raises ModcheckError: the target's table is broken
    """
    answers = _Spool(len(question.contexts))
    chunks = [found[start : start + _CHUNK] for start in range(0, len(found), _CHUNK)]
    outlines: list[Outline | None] = []
    unexplained: list[int] = []
    # what all need is worked out before there are processes
    alone = question.judge(ModuleSet())
    alone.visible.prepare()
    with progress(len(found), "modules") as done:
        for chunk in spread(_Alone(question, alone), chunks, jobs):
            unexplained += [len(answers.fates) + place for place, one in enumerate(chunk.unexplained) if one]
            outlines += chunk.outlines
            answers.extend(chunk)
            done(len(chunk.fates))
    fates = answers.fates
    together = groups([(one.path, "" if one.error else one.name) for one in fates])
    again = {place for place, one in enumerate(outlines) if one and one.is_open}
    if len(together) == 1:
        again -= _settle(question, answers, outlines, _Files(question, fates, outlines, together[0].members))
    in_set = _InSet(question, found, fates, outlines, together)
    chunks_again = list(_chunks(again, together))
    if len(together) == 1 and again:
        in_set.judge(0).visible.prepare()
    with progress(len(again), "modules that need others") as done:
        for chunk, (_, places) in zip(spread(in_set, chunks_again, jobs), chunks_again):
            for place, parts, one in zip(places, chunk.parts, chunk.unexplained):
                answers.put(place, parts or ())
                unexplained += [place] if one else []
            answers.sums.merge(chunk.sums)
            done(len(places))
    for group, places in _chunks(set(sorted(unexplained)[:LOOKED_INTO]), together):
        for place in places:
            module = question.read(found[place])
            if isinstance(module, Module):
                prediction = in_set.judge(group).judge(module)
                answers.put(place, question.parts(question.adviser.advised(prediction, look=True)))
    return answers


def _chunks(places: Collection[int], together: Sequence[Group]) -> Iterator[tuple[int, list[int]]]:
    """The places of modules that are judged in one set, a process' share at a time, with that set's number."""
    for number, group in enumerate(together):
        wanted = [place for place in group.judged if place in places]
        yield from ((number, wanted[start : start + _CHUNK]) for start in range(0, len(wanted), _CHUNK))


@dataclass
class _Alone:
    """Judges each module alone, and says of those that the set may change what it takes to know."""

    question: Question
    judge: Judge

    def __call__(self, found: Sequence[str | tuple[str, str]]) -> Chunk:
        chunk = Chunk([], [], [], [], Sums())
        for one in found:
            module = self.question.read(one)
            if isinstance(module, tuple):
                _report(self.question, module, chunk)
                continue
            needs = self._needs(module) if self.judge.loader == "modprobe" else ()
            prediction = self.judge.judge(module) if needs is not None else None
            if prediction and needs and (prediction.verdict != "loads" or not is_settled(prediction)):
                needs = None
            outline = None
            if needs is None or needs or module.exports:
                outline = self._outline(module, needs, prediction)
            if prediction and not needs and needs is not None:
                _report(self.question, prediction, chunk, outline)
            else:
                _enter(chunk, fate_of(module), None, outline)
        return chunk

    def _outline(self, module: Module, needs: tuple[str, ...] | None, prediction: Prediction | None) -> Outline:
        quiet = (
            prediction is not None
            and prediction.verdict == "loads"
            and prediction.spent <= self.judge.already
            and not prediction.proprietary
        )
        return Outline(
            exported=tuple(one.name for one in module.exports),
            exports=b"" if self._is_in_table(module) else pickle.dumps(module.exports),
            needs=needs,
            alone=pickle.dumps(_essence(prediction)) if needs and prediction else b"",
            quiet=quiet,
        )

    def _needs(self, module: Module) -> tuple[str, ...] | None:
        """The modules that it needs by the kernel's tables; None where these leave anything open."""
        visible = self.judge.visible
        view = visible.view_of(module)
        if module.error or not (view.agrees or (view.plain and view.plain.has_all(module.imports))):
            rows = [view.find(name) for name in module.imports]
            if any(not row or row[0].owner != KERNEL for row in rows):
                return None
        order = self.judge.modprobe.order(module)
        modules = self.question.target.modules
        if modules is not None:
            return None if order.names or any(modules.softdeps(module.name)) else ()
        return order.names

    def _is_in_table(self, module: Module) -> bool:
        """Whether the kernel's table has for the module just what it exports."""
        symbols = self.question.target.symbols
        if symbols is None or self.question.target.modules is not None:
            return not module.exports
        return all(symbols.find(one.name) == (one,) for one in module.exports)


#: what a prediction that loads, and has nothing to mend, says beside its verdict
_SAID = ("log", "findings", "assumed", "compared", "insmod_refuses")


def _essence(prediction: Prediction) -> tuple[str, str, list[object]]:
    """What a report shows of such a prediction, in plain values: to pickle all of it takes as long as judging."""
    module = prediction.module
    return module.path, module.name, [getattr(prediction, name) for name in _SAID]


@cache
def _no_module() -> Module:
    return parse_module(b"", "")


def _restored(essence: tuple[str, str, list[Any]], needs: tuple[str, ...], given: Collection[str]) -> Prediction:
    """The prediction again, in a set of modules that change nothing but the order; its module has a path and a name.

    :param needs: what is loaded before it, in the set
    :param given: the names of the set
    """
    path, name, (log, findings, assumed, compared, insmod_refuses) = essence
    return Prediction(
        module=replace(_no_module(), path=path, error=None, name=name),
        verdict="loads",
        errno=None,
        message=None,
        insmod_message=None,
        log=log,
        first=True,
        earlier_unknown=(),
        findings=findings,
        unchecked=(),
        needs=needs,
        assumed=assumed_in_order(assumed, needs, given),
        compared=compared,
        insmod_refuses=insmod_refuses,
    )


@dataclass
class _InSet:
    """Judges modules in sets that are known by now."""

    question: Question
    found: Sequence[str | tuple[str, str]]
    fates: Sequence[Fate]
    outlines: Sequence[Outline | None]
    together: Sequence[Group]
    _last: tuple[int, Judge] | None = None

    def judge(self, number: int) -> Judge:
        """Who judges in the set of that number; the last is kept."""
        if self._last is None or self._last[0] != number:
            files = _Files(self.question, self.fates, self.outlines, self.together[number].members)
            files.index()
            self._last = number, self.question.judge(files)
        return self._last[1]

    def __call__(self, share: tuple[int, Sequence[int]]) -> Chunk:
        number, places = share
        chunk = Chunk([], [], [], [], Sums())
        for place in places:
            module = self.question.read(self.found[place])
            _report(self.question, module if isinstance(module, tuple) else self.judge(number).judge(module), chunk)
        return chunk


def _report(question: Question, result: Result, chunk: Chunk, outline: Outline | None = None) -> None:
    """Enter the parts of a module that is decided."""
    if isinstance(result, Prediction):
        result = question.adviser.advised(result, look=False)
    _enter(chunk, fate_of(result), question.parts(result), outline)
    chunk.unexplained[-1] = isinstance(result, Prediction) and looks_into(result)
    chunk.sums.add(result, question.strict)


def _enter(chunk: Chunk, fate: Fate, parts: tuple[str, ...] | None, outline: Outline | None) -> None:
    chunk.fates.append(fate)
    chunk.parts.append(parts)
    chunk.outlines.append(outline)
    chunk.unexplained.append(False)


class _Files(ModuleSet):
    """A set of modules that are read when they are needed, and not all kept."""

    def __init__(
        self,
        question: Question,
        fates: Sequence[Fate],
        outlines: Sequence[Outline | None],
        members: Sequence[int],
    ) -> None:
        """:param members: the places of the set's modules; of two of one name the last counts"""
        super().__init__()
        self._question = question
        chosen = {fates[place].name: place for place in members}
        self._paths = {name: fates[place].path for name, place in chosen.items()}
        self.outlines = {name: one for name, place in chosen.items() if (one := outlines[place])}
        self._kept: OrderedDict[str, Module | None] = OrderedDict()
        symbols = Counter(symbol for one in self.outlines.values() for symbol in one.exported)
        #: whether every symbol is exported by one module, and as the kernel's table has it
        self.as_in_table = (
            not any(one.exports for one in self.outlines.values()) and max(symbols.values(), default=1) == 1
        )
        self.exports = {}
        #: what is loaded before each module of which that is known by now
        self.orders: dict[str, tuple[str, ...]] = {}

    def index(self) -> None:
        """Find out what they export."""
        exports = (self._exports(one) for one in self.outlines.values())
        for export in chain.from_iterable(exports):
            self.exports.setdefault(export.name, []).append(export)

    def _exports(self, outline: Outline) -> tuple[Export, ...]:
        if outline.exports:
            found: tuple[Export, ...] = pickle.loads(outline.exports)
            return found
        symbols = self._question.target.symbols
        return tuple(row for name in outline.exported for row in (symbols.find(name) if symbols else ()))

    @property
    def names(self) -> Collection[str]:
        return self._paths.keys()

    def needs(self, name: str) -> Sequence[str] | None:
        """The modules that one needs itself; None where it is not in the set, or all that comes before it is known."""
        if name not in self._paths or name in self.orders:
            return None
        outline = self.outlines.get(name)
        return (outline.needs or ()) if outline else ()

    def is_quiet(self, name: str) -> bool:
        """Whether it loads and leaves nothing behind that the next one would see, as those do that the set lacks."""
        outline = self.outlines.get(name)
        return name not in self._paths or (outline is not None and outline.quiet and outline.needs is not None)

    def module(self, name: str) -> Module | None:
        """The module of a name; None where it is not in the set."""
        if name not in self._kept:
            path = self._paths.get(name)
            found = self._question.read(path) if path is not None else None
            self._kept[name] = found if isinstance(found, Module) else None
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[name]


def _settle(question: Question, answers: _Spool, outlines: Sequence[Outline | None], files: _Files) -> set[int]:
    """Report on the modules for which the set changes but the order; their places."""
    settled = set()
    for place, (fate, outline) in enumerate(zip(answers.fates, outlines)):
        order = _order(fate, outline, files) if outline and outline.is_open else None
        if outline is None or order is None:
            continue
        prediction = _restored(pickle.loads(outline.alone), order, files.names)
        answers.put(place, question.parts(prediction))
        answers.sums.add(prediction, question.strict)
        settled.add(place)
    return settled


def _order(fate: Fate, outline: Outline, files: _Files) -> tuple[str, ...] | None:
    """What is loaded before a module; None where more than the order may differ from what it was judged by."""
    if outline.needs is None or not files.as_in_table:
        return None
    order = depth_first(fate.name, outline.needs, files.needs, lambda name: files.orders.get(name, ()))
    if order.cycle or not all(map(files.is_quiet, order.names)):
        return None
    files.orders[fate.name] = order.names
    return order.names
