"""Reports: one file a format, from finished predictions. They know nothing of how those came about.

A format that reports on modules has three functions: `entry` makes the part of one module, wherever it was judged;
`document` puts the parts together once all are counted; `failure` is the document where nothing could be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ..loader.facts import INSTALLED, Prediction
from ..target.facts import Target
from .style import Style

if TYPE_CHECKING:
    from typing import Protocol

    class Format(Protocol):
        """The functions of a format's file."""

        def entry(self, result: Result, context: Context) -> str:
            """The part of one module; empty for none."""

        def document(self, entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
            """The whole report in pieces, of the parts in their order."""

        def failure(self, reason: str, loader: str, modcheck_version: str) -> str:
            """The report where the target is none, or broken; empty where the format has no words for it."""


#: the formats of `check`, as --format names them; each is a file here
FORMATS = ("text", "json", "markdown", "junit", "sarif", "github")

#: a prediction, or path and reason of a file that cannot be read
Result = Prediction | tuple[str, str]


class Context(NamedTuple):
    """What is the same for all modules of a report."""

    target: Target
    loader: str
    modcheck_version: str
    style: Style = Style(False)
    verbose: bool = False


class Assumptions:
    """What many predictions assume, each once; of the modules that must be installed one list."""

    def __init__(self) -> None:
        self.installed: set[str] = set()
        self.others: dict[str, None] = {}

    def add(self, assumed: Iterable[str]) -> None:
        for text in assumed:
            if text.startswith(INSTALLED):
                self.installed.update(text.removeprefix(INSTALLED).split(", "))
            else:
                self.others[text] = None

    def merge(self, other: Assumptions) -> None:
        self.installed.update(other.installed)
        self.others.update(other.others)

    @property
    def texts(self) -> list[str]:
        return [*self.others, *([INSTALLED + ", ".join(sorted(self.installed))] if self.installed else [])]


class Totals:
    """The sums over all modules of a report.

    :ivar modules: all that were given, readable or not
    :ivar verdicts: of those that are kernel modules
    :ivar errors: files that cannot be read, or are no kernel modules
    :ivar ignored: findings, and checks that are open, that were told not to decide
    """

    def __init__(self) -> None:
        self.modules = self.errors = self.ignored = 0
        self.verdicts = dict.fromkeys(("loads", "refused", "unknown"), 0)
        self.assumptions = Assumptions()

    @property
    def assumed(self) -> list[str]:
        """What any of the predictions assumes."""
        return self.assumptions.texts

    def add(self, result: Result) -> None:
        self.modules += 1
        if not isinstance(result, Prediction):
            self.errors += 1
            return
        if result.error:
            self.errors += 1
        else:
            self.verdicts[result.verdict] += 1
        self.ignored += sum(finding.ignored for finding in result.findings)
        self.ignored += sum(unknown.ignored for unknown in result.unchecked)
        self.assumptions.add(result.assumed)


def format_named(name: str) -> Format:
    """The functions of one of `FORMATS`."""
    found: Format = import_module(f".{name}", __name__)
    return found
