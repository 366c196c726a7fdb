"""What the judge says: findings, what it could not decide, and the prediction made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ..module.facts import Module
from ..target.facts import Target
from ..target.symvers import KERNEL
from ..version import Version

if TYPE_CHECKING:
    from .causes import Cause, Fetch

#: how the assumption begins that the modules which are needed are there; their names follow
INSTALLED = "installed there, of that build, and not proprietary: "

Level = Literal["error", "warning", "note"]
Verdict = Literal["loads", "refused", "unknown"]


class LogLine(NamedTuple):
    """One line that the kernel writes, without time stamp and level.

    `order` places it among the lines of its stage. `once` names what makes the kernel print it only once in a boot.
    """

    text: str
    order: int = 0
    once: str | None = None


@dataclass(slots=True, eq=False)
class Finding:
    """One thing that a stage found; not to be changed: predictions share it. (Frozen, it would be four times as dear.)

    `error`: the kernel refuses here, with `errno`; `warning`: it loads and logs or taints; `note`: worth knowing.
    """

    rule: str
    level: Level
    summary: str
    errno: str | None = None
    log: tuple[LogLine, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    ignored: bool = False
    why: str = ""
    fix: tuple[str, ...] = ()

    @property
    def symbols(self) -> Sequence[Mapping[str, Any]]:
        """The symbols that it is about, each with its details; module_layout is the kernel's own."""
        if "symbol" in self.details:
            return [{"owner": KERNEL, **self.details}]
        found: Sequence[Mapping[str, Any]] = self.details.get("symbols", ())
        return found


class Unknown(NamedTuple):
    """A check that could refuse, and lacks a fact: which rule, and what would supply it."""

    rule: str
    needs: str
    ignored: bool = False


class RecordedVersions(NamedTuple):
    """The version tables of a module, by name; the first record of a name is the one that counts."""

    basic: Mapping[str, int] | None
    extended: Mapping[str, int] | None


class Terms(NamedTuple):
    """One kernel of a version that is known, and how it is asked to load modules: the same for all of them."""

    target: Target
    version: Version
    """the kernel's, or the newest known where it is newer"""
    loader: str = "modprobe"
    force_vermagic: bool = False
    force_modversion: bool = False
    arguments: str = ""
    """what a module that is tried is given for its parameters"""
    ignore: frozenset[str] = frozenset()
    """rules whose findings do not decide"""
    until_refused: bool = False
    """whether nothing behind the stage that refuses is asked for"""
    strict: bool = False
    """whether a table decides nothing that is not proven to be of the kernel that runs"""


class Attempt:
    """What the stages may look at, whatever they are about: the terms, by the names of their fields."""

    def __init__(self, terms: Terms) -> None:
        self.target, self.version, self.loader, self.strict = terms.target, terms.version, terms.loader, terms.strict
        self.force_vermagic, self.force_modversion = terms.force_vermagic, terms.force_modversion


class Load(Attempt):
    """A module and a kernel, and nothing else: what most stages look at. What several ask for is worked out once.

    :ivar module: the module as that kernel reads it
    """

    def __init__(self, terms: Terms, module: Module) -> None:
        super().__init__(terms)
        self.module = module

    @cached_property
    def recorded(self) -> RecordedVersions:
        """The CRCs that this kernel reads of the module."""
        if self.force_modversion:
            return RecordedVersions(None, None)
        extended = self.module.versions_ext
        read = extended is not None and self.version.since(6, 14)
        return RecordedVersions(self.module.crcs, dict(reversed(extended)) if read and extended is not None else None)

    @cached_property
    def label(self) -> str:
        """The name that begins a few lines: modinfo's `name=` since 4.13, else the one in struct module."""
        if self.version.since(4, 13) and self.module.info_name is not None:
            return self.module.info_name
        return self.module.name

    @cached_property
    def own_build(self) -> bool:
        """Whether the module is an in-tree one of the target's very build, as far as vermagic tells."""
        return (
            self.module.vermagic is not None
            and self.module.vermagic == self.target.vermagic
            and self.module.info("intree") is not None
        )


Asked = TypeVar("Asked")


def once(question: Callable[[Load], Asked]) -> Callable[[Load], Asked]:
    """Work out what several stages ask of a load when it is first asked for."""
    name = f"once {question.__module__}.{question.__name__}"

    @wraps(question)
    def answer(load: Load) -> Asked:
        known = load.__dict__
        if name not in known:
            known[name] = question(load)
        found: Asked = known[name]
        return found

    return answer


Answer = Finding | Unknown


@dataclass(slots=True, eq=False, repr=False)
class Prediction:
    """What the target does with the module, up to the moment it would call the module's init function; not to be
    changed, as `Finding`."""

    path: str
    name: str
    """the module's, in struct module"""
    error: str | None
    """why the file is no kernel module at all"""
    verdict: Verdict
    errno: str | None
    message: str | None
    """how the chosen loader words `errno`"""
    insmod_message: str | None
    log: tuple[str, ...]
    """the kernel's lines for this load up to the refusal, or to the call of init"""
    first: bool
    """False where the kernel might stop at an earlier check that could not be decided"""
    earlier_unknown: tuple[str, ...]
    findings: tuple[Finding, ...]
    unchecked: tuple[Unknown, ...]
    needs: tuple[str, ...]
    """modules that must be loaded before, first to last; under insmod only those that it uses itself; none are told of
    what is refused, where no more is asked"""
    assumed: tuple[str, ...]
    compared: bool
    """whether at least versions or vermagic could be compared"""
    failed_in: str | None = None
    """the dependency that is refused"""
    insmod_refuses: bool = False
    """whether insmod, without loading `needs` first, would be refused"""
    spent: frozenset[str] = frozenset()
    """the once-only lines (`LogLine.once`) that the kernel has printed after this load"""
    proprietary: bool = False
    """whether the module counts as proprietary, by its licence or for what it uses"""
    module: Module | None = None
    """the module's facts; None where they were let go, of many"""
    causes: tuple[Cause, ...] = ()
    """what explains it best first; filled in by advice/"""
    force: str = ""
    """what modprobe --force would do here, and what that risks; filled in by advice/"""
    fetch: tuple[Fetch, ...] = ()
    """what of the board would decide the checks that are open, the shortest list; filled in by advice/"""

    def __repr__(self) -> str:
        return f"<Prediction {self.path}: {self.verdict}{f' ({self.errno})' if self.errno else ''}>"


def line(text: str, order: int = 0, once: str | None = None) -> LogLine:
    """A log line as /dev/kmsg gives it: bytes outside printable ASCII, and the backslash, as \\xNN."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return LogLine(text, order, once)
    raw = text.encode("utf-8", "surrogateescape")
    shown = "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in raw)
    return LogLine(shown, order, once)
