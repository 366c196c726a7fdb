"""GitHub Actions' workflow commands: lines that the runner turns into annotations of the run.

Their form, and what must be escaped in it, is that of actions/runner (src/Runner.Common/ActionCommand.cs):
`::error file=…,title=…::message`, with %, CR and LF as %25, %0D, %0A, in properties also `:` and `,`. The runner looks
at every line of a step's output, and in the old form, `##[error]`, anywhere in it: so no text of a module or a target
stands outside of a command.

GitHub keeps ten errors, ten warnings and ten notices of a step. So there is one error for each cause and not for each
finding, one warning for a module that is unknown; what the kernel only complains about is a notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..loader.facts import Prediction
from . import Context, Result, Totals
from .words import explanation, headed, joined, open_questions, outcome, printable, refusing, said, sums, told

_NONE = "no kernel module, or unreadable"


def entry(result: Result, context: Context) -> str:
    """The commands of one module; none for one that loads without complaint."""
    if not isinstance(result, Prediction):
        return _command("error", result[0], _NONE, result[1])
    path = result.path
    if result.error:
        return _command("error", path, _NONE, result.error)
    commands = []
    if result.verdict == "refused":
        commands = _refusals(result, context)
    elif result.verdict == "unknown":
        title = f"unknown{outcome(result, context.target)}"
        commands = [_command("warning", path, title, *open_questions(result))]
    for finding in result.findings:
        if finding.level == "warning" or finding.ignored:
            title = finding.rule + " (ignored)" * finding.ignored
            why = [f"why: {finding.why}"] if finding.why else []
            commands.append(
                _command("notice", path, title, finding.summary, *(line.text for line in finding.log), *why)
            )
    return "".join(commands)


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """The commands, and a plain line with the sums."""
    yield from entries
    yield f"modcheck: {sums(totals)}\n"


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """One error, of no file."""
    return _command("error", "", "nothing could be judged", reason)


def _refusals(one: Prediction, context: Context) -> list[str]:
    """The refusal with the kernel's lines and what explains it; then what else would be refused, and why."""
    found, causes, path = refusing(one), told(one, verbose=context.verbose), one.path
    says = said(one, verbose=context.verbose)
    lines = [*([headed(found)] if found else []), *says.lines, *says.remarks]
    lines += explanation(causes[0]) if causes else []
    commands = [_command("error", path, f"refused{outcome(one, context.target)}", *lines)]
    for cause in causes[1:]:
        commands.append(_command("error", path, f"also: {', '.join(cause.explains)}", *explanation(cause)))
    return commands


def _command(level: str, path: str, title: str, *lines: str) -> str:
    """One command; an empty path is no file's."""
    file = f"file={_property(path)}," if path else ""
    return f"::{level} {file}title={_property(f'modcheck: {title}')}::{_data(joined(lines))}\n"


def _data(lines: str) -> str:
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
