"""Modules together on one kernel: what is loaded before each, and the prediction that comes of it.

Each has been judged alone (alone.py). What is left are the stages that look at other modules: the answers of both, in
the kernel's order, are the prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter, itemgetter

from ..module.facts import Module
from ..target.facts import Target
from . import needs as facts_needed
from .alone import judge_alone
from .among import LoadAmong
from .errnos import message
from .facts import INSTALLED, Answer, Finding, LogLine, Prediction, Terms, Unknown, Verdict
from .links import Alone, Links, Own
from .order import Orders
from .visible import View, Visible
from .walk import Walk

#: the rules for which a table of another build does not count
_BY_TABLE = ("module-layout", "unknown-symbol", "symbol-version", "gpl-only-symbol", "namespace", "duplicate-export")


class Together:
    """One kernel, and modules that are given to it together; see `predict` for the parameters.

    :ivar already: what the kernel prints only once, and has printed before any of them is loaded
    :ivar proprietary: those that are loaded already and taint it as proprietary
    """

    def __init__(
        self,
        walks: Sequence[Walk],
        given: Iterable[Module | Alone] = (),
        loaded: Collection[Module | str] = (),
        already: Collection[str] | None = None,
    ) -> None:
        self.walks, self.terms = walks, walks[0].terms
        judged = partial(judge_alone, walks=walks)
        there = [one if isinstance(one, str) else judged(one) for one in loaded]
        self.visible = Visible(self.terms.target, self.terms.loader == "modprobe", given, there, judged)
        self.orders = Orders(self.visible)
        self._known: dict[tuple[Alone, int, frozenset[str], frozenset[str]], Prediction] = {}
        target = self.terms.target
        self._configured = self.terms.loader == "modprobe" and (target.modules is not None or target.has_boot_options)
        self._assumed = tuple(_assumed_of_all(self.terms))
        self._loaded = self.visible.loaded
        self.already, self.proprietary = frozenset(already or ()), frozenset[str]()
        present = [one for one in there if not isinstance(one, str)]
        if already is None or any(one.links.proprietary for one in present):
            for one in present:
                self._arrive(one, already is None)

    def _arrive(self, one: Alone, prints: bool) -> None:
        """What is left behind by a module that is loaded already: it is judged as it was when it came."""
        self._loaded = self.visible.loaded - {one.name}
        prediction = self.predict(one)
        self._loaded = self.visible.loaded
        if prediction.proprietary:
            self.proprietary |= {one.name}
        if prints:
            self.already |= prediction.spent

    def predict(self, one: Module | Alone) -> Prediction:
        """What the kernel does with a module; where its version is not known, only what every version agrees on."""
        alone = self.visible.alone(one)
        return _agreed([self._judge(alone, place) for place in range(len(self.walks))])

    def _judge(self, one: Alone, version: int) -> Prediction:
        """What becomes of it, and of what modprobe loads before it: one after the other, in its order.

        :param version: the place of the kernel's version among `walks`
        """
        already, proprietary = self.already, self.proprietary
        order = self.orders.order(one)
        judged: dict[str, Prediction] = {}
        for name in self.orders.tried_before(one):
            if other := self.visible.member(name):
                before = judged[name] = self._by_itself(other, version, already, proprietary)
                already |= before.spent
                proprietary |= {other.name} if before.proprietary else frozenset()
        if not (judged or order.cycle or self.terms.arguments):
            return self._by_itself(one, version, already, proprietary)
        dependencies = {name: judged[name] for name in order.names if name in judged}
        load = self._load(
            one,
            version,
            proprietary,
            arguments=self.terms.arguments,
            cycle=order.cycle,
            dependencies=dependencies,
            rivals=() if order.known else self._rivals(dependencies),
            softdeps=tuple([(name, found.verdict) for name, found in judged.items() if name not in dependencies]),
        )
        return self._decided(load, one.by_version[version], version, already)

    def _by_itself(self, one: Alone, version: int, already: frozenset[str], proprietary: frozenset[str]) -> Prediction:
        """What becomes of a module before which nothing is left to load, and that is given nothing; others may ask for
        it as well."""
        key = one, version, already, proprietary
        if key not in self._known:
            load = self._load(one, version, proprietary)
            self._known[key] = self._decided(load, one.by_version[version], version, already)
        return self._known[key]

    def _rivals(self, dependencies: Mapping[str, Prediction]) -> tuple[str, ...]:
        """Names of refused ones of which it is not certain that the first is met first, and that differ from it."""
        refused = {name: one for name, one in dependencies.items() if one.verdict == "refused"}
        if len(refused) < 2:
            return ()
        first = next(iter(refused))
        told = refused[first].errno, refused[first].log
        differ = [name for name, one in refused.items() if (one.errno, one.log) != told]
        others = [name for name in differ if not self._after(name, first)]
        return (first, *others) if others else ()

    def _after(self, name: str, first: str) -> bool:
        """Whether a module needs another."""
        member = self.visible.member(name)
        return member is not None and first in self.orders.order(member).names

    def _load(
        self,
        one: Alone,
        version: int,
        proprietary: frozenset[str],
        *,
        arguments: str = "",
        cycle: str | None = None,
        dependencies: Mapping[str, Prediction] | None = None,
        rivals: tuple[str, ...] = (),
        softdeps: tuple[tuple[str, Verdict], ...] = (),
    ) -> LoadAmong:
        links = one.by_version[version].links
        needs = self.orders.order(one).names
        return LoadAmong(
            self.walks[version].terms,
            View(self.visible, links),
            loaded=self._loaded,
            proprietary=proprietary,
            needs=needs,
            cycle=cycle,
            arguments=self._arguments(links, arguments),
            dependencies=dependencies or {},
            rivals=rivals,
            softdeps=softdeps,
        )

    def _arguments(self, links: Links, given: str) -> str:
        """What a module is given for its parameters: modprobe adds what its own and the boot configuration say."""
        if not self._configured:
            return given
        target = self.terms.target
        words = [*target.boot_parameters(links.name), given]
        if target.modules:
            words.insert(0, target.modules.modprobe.options(links.name))
        return " ".join(word for word in words if word)

    def _decided(self, load: LoadAmong, own: Own, version: int, already: frozenset[str]) -> Prediction:
        """What becomes of this load, as often as the loader tries.

        Whatever finit_module(2) answered, busybox tries init_module(2) as well. A compressed file is handed to the
        kernel as it is at first, which refuses it without a line unless it can decompress it. modutils/modutils.c of
        busybox 1.37.
        """
        first = self._walk(load, own, version, already)
        twice = load.loader == "busybox" and first.verdict == "refused" and load.version.since(3, 8)
        if not (twice and load.links.decoded):
            return first
        second = self._walk(load, own, version, first.spent)
        return replace(second, log=first.log + second.log, findings=first.findings)

    def _walk(self, load: LoadAmong, own: Own, version: int, already: frozenset[str]) -> Prediction:
        """The answers of all stages in the kernel's order, and what they come to."""
        walk, links = self.walks[version], load.links
        ignore = walk.terms.ignore
        steps: list[tuple[int, Iterable[Answer]]] = list(own.answers.items())
        steps += [
            (one.place, one.stage(load)) for one in walk.among if one.is_concerned is None or one.is_concerned(links)
        ]
        findings: list[Finding] = []
        unchecked: list[Unknown] = []
        lines: list[str] = []
        spent = already
        refusing: Finding | None = None
        earlier: tuple[str, ...] = ()
        for _, answers in sorted(steps, key=_PLACE):
            found: list[Finding] = []
            for answer in answers:
                if ignore and answer.rule in ignore:
                    answer = _ignored(answer)
                if isinstance(answer, Finding):
                    found.append(answer)
                elif answer not in unchecked:
                    unchecked.append(answer)
            if not found:
                continue
            findings += found
            errors = [one for one in found if one.level == "error"]
            if refusing is None:
                printed, spent = _printed(found, spent, load)
                lines += printed
                refusing = _last([one for one in errors if not one.ignored])
                if refusing and unchecked:
                    earlier = tuple(dict.fromkeys(one.rule for one in unchecked if not one.ignored))
            end = next(filter(walk.ends, errors), None)
            if end and end.ignored:
                unchecked.append(Unknown(end.rule, "nothing behind it can be judged in a file like this"))
            if end or (refusing and refusing.rule == "arch"):
                break
        errno = refusing.errno if refusing else None
        open_questions = [one for one in unchecked if not one.ignored]
        needs = () if refusing and walk.terms.until_refused else load.needs
        return Prediction(
            path=links.path,
            name=links.name,
            error=links.error,
            verdict="refused" if refusing else "unknown" if open_questions else "loads",
            errno=errno,
            message=message(errno, load.loader) if errno else None,
            insmod_message=message(errno, "insmod") if errno else None,
            log=tuple(lines),
            first=not earlier,
            earlier_unknown=earlier,
            findings=tuple(findings),
            unchecked=tuple(unchecked),
            needs=needs,
            assumed=(*self._assumed, *own.assumed, *self._installed(needs)),
            compared=_compared(load, unchecked),
            failed_in=str(refusing.details["failed_in"]) if refusing and refusing.rule == "dependency" else None,
            insmod_refuses=bool(needs) and load.loader == "modprobe" and refusing is None,
            spent=spent,
            proprietary=links.proprietary or any(one.rule == "proprietary-taint" for one in findings),
        )

    def _installed(self, needs: Sequence[str]) -> tuple[str, ...]:
        """What is assumed of the modules that are needed and not at hand."""
        names = [name for name in needs if self.visible.module(name) is None]
        return (INSTALLED + ", ".join(names),) if names and self.terms.loader == "modprobe" else ()


def _agreed(predictions: Sequence[Prediction]) -> Prediction:
    """What kernels of several versions agree on."""
    if len(predictions) == 1:
        return predictions[0]
    refused = [one for one in predictions if one.verdict == "refused"]
    if len(refused) == len(predictions):
        same = all((one.errno, one.log) == (refused[0].errno, refused[0].log) for one in refused)
        earlier = refused[0].earlier_unknown if same else (*refused[0].earlier_unknown, "kernel-version")
        return replace(refused[0], first=not earlier, earlier_unknown=earlier)
    others = [one for one in predictions if one.verdict != "refused"]
    rules = dict.fromkeys(finding.rule for one in refused for finding in one.findings if finding.level == "error")
    unchecked = (*others[0].unchecked, *(Unknown(rule, facts_needed.VERSION) for rule in rules))
    return replace(others[0], verdict="unknown" if refused else others[0].verdict, unchecked=unchecked)


def _ignored(answer: Answer) -> Answer:
    """With the user's word that its rule does not decide."""
    return replace(answer, ignored=True) if isinstance(answer, Finding) else answer._replace(ignored=True)


def _assumed_of_all(terms: Terms) -> list[str]:
    """What is assumed of the target, whatever the module."""
    target: Target = terms.target
    tied = target.tied
    assumed = []
    if tied and "stated" in tied.by:
        assumed.append(f"{tied.table} is of the kernel that runs (--same-build)")
    elif tied and tied.state == "assumed":
        assumed.append(f"{tied.table} is of the kernel that runs")
    assumed += [] if target.cmdline is not None else ["empty kernel command line"]
    assumed += [] if target.lockdown or target.boot_options("lockdown") else ["no lockdown"]
    assumed += ["kernel.modules_disabled=0"] if target.modules_disabled is None else []
    assumed += [] if terms.arguments else ["no module parameters"]
    named = target.builtin or target.sys_module is not None
    assumed += [] if named else ["no built-in module of the same name"]
    return assumed


def _longest_line(load: LoadAmong) -> int:
    """How many bytes of a line the log takes: a record less its prefix, level and end (kernel/printk/printk.c)."""
    if load.version.since(6, 3):
        return 1021
    return 973 if load.target.option("PRINTK_CALLER") == "y" else 989


_ORDER, _PLACE = attrgetter("order"), itemgetter(0)


def _printed(findings: Sequence[Finding], spent: frozenset[str], load: LoadAmong) -> tuple[list[str], frozenset[str]]:
    """The lines of one stage in their order, less those that the kernel prints only once and has printed; and which of
    these it has printed then."""
    lines: list[LogLine] = [line for finding in findings if not finding.ignored for line in finding.log]
    if not lines:
        return [], spent
    lines.sort(key=_ORDER)
    longest = _longest_line(load)
    shown = []
    for line in lines:
        if line.once is None or line.once not in spent:
            shown.append(line.text[:longest])
        if line.once is not None:
            spent |= {line.once}
    return shown, spent


def _last(errors: Sequence[Finding]) -> Finding | None:
    """The one of a stage's errors that it returns: that of its last line."""
    if len(errors) < 2:
        return errors[0] if errors else None
    return max(errors, key=lambda finding: max((line.order for line in finding.log), default=0))


def _compared(load: LoadAmong, unchecked: Sequence[Unknown]) -> bool:
    """Whether vermagic or CRCs could be compared."""
    if not unchecked:
        return True
    rules = {unknown.rule for unknown in unchecked}
    if load.target.tied and load.target.tied.state == "other" and not rules.isdisjoint(_BY_TABLE):
        return False
    crcs = bool(load.target.modversions) and "module-layout" not in rules and load.links.has_versions
    return "vermagic" not in rules or crcs
