"""Why a module is refused, and what mends it: words over a finished prediction, no I/O.

What is offered mends the cause. Nothing that hides the fault (a forged vermagic, --force) is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..loader.causes import Cause, TypeChange
from ..loader.facts import Finding, Prediction
from ..target.built import NOTHING, Built
from ..target.facts import Target
from .case import Case
from .causes import CAUSES
from .fetch import fetch

__all__ = ["advise"]

#: what --force lets pass
_FORCEABLE = {"vermagic", "module-layout", "symbol-version"}


def advise(
    prediction: Prediction, target: Target, built: Built = NOTHING, types: tuple[TypeChange, ...] = ()
) -> Prediction:
    """The prediction with its causes, and `why` and `fix` of each finding from the first cause that explains it.

    :param built: what is known of how the module was built
    :param types: the types behind CRCs that differ
    """
    case = Case(prediction, target, built, types)
    found = [cause for diagnose in CAUSES for cause in diagnose(case)]
    causes = sorted((*found, *_by_rule(case, found)), key=lambda cause: _weight(cause, case))
    causes = [cause._replace(fix=_with_variables(cause.fix)) for cause in causes]
    findings = [_explained(finding, causes) for finding in prediction.findings]
    return replace(
        prediction,
        causes=tuple(causes),
        findings=tuple(findings),
        force=_force(case),
        fetch=fetch(prediction, target) if prediction.unchecked else (),
    )


def _by_rule(case: Case, found: list[Cause]) -> Iterator[Cause]:
    """For refusals that nothing explains: the rule itself, and what `modcheck explain` says of mending it."""
    from .rules import RULES

    explained = {rule for cause in found for rule in cause.explains}
    for finding in case.prediction.findings:
        if finding.level == "error" and finding.rule not in explained:
            explained.add(finding.rule)
            evidence = tuple(line.text for line in finding.log[:4])
            fix = (RULES[finding.rule].mend,) if finding.rule in RULES else ()
            yield Cause(finding.rule, "certain", finding.summary, evidence, fix, (finding.rule,))


def _with_variables(fix: tuple[str, ...]) -> tuple[str, ...]:
    """The steps, and before them what stands for the tree that is not known."""
    known = not any('"$KDIR"' in step for step in fix)
    return fix if known else ("KDIR=…    # the kernel tree that the module is built in", *fix)


def _weight(cause: Cause, case: Case) -> int:
    """0 for what explains the refusal itself, 1 for another one, 2 for what might refuse, 3 for the rest."""
    refusing = [one.rule for one in case.prediction.findings if one.level == "error" and not one.ignored]
    if refusing and refusing[0] in cause.explains:
        return 0
    if set(refusing) & set(cause.explains):
        return 1
    return 2 if {unknown.rule for unknown in case.prediction.unchecked} & set(cause.explains) else 3


def _explained(finding: Finding, causes: list[Cause]) -> Finding:
    for cause in causes:
        if finding.rule in cause.explains and finding.level != "note":
            return replace(finding, why=cause.why, fix=cause.fix)
    return finding


def _force(case: Case) -> str:
    """What --force would do, where someone might try it: it lets vermagic and CRCs pass, and nothing else."""
    refusing = {one.rule for one in case.prediction.findings if one.level == "error" and not one.ignored}
    if not refusing or not refusing <= _FORCEABLE:
        return ""
    option = case.target.option("MODULE_FORCE_LOAD")
    if option == "n":
        return "modprobe --force would not help: the kernel has CONFIG_MODULE_FORCE_LOAD off"
    risk = (
        "taints the kernel (F), and code that was compiled for other structures reads and writes the wrong places: "
        "crashes, or silent damage to data"
    )
    past = "would get past this" if option == "y" else "would get past this, if CONFIG_MODULE_FORCE_LOAD is on there"
    return f"modprobe --force {past}, and is no remedy: it {risk}"
