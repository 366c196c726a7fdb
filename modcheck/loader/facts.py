"""What the judge says: findings, what it could not decide, and the prediction made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ..module.facts import Module
from ..target.facts import Target
from ..target.symvers import KERNEL
from ..version import Version

if TYPE_CHECKING:
    from .causes import Cause, Fetch
    from .modprobe import Order
    from .visible import View

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


class Load:
    """One attempt to load a module: all that a stage may look at. What several of them ask for is worked out once.

    Made for each pair of module and kernel, and so without a dataclass' ceremony.
    """

    module: Module
    target: Target
    version: Version
    """the kernel's, or the newest known where the target's is unknown"""
    given: Module
    """the module as user space reads it"""
    see: Callable[[Module], View]
    """what a module sees at that time"""
    order: Callable[[Module], Order]
    """what is loaded before a module because it needs it"""
    loader: str = "modprobe"
    loaded: frozenset[str] = frozenset()
    """names of the modules already loaded"""
    there: frozenset[str] = frozenset()
    """the same, and the module itself where it is judged as it was when it came"""
    proprietary: frozenset[str] = frozenset()
    """those of them that taint the kernel as proprietary"""
    dependencies: Mapping[str, Prediction] = MappingProxyType({})
    """predictions for the modules at hand that modprobe loads first because this one needs them, in its order"""
    rivals: tuple[str, ...] = ()
    """those of them of which it is not certain that the first is refused first"""
    softdeps: tuple[tuple[str, Verdict], ...] = ()
    """those that it tries first, and whose failure does not matter"""
    cycle: str | None = None
    """a module that this one needs, and that needs this one"""
    force_vermagic: bool = False
    force_modversion: bool = False
    arguments: str = ""
    """what is given for its parameters"""
    strict: bool = False
    """whether a table decides nothing that is not proven to be of the kernel that runs"""

    def __init__(self, **facts: Any) -> None:
        self.__dict__ = facts

    @cached_property
    def view(self) -> View:
        """The exports that are visible at that time."""
        return self.see(self.given)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the modules that are loaded before this one because it needs them, first to last."""
        return self.order(self.given).names

    @cached_property
    def present(self) -> frozenset[str]:
        """Names of the modules that are there when it is loaded: all that are loaded already, and what it needs."""
        return self.there.union(self.needs)

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

    @property
    def knows_absent(self) -> bool:
        """Whether a symbol that nothing has is known not to be there: insmod sees but the kernel's own."""
        symbols = self.target.symbols
        return symbols is not None and (symbols.complete or (symbols.names_kernel and self.loader != "modprobe"))

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
Stage = Callable[[Load], Iterator[Answer]]


@dataclass(slots=True, eq=False, repr=False)
class Prediction:
    """What the target does with the module, up to the moment it would call the module's init function; not to be
    changed, as `Finding`."""

    module: Module
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
    causes: tuple[Cause, ...] = ()
    """what explains it best first; filled in by advice/"""
    force: str = ""
    """what modprobe --force would do here, and what that risks; filled in by advice/"""
    fetch: tuple[Fetch, ...] = ()
    """what of the board would decide the checks that are open, the shortest list; filled in by advice/"""

    def __repr__(self) -> str:
        return f"<Prediction {self.module.path}: {self.verdict}{f' ({self.errno})' if self.errno else ''}>"


def line(text: str, order: int = 0, once: str | None = None) -> LogLine:
    """A log line as /dev/kmsg gives it: bytes outside printable ASCII, and the backslash, as \\xNN."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return LogLine(text, order, once)
    raw = text.encode("utf-8", "surrogateescape")
    shown = "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in raw)
    return LogLine(shown, order, once)
