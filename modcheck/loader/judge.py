"""One target and one set of modules: what each sees, in which order they load, and the walk through the stages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from ..module.facts import Module
from ..target.facts import Target
from ..version import Version
from . import needs as facts_needed
from .alike import Alike
from .concerns import concern_of
from .errnos import message
from .facts import INSTALLED, Answer, Finding, Load, Prediction, Stage, Unknown, Verdict
from .modprobe import Modprobe
from .stages.license import is_proprietary
from .stages.signature import trusted_key
from .visible import ModuleSet, Visible
from .walk import NEWEST, stages

#: so many predictions of modules that others need are kept; each has all facts of its module
_KEPT = 256

#: rules behind which nothing of the file can be judged
_FINAL = {"elf-format", "compression"}

#: one version of each shape of the load path: what they agree on holds for a kernel whose version is not known
_EVERY_SHAPE = (
    NEWEST, Version(6, 17, 0), Version(6, 14, 0), Version(6, 12, 117), Version(6, 6, 0), Version(6, 1, 176),
    Version(5, 15, 100), Version(5, 10, 200), Version(5, 4, 200), Version(4, 19, 200), Version(4, 4, 0),
    Version(3, 10, 0), Version(2, 6, 39), Version(2, 6, 32),
)  # fmt: skip


class Judge:
    """Judges modules one by one; see `predict` for the parameters."""

    def __init__(
        self,
        target: Target,
        loader: str,
        modules: Sequence[Module] | ModuleSet,
        loaded: Collection[Module | str],
        force_vermagic: bool,
        force_modversion: bool,
        arguments: str,
        ignore: Collection[str],
        already: Collection[str] | None,
        until_refused: bool = False,
        strict: bool = False,
    ) -> None:
        self.target, self.loader = target, loader
        self.force_vermagic, self.force_modversion = force_vermagic, force_modversion
        self.arguments = arguments
        self.until_refused = until_refused
        self.ignore = frozenset(ignore)
        together = modules if isinstance(modules, ModuleSet) else ModuleSet(modules)
        self._concerned: dict[Version, list[tuple[Stage, Callable[[Module], object] | None]]] = {}
        self.visible = Visible(target, together, loaded, loader == "modprobe")
        self.modprobe = Modprobe(self.visible)
        self._alike = Alike()
        #: whether it may be filled: busybox tries twice, and a modules directory says more of each module
        self._shares = until_refused and loader != "busybox" and target.modules is None
        self._known: OrderedDict[tuple[str, Version, frozenset[str], frozenset[str]], Prediction] = OrderedDict()
        self.proprietary: frozenset[str] = frozenset()
        self.already = frozenset(already or ())
        self.assumed = self._assumed_of_all()
        self._configured = loader == "modprobe" and (target.modules is not None or target.has_boot_options)
        self._version = None if target.version is None else _known_version(target.version)
        #: what all loads have in common
        self._facts: dict[str, Any] = {
            "target": target,
            "see": self.visible.view_of,
            "order": self.modprobe.order,
            "loader": loader,
            "loaded": self.visible.loaded,
            "there": self.visible.loaded,
            "force_vermagic": force_vermagic,
            "force_modversion": force_modversion,
            "strict": strict,
        }
        present = [one for one in loaded if not isinstance(one, str)]
        newest = target.version or NEWEST
        if already is None or any(is_proprietary(one, newest) for one in present):
            for one in present:
                self._arrive(one, already is None)

    def _arrive(self, module: Module, prints: bool) -> None:
        """What is left behind by a module that is loaded already: it is judged as it was when it came."""
        self._facts["loaded"] = self.visible.loaded - {module.name}
        prediction = self.judge(module)
        self._facts["loaded"] = self.visible.loaded
        if prediction.proprietary:
            self.proprietary |= {module.name}
        if prints:
            self.already |= prediction.spent

    def judge(self, module: Module) -> Prediction:
        """What the target does with `module`; where its version is not known, only what every version agrees on."""
        if self._version is not None:
            return self._judge(module, self._version)
        predictions = [self._judge(module, version) for version in _EVERY_SHAPE]
        refused = [one for one in predictions if one.verdict == "refused"]
        if len(refused) == len(predictions):
            same = all((one.errno, one.log) == (refused[0].errno, refused[0].log) for one in refused)
            earlier = refused[0].earlier_unknown if same else (*refused[0].earlier_unknown, "kernel-version")
            return replace(refused[0], first=not earlier, earlier_unknown=earlier)
        others = [one for one in predictions if one.verdict != "refused"]
        rules = dict.fromkeys(finding.rule for one in refused for finding in one.findings if finding.level == "error")
        unchecked = (*others[0].unchecked, *(Unknown(rule, facts_needed.VERSION) for rule in rules))
        return replace(others[0], verdict="unknown" if refused else others[0].verdict, unchecked=unchecked)

    def _judge(self, module: Module, version: Version) -> Prediction:
        """What becomes of `module`, and of what modprobe loads before it: one after the other, in its order."""
        if self.target.modules is None and not self.visible.served(module):
            known = self._known.get((module.path, version, self.already, self.proprietary))
            if known and known.module is module and not self.arguments:
                return known  # it was loaded for another's sake before
            return self._by_itself(module, version, self.already, self.proprietary, self.arguments)
        already, proprietary = self.already, self.proprietary
        judged: dict[str, Prediction] = {}
        for name in self.modprobe.tried_before(module):
            if other := self.visible.module(name):
                one = judged[name] = self._alone(other, version, already, proprietary)
                already |= one.spent
                proprietary |= {other.name} if one.proprietary else frozenset()
        order = self.modprobe.at_hand(module)
        dependencies = {name: judged[name] for name in order.names if name in judged} if judged else judged
        load = self._load(
            module,
            version,
            proprietary,
            arguments=self._arguments(module, self.arguments),
            dependencies=dependencies,
            rivals=self._rivals(dependencies) if dependencies and not order.known else (),
            softdeps=tuple([(name, one.verdict) for name, one in judged.items() if name not in dependencies]),
            cycle=order.cycle,
        )
        return self._decided(load, already)

    def _decided(self, load: Load, already: frozenset[str]) -> Prediction:
        """What becomes of this load, as often as the loader tries."""
        prediction = self._walk(load, already)
        if self.loader == "busybox" and prediction.verdict == "refused":
            prediction = self._tried_twice(load, prediction)
        return prediction

    def _by_itself(
        self, module: Module, version: Version, already: frozenset[str], proprietary: frozenset[str], given: str
    ) -> Prediction:
        """What becomes of a module before which nothing is left to load.

        :param given: what it is given for its parameters
        """
        if alike := self._alike.find(module, version, already):
            return alike
        load = self._load(module, version, proprietary, arguments=self._arguments(module, given))
        return self._decided(load, already)

    def _alone(
        self, module: Module, version: Version, already: frozenset[str], proprietary: frozenset[str]
    ) -> Prediction:
        """What becomes of a module that is loaded for another's sake, when what it needs itself has been loaded."""
        key = (module.path, version, already, proprietary)
        if key not in self._known:
            self._known[key] = self._by_itself(module, version, already, proprietary, "")
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    def _rivals(self, dependencies: Mapping[str, Prediction]) -> tuple[str, ...]:
        """Names of refused ones of which it is not certain that the first is met first, and that differ from it."""
        refused = {name: one for name, one in dependencies.items() if one.verdict == "refused"}
        if len(refused) < 2:
            return ()
        first = next(iter(refused))
        others = [
            name
            for name, one in refused.items()
            if first not in self.modprobe.at_hand(one.module).names
            and (one.errno, one.log) != (refused[first].errno, refused[first].log)
        ]
        return (first, *others) if others else ()

    def _arguments(self, module: Module, given: str) -> str:
        """What the module is given for its parameters: modprobe adds what its own and the boot configuration say."""
        if not self._configured:
            return given
        words = [*self.target.boot_parameters(module.name), given]
        if self.target.modules:
            words.insert(0, self.target.modules.modprobe.options(module.name))
        return " ".join(word for word in words if word)

    def _load(self, module: Module, version: Version, proprietary: frozenset[str] = frozenset(), **known: Any) -> Load:
        read = module.as_read(version)
        return Load(**self._facts, given=module, module=read, version=version, proprietary=proprietary, **known)

    def _stages(self, module: Module, version: Version) -> Iterator[Stage]:
        """The stages of that version that have something to say about this kernel and this module, in their order."""
        if version not in self._concerned:
            found = [(stage, concern_of(stage)) for stage in stages(version)]
            self._concerned[version] = [
                (stage, concern.modules)
                for stage, concern in found
                if version.since(*concern.since) and (concern.targets is None or concern.targets(self.target))
            ]
        for stage, is_concerned in self._concerned[version]:
            if is_concerned is None or is_concerned(module):
                yield stage

    def _tried_twice(self, load: Load, first: Prediction) -> Prediction:
        """What busybox makes of a refusal: whatever finit_module(2) answered, it tries init_module(2) as well.

        A compressed file is handed to the kernel as it is at first, which refuses it without a line unless it can
        decompress it. modutils/modutils.c of busybox 1.37.
        """
        first_try = load.module.compression is None or _decompresses(load)
        if not load.version.since(3, 8) or not first_try:
            return first
        second = self._walk(load, first.spent)
        return replace(second, log=first.log + second.log, findings=first.findings)

    def _walk(self, load: Load, already: frozenset[str]) -> Prediction:
        findings: list[Finding] = []
        unchecked: list[Unknown] = []
        lines: list[str] = []
        spent = already
        refusing: Finding | None = None
        earlier: tuple[str, ...] = ()
        for stage in self._stages(load.module, load.version):
            found: list[Finding] = []
            for answer in stage(load):
                if self.ignore:
                    answer = self._marked(answer)
                if isinstance(answer, Finding):
                    found.append(answer)
                elif answer not in unchecked:
                    unchecked.append(answer)
            if not found:
                continue
            findings += found
            errors = [finding for finding in found if finding.level == "error"]
            if refusing is None:
                printed, spent = _printed(found, spent, load)
                lines += printed
                refusing = _last([finding for finding in errors if not finding.ignored])
                if refusing and unchecked:
                    earlier = tuple(dict.fromkeys(one.rule for one in unchecked if not one.ignored))
            final = [finding for finding in errors if finding.rule in _FINAL]
            if final or (refusing and refusing.rule == "arch"):
                if final and final[0].ignored:
                    unchecked.append(Unknown(final[0].rule, "nothing behind it can be judged in a file like this"))
                break
            if refusing and self.until_refused:
                break
        errno = refusing.errno if refusing else None
        open_questions = [one for one in unchecked if not one.ignored] if unchecked else ()
        needs = () if refusing and self.until_refused else load.needs
        verdict: Verdict = "refused" if refusing else "unknown" if open_questions else "loads"
        prediction = Prediction(
            module=load.module,
            verdict=verdict,
            errno=errno,
            message=message(errno, self.loader) if errno else None,
            insmod_message=message(errno, "insmod") if errno else None,
            log=tuple(lines),
            first=not earlier,
            earlier_unknown=earlier,
            findings=tuple(findings),
            unchecked=tuple(unchecked),
            needs=needs,
            assumed=self._assumed(load, needs),
            compared=_compared(load, unchecked),
            failed_in=str(refusing.details["failed_in"]) if refusing and refusing.rule == "dependency" else None,
            insmod_refuses=bool(needs) and self.loader == "modprobe" and refusing is None,
            spent=spent,
            proprietary=is_proprietary(load.module, load.version)
            or "proprietary-taint" in [finding.rule for finding in findings],
        )
        if refusing and self._shares:
            self._alike.keep(load, prediction, already)
        return prediction

    def _marked(self, answer: Answer) -> Answer:
        """With the user's word that its rule does not decide."""
        if answer.rule not in self.ignore:
            return answer
        return replace(answer, ignored=True) if isinstance(answer, Finding) else answer._replace(ignored=True)

    def _assumed_of_all(self) -> tuple[str, ...]:
        """What is assumed of the target, whatever the module."""
        target = self.target
        tied = target.tied
        assumed = []
        if tied and "stated" in tied.by:
            assumed.append(f"{tied.table} is of the kernel that runs (--same-build)")
        elif tied and tied.state == "assumed":
            assumed.append(f"{tied.table} is of the kernel that runs")
        assumed += [] if target.cmdline is not None else ["empty kernel command line"]
        assumed += [] if target.lockdown or target.boot_options("lockdown") else ["no lockdown"]
        assumed += ["kernel.modules_disabled=0"] if target.modules_disabled is None else []
        assumed += [] if self.arguments else ["no module parameters"]
        named = target.builtin or target.sys_module is not None
        assumed += [] if named else ["no built-in module of the same name"]
        return tuple(assumed)

    def _assumed(self, load: Load, needs: tuple[str, ...]) -> tuple[str, ...]:
        assumed: list[str] = []
        own_build = load.own_build
        if load.module.signature is not None and load.target.option("MODULE_SIG") != "n":
            certificate = trusted_key(load)
            if certificate is None and load.target.all_certificates:
                assumed.append("no keys for modules but those in the image")
            elif certificate is None and own_build:
                assumed.append("in-tree modules of the kernel's vermagic are signed by its key, and unchanged since")
            elif certificate is not None and certificate.key is None:
                assumed.append("signed modules are unchanged since they were signed")
        if (
            own_build
            and load.module.btf is not None
            and load.target.option("DEBUG_INFO_BTF_MODULES") != "n"
            and load.target.known_btf is None
        ):
            assumed.append("in-tree modules of the kernel's vermagic have the BTF of its build")
        version = self.target.version
        if version is not None and version[:2] > NEWEST[:2]:
            assumed.append(
                f"kernel {version} judges like {NEWEST.major}.{NEWEST.minor}, the newest that modcheck knows"
            )
        installed = [name for name in needs if self.visible.module(name) is None] if needs else ()
        if installed and self.loader == "modprobe":
            assumed.append(INSTALLED + ", ".join(installed))
        return (*self.assumed, *assumed) if assumed else self.assumed


def assumed_in_order(alone: tuple[str, ...], needs: tuple[str, ...], given: Collection[str]) -> tuple[str, ...]:
    """What is assumed of a module in a set of modules that change nothing but the order.

    :param alone: what was assumed where it was judged alone
    :param needs: what is loaded before it, in the set
    :param given: the names of the set
    """
    installed = [name for name in needs if name not in given]
    assumed = tuple([text for text in alone if not text.startswith(INSTALLED)])
    return (*assumed, INSTALLED + ", ".join(installed)) if installed else assumed


def _decompresses(load: Load) -> bool:
    """Whether the kernel itself takes a module in this compression (5.17 and later)."""
    option = {"gz": "GZIP", "xz": "XZ", "zst": "ZSTD"}[load.module.compression or ""]
    return load.target.option("MODULE_DECOMPRESS") == "y" and load.target.option(f"MODULE_COMPRESS_{option}") == "y"


def _known_version(version: Version) -> Version:
    """`version`, or the newest known where it is newer."""
    return min(version, NEWEST, key=lambda one: (one[0], one[1]))


def _longest_line(load: Load) -> int:
    """How many bytes of a line the log takes: a record less its prefix, level and end (kernel/printk/printk.c)."""
    if load.version.since(6, 3):
        return 1021
    return 973 if load.target.option("PRINTK_CALLER") == "y" else 989


_ORDER = attrgetter("order")


def _printed(findings: Sequence[Finding], spent: frozenset[str], load: Load) -> tuple[list[str], frozenset[str]]:
    """The lines of one stage in their order, less those that the kernel prints only once and has printed; and which of
    these it has printed then."""
    lines = [line for finding in findings if finding.log and not finding.ignored for line in finding.log]
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


#: the rules for which a table of another build does not count
_BY_TABLE = ("module-layout", "unknown-symbol", "symbol-version", "gpl-only-symbol", "namespace", "duplicate-export")


def _compared(load: Load, unchecked: Sequence[Unknown]) -> bool:
    """Whether vermagic or CRCs could be compared."""
    if not unchecked:
        return True
    rules = {unknown.rule for unknown in unchecked}
    if load.target.tied and load.target.tied.state == "other" and not rules.isdisjoint(_BY_TABLE):
        return False
    crcs = bool(load.target.modversions) and "module-layout" not in rules and load.module.versions is not None
    return "vermagic" not in rules or crcs
