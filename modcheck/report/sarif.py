"""SARIF 2.1.0 (OASIS), for GitHub's code scanning and other viewers of findings: one result a finding.

A check that lacks facts is a result of kind `open`, an ignored finding one with a suppression, and a file that cannot
be judged a notification. Held against the OASIS schema; GitHub wants more than that (docs.github.com, "SARIF support
for code scanning"): a region even of a binary file, a fingerprint under its own name, and paths relative to the
repository.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from ..advice.rules import RULES, TITLES, Rule
from ..loader.facts import Finding, Prediction
from . import Context, Result, Totals
from .words import cut, joined, outcome, printable, refusing, steps

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_INDEX = {name: index for index, name in enumerate(RULES)}
#: what begins an entry that is a notification, not results
_NOTIFICATION = "!"


def entry(result: Result, context: Context) -> str:
    """The results of one module, or the notification about a file that is none."""
    if not isinstance(result, Prediction):
        path, reason = result
        return _NOTIFICATION + _dump(_notification(f"{path}: {reason}", path))
    path = result.path
    if result.error:
        return _NOTIFICATION + _dump(_notification(f"{path}: {result.error}", path))
    return ",\n".join(map(_dump, _results(result, context)))


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """One run; whether it was successful comes last, since notifications are met among the results."""
    target = context.target
    facts = {
        "release": printable(target.release or ""),
        "vermagic": printable(target.vermagic or ""),
        "arch": target.arch or "",
        "loader": context.loader,
        "assumed": [printable(text) for text in totals.assumed],
    }
    yield _head(context.modcheck_version)
    if target.release:  # GitHub keeps the findings of several kernels apart by it
        yield f'"automationDetails": {_dump({"id": printable(f"modcheck/{target.release}/")})},\n'
    yield f'"properties": {_dump(facts)},\n"results": ['
    notifications = []
    separator = "\n"
    for one in filter(None, entries):
        if one.startswith(_NOTIFICATION):
            notifications.append(one[1:])
        else:
            yield separator + one
            separator = ",\n"
    yield "\n],\n" + _tail("toolExecutionNotifications", notifications)


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """A run without results, that says why."""
    said = [_dump(_notification(reason))]
    return _head(modcheck_version) + '"results": [],\n' + _tail("toolConfigurationNotifications", said)


def _head(modcheck_version: str) -> str:
    rules = ",\n".join(_dump(_descriptor(name, rule)) for name, rule in RULES.items())
    return (
        f'{{"$schema": "{_SCHEMA}",\n"version": "2.1.0",\n"runs": [{{\n'
        f'"tool": {{"driver": {{"name": "modcheck", "version": {_dump(modcheck_version)}, "rules": [\n{rules}\n]}}}},\n'
    )


def _tail(kind: str, notifications: Sequence[str]) -> str:
    successful = _dump(not notifications)
    told = ",\n".join(notifications)
    return f'"invocations": [{{"executionSuccessful": {successful}, "{kind}": [{told}]}}]\n}}]}}\n'


def _dump(value: Any) -> str:
    return json.dumps(value)


def _descriptor(name: str, rule: Rule) -> dict[str, Any]:
    """A rule, with what `modcheck explain` says of it as its help."""
    titled = list(zip(TITLES, rule))
    return {
        "id": name,
        "shortDescription": {"text": _message(rule.does.split(". ")[0].rstrip(".") + ".")},
        "fullDescription": {"text": _message(rule.does)},
        "help": {
            "text": _message("\n".join(f"{title}: {text}" for title, text in titled)),
            "markdown": _message("\n".join(f"* **{title}**: {text}" for title, text in titled)),
        },
    }


def _results(one: Prediction, context: Context) -> Iterator[dict[str, Any]]:
    """A result for each finding, then one for each check that is open."""
    seen: Counter[str] = Counter()
    for finding in one.findings:
        text = _told(finding, verbose=context.verbose)
        yield _result(one, finding.rule, text, seen, level=finding.level, ignored=finding.ignored)
    if one.verdict == "refused" and not refusing(one):
        text = [f"refused{outcome(one, context.target)}", *one.log]
        yield _result(one, "refused", text, seen, level="error")
    tied = context.target.tied
    for unknown in one.unchecked:
        text = [f"not decided, for want of: {unknown.needs}"]
        if not one.compared and tied is not None and tied.state == "other":
            text.insert(0, f"{one.verdict}{outcome(one, context.target)}")
        yield _result(one, unknown.rule, text, seen, kind="open", ignored=unknown.ignored)


def _told(finding: Finding, *, verbose: bool) -> list[str]:
    lines, rest = cut([line.text for line in finding.log], "lines", verbose=verbose)
    why = [f"why: {finding.why}"] if finding.why else []
    return [finding.summary, *lines, *rest, *why, *steps(finding.fix)]


def _result(
    one: Prediction,
    rule: str,
    lines: Sequence[str],
    seen: Counter[str],
    *,
    level: str = "none",
    kind: str = "fail",
    ignored: bool = False,
) -> dict[str, Any]:
    """A result about a module; `seen` counts those of each rule. What did not fail has no level (§3.27.10)."""
    path = one.path
    seen[rule] += 1
    identity = hashlib.sha256(os.fsencode(f"{rule}\0{path}")).hexdigest()[:16]
    return {
        "ruleId": rule,
        **({"ruleIndex": _INDEX[rule]} if rule in _INDEX else {}),
        "kind": kind,
        "level": level,
        "message": {"text": _message(joined(lines))},
        "locations": [_location(path)],
        # GitHub looks at this name alone, and would hash the file's first line otherwise: another one in each build
        "partialFingerprints": {"primaryLocationLineHash": f"{identity}:{seen[rule]}"},
        # either all results have it or none (§3.27.23)
        "suppressions": [{"kind": "external", "justification": "--ignore"}] if ignored else [],
        "properties": {"module": printable(one.name), "verdict": one.verdict, "errno": one.errno},
    }


def _notification(text: str, path: str | None = None) -> dict[str, Any]:
    where = {} if path is None else {"locations": [_location(path)]}
    return {"level": "error", "message": {"text": _message(printable(text))}, **where}


def _location(path: str) -> dict[str, Any]:
    """The file, and its very beginning: a module has no lines, and GitHub shows nothing that has no region."""
    region = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}, "region": region}}


def _uri(path: str) -> str:
    """A path's bytes as a URI, relative where the path is."""
    pure = PurePosixPath(path)
    return pure.as_uri() if pure.is_absolute() else quote(bytes(pure))


def _message(text: str) -> str:
    """A text in which nothing is a placeholder or a link (§3.11.5, §3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "\\](")
