"""modcheck's predictions beside what the kernel did: verdict, errno and every log line in its order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modcheck import Module, Prediction, Target, predict, read_module
from modcheck.loader.once import already

from .loads import IGNORE_MODVERSIONS, IGNORE_VERMAGIC, Result

#: what differs from boot to boot in a line, and is written as a star on both sides: addresses, and values with them
_ADDRESSES = re.compile(r"\b(loc |val |PC = |target |got [0-9a-f]{8} at |value (?=\*|[0-9a-f]{16}))[^\s,]+")

#: what a kernel prints once in a boot without a trace in its taint
UNTRACED = {"btf-mismatch", "no-symbol-version"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One load: what was predicted and what was seen. `agrees` is None where the prediction is `unknown`, or the
    machine crashed before it answered."""

    result: Result
    module: Module
    before: frozenset[str]
    """what was printed before, and will not be again (`LogLine.once`)"""
    prediction: Prediction
    seen_lines: tuple[str, ...]
    agrees: bool | None

    @property
    def passed_what_was_refused(self) -> bool:
        """The worst defect."""
        return self.prediction.verdict == "loads" and self.result.errno is not None and not self.result.accepted

    def report(self) -> str:
        """Both sides, for the file of disagreements."""
        seen = "accepted" if self.result.accepted else f"refused {self.result.errno}"
        lines = [f"{self.result.load.path} (taint {self.result.tainted_before})"]
        lines += [f"  predicted {self.prediction.verdict} {self.prediction.errno or ''}", f"  seen      {seen}"]
        for name, log in (("predicted", self.prediction.log), ("seen", self.seen_lines)):
            lines += [f"  {name:<9} | {line}" for line in log]
        lines += [f"  lacks     | {unknown.rule}: {unknown.needs}" for unknown in self.prediction.unchecked]
        return "\n".join(lines) + "\n"


def masked(line: str) -> str:
    """The line without what no file can tell, and with the name of the program that loads modules in earnest."""
    return _ADDRESSES.sub(r"\1*", line).replace("Lockdown: init: ", "Lockdown: insmod: ")


def _without_dumps(lines: Iterable[str]) -> Iterator[str]:
    """The lines less those of a stack dump, registers and addresses, which follow a line that says why."""
    inside = False
    for line in lines:
        inside = inside or line.startswith("CPU: ")
        if not inside:
            yield line
        inside = inside and line != " </TASK>"


def predict_load(
    module: Module, target: Target, flags: int, arguments: str, loaded: Sequence[Module], before: Collection[str]
) -> Prediction:
    """What the kernel should answer to one finit_module(2) call, with `loaded` in it and `before` printed."""
    return predict(
        module,
        target,
        loader="insmod",
        loaded=loaded,
        force_modversion=bool(flags & IGNORE_MODVERSIONS),
        force_vermagic=bool(flags & IGNORE_VERMAGIC),
        arguments=arguments,
        already=before,
    )


class Printed:
    """What a kernel has printed that it prints only once, from load to load and boot to boot."""

    def __init__(self) -> None:
        self.boot = 0
        self.spent: frozenset[str] = frozenset()

    def before(self, result: Result) -> frozenset[str]:
        """What will not be printed again in the load of `result`."""
        if result.boot != self.boot:
            self.boot, self.spent = result.boot, frozenset()
        return already(result.tainted_before) | self.spent

    def after(self, prediction: Prediction) -> None:
        """Add what leaves no trace in the taint."""
        self.spent |= prediction.spent & UNTRACED


def compare(results: Iterable[Result], target: Target) -> list[Comparison]:
    """Predict each load under the state in which it was tried, and compare."""
    modules = {}
    comparisons = []
    printed = Printed()
    for result in results:
        path = Path(result.load.path)
        module = read_module(path)
        before = printed.before(result)
        loaded = [modules[name] for name in result.loaded_before if name in modules]
        prediction = predict_load(module, target, result.load.flags, result.load.arguments, loaded, before)
        printed.after(prediction)
        if result.stays:
            modules[module.name] = module
        seen = tuple(_without_dumps(masked(line.text) for line in result.log))
        comparisons.append(Comparison(result, module, before, prediction, seen, _agrees(result, prediction, seen)))
    return comparisons


def _agrees(result: Result, prediction: Prediction, seen: tuple[str, ...]) -> bool | None:
    if prediction.verdict == "unknown":
        return None
    if result.crashed and not result.accepted:
        return None
    log = tuple(map(masked, prediction.log))
    if result.accepted:
        # a crash in init leaves lines of the console, where others may stand between; the verdict is what counts then
        if not result.traced:
            seen = seen[: len(log)]  # what init itself wrote comes behind, and nothing parts the two
        return prediction.verdict == "loads" and (result.crashed or log == seen)
    return prediction.verdict == "refused" and prediction.errno == result.errno and log == seen


def counts(comparisons: Iterable[Comparison]) -> Counter[str]:
    """modules, agree, disagree, unknown, crashes, and the worst: passed although the kernel refused."""
    found: Counter[str] = Counter()
    for one in comparisons:
        found["modules"] += 1
        if one.result.crashed and not one.result.accepted:
            found["crashes"] += 1
        else:
            found[{True: "agree", False: "disagree", None: "unknown"}[one.agrees]] += 1
        found["passed"] += one.passed_what_was_refused
    return found
