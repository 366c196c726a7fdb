"""Reading a target: whatever the user has of a kernel in, one `Target` out, each fact with the source it came from.

A fact given by an option beats the same fact found in a file; two that contradict each other are told in
`Target.notes`. Nothing here looks at a module under test.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ..arch import ARCHES, Endianness, parse_arch
from ..errors import TargetError
from ..files import find_modules
from ..module import Module, read_module
from ..version import Version, parse_version
from .facts import Symbols, Target
from .kconfig import Config, read_config
from .symvers import Symvers, read_symvers
from .tree import Tree, find_tree, is_tree
from .vendor import VENDORS, find_vendor
from .vermagic import compose, with_blank

__all__ = ["VENDORS", "Config", "Symbols", "Symvers", "Target", "read_config", "read_symvers", "read_target"]

StrPath = str | os.PathLike[str]
T = TypeVar("T")

NO_TARGET = (
    "nothing describes the kernel; give one of: --target DIR (the kernel's build or headers directory), "
    "--symvers FILE (the kernel's Module.symvers), or --release with --config (from the board: "
    "`uname -r` and /proc/config.gz)"
)


def read_target(
    *sources: StrPath,
    symvers: Sequence[StrPath] = (),
    release: str | None = None,
    kernel_version: str | None = None,
    vermagic: str | None = None,
    config: StrPath | None = None,
    modules_dir: StrPath | None = None,
    arch: str | None = None,
    vendor: str | None = None,
) -> Target:
    """Everything that the given sources and facts tell of one kernel.

    :param sources: kernel build or headers directories
    :param symvers: Module.symvers files; where the first that is a kernel's lies in a build tree, that tree is used too
    :param release: what `uname -r` prints there
    :param kernel_version: its version, `6.1.192`
    :param vermagic: its whole vermagic, the blank at its end with or without
    :param config: its `.config`, plain or gzip
    :param modules_dir: its `/lib/modules/RELEASE`; one module there shows sizeof(struct module) and vermagic
    :param arch: its architecture, by any common name
    :param vendor: whose kernel it is, one of `VENDORS`
    :raises UnreadableError: a file that cannot be read
    :raises TargetError: a source that is broken, or that describes no kernel at all
    """
    tables = [read_symvers(path) for path in symvers]
    if not (sources or tables or release or vermagic or config or modules_dir):
        raise TargetError("no target", NO_TARGET)
    trees = [find_tree(os.fspath(source), release) for source in sources]
    if not trees:
        around = (os.path.dirname(table.path) or "." for table in tables if table.has_kernel)
        trees = [Tree(path) for path in around if is_tree(path)][:1]
    described = trees or release or vermagic or config or modules_dir
    if not (described or any(table.has_kernel for table in tables)):
        raise TargetError(
            tables[0].path,
            "has no symbols of vmlinux, so it is not a kernel's (kbuild writes such a file beside every out-of-tree "
            "module); give the Module.symvers of the kernel's build or headers directory",
        )

    work = _Collector()
    work.release.give(release, "--release")
    if vermagic is not None:
        work.vermagic.give(with_blank(vermagic), "--vermagic")
        work.release.give(vermagic.split(" ")[0], "--vermagic")
    if config is not None:
        work.config.give(read_config(config), os.fspath(config))
    work.version.give(_parse_option(kernel_version), "--kernel-version")
    work.arch.give(*_arch_option(arch))
    if vendor is not None and vendor not in VENDORS:
        raise TargetError("--vendor", f"{vendor!r} is none of {', '.join(VENDORS)}")
    work.vendor.give(vendor, "--vendor")
    if work.config.value:
        work.version.give(work.config.value.version, f"{work.config.origin} (header)")
    _version_of_release(work)
    if modules_dir is not None:
        modules = find_modules(modules_dir)
        _read_reference(modules, work)
        if work.reference is None:
            raise TargetError(modules_dir, "no modules of a kernel's own build below this directory")
    for tree in trees:
        _read_tree(tree, work, tables)
    if work.reference and work.reference.vermagic and not work.release.value:
        work.release.give(work.reference.vermagic.split(" ")[0], work.reference.path)
    _version_of_release(work)
    return _finish(work, tables, built_here=bool(trees) and work.release.origin not in ("--release", "--vermagic"))


class _Fact(Generic[T]):
    """One fact while sources are read: the first that gives it is believed, and others that differ are noted."""

    def __init__(self, name: str, notes: list[str], agree: Callable[[T, T], bool] = operator.eq) -> None:
        self.name, self.notes, self.agree = name, notes, agree
        self.value: T | None = None
        self.origin = ""

    def give(self, value: T | None, origin: str) -> None:
        if value is None:
            return
        if self.value is None:
            self.value, self.origin = value, origin
        elif not self.agree(self.value, value):
            self.notes.append(f"{self.name}: {self.origin} says {self.value}, {origin} says {value}; the first is used")


class _Collector:
    """The facts of one target while its sources are read."""

    def __init__(self) -> None:
        notes: list[str] = []
        self.notes = notes
        self.release: _Fact[str] = _Fact("release", notes)
        self.version: _Fact[Version] = _Fact("version", notes, _same_version)
        self.config: _Fact[Config] = _Fact("config", notes, lambda one, other: True)
        self.arch: _Fact[tuple[str, Endianness | None]] = _Fact("arch", notes, lambda one, other: one[0] == other[0])
        self.vendor: _Fact[str] = _Fact("vendor", notes)
        self.vermagic: _Fact[str] = _Fact("vermagic", notes)
        self.reference: Module | None = None
        self.seed: _Fact[str] = _Fact("randstruct seed", notes)
        self.this_module_size: _Fact[int] = _Fact("this_module_size", notes)


def _same_version(one: Version, other: Version) -> bool:
    return one[:2] == other[:2] and (one.patch == other.patch or None in (one.patch, other.patch))


def _parse_option(text: str | None) -> Version | None:
    if text is None:
        return None
    version = parse_version(text)
    if version is None:
        raise TargetError("--kernel-version", f"{text!r} is no kernel version (such as 6.1.192)")
    return version


def _arch_option(name: str | None) -> tuple[tuple[str, Endianness | None] | None, str]:
    known = None if name is None else parse_arch(name)
    if name is not None and known is None:
        raise TargetError("--arch", f"{name!r} is not known; known are {', '.join(ARCHES)}")
    return known, "--arch"


def _version_of_release(work: _Collector) -> None:
    """A release tells the version, too: `6.1.99-rockchip-rk3588`, or at least the series: `6.1.0-56-amd64`."""
    if work.release.value:
        work.version.give(parse_version(work.release.value), f"{work.release.origin} (the release)")


def _read_tree(tree: Tree, work: _Collector, tables: list[Symvers]) -> None:
    """Add what `tree` tells; its Module.symvers goes to `tables` unless a kernel's is there already."""
    release, kernel_release = tree.release(), tree.kernel_release()
    if release:
        work.release.give(*release)
    if work.config.value is None:
        config = read_config(tree.origin(".config"))
        work.config.give(config, tree.origin(".config"))
        work.version.give(config.version, f"{tree.origin('.config')} (header)")
    for told in (tree.makefile_version(), kernel_release):
        if told:
            work.version.give(parse_version(told[0]), told[1])
    if tree.is_debian():
        work.vendor.give("debian", tree.origin(".kernelvariables"))
    elif release and kernel_release and release[0] != kernel_release[0]:
        work.notes.append(f"release: {release[1]} says {release[0]}, {kernel_release[1]} says {kernel_release[0]}")
    if seed := tree.randstruct_seed():
        work.seed.give(seed, tree.path)
    if not any(table.has_kernel for table in tables) and (path := tree.symvers()):
        tables.insert(0, read_symvers(path))
    # older kernels than 6.4 do not compare the size of struct module
    if work.reference is None and work.version.value and work.version.value.since(6, 4):
        _read_reference(tree.own_modules(), work)


def _read_reference(paths: Sequence[StrPath], work: _Collector) -> None:
    """What modules of the kernel's own build show: vermagic, and the size of struct module. Two of them are looked at.

    :raises TargetError: they are of two kernels
    """
    read = [read_module(path) for path in (*paths[:1], *paths[-1:])]
    found = [module for module in read if module.info("intree") is not None]
    releases = {module.vermagic.split(" ")[0] for module in found if module.vermagic}
    if len(releases) > 1:
        raise TargetError(found[0].path, f"beside it lie modules of another kernel: {', '.join(sorted(releases))}")
    work.reference = found[0] if found else work.reference


def _use_reference(work: _Collector) -> None:
    """Take a reference module's facts, unless it proves to be of another build than what is known already."""
    module = work.reference
    if module is None:
        return
    if work.vermagic.value is None and module.vermagic and module.vermagic.split(" ")[0] == work.release.value:
        work.vermagic.give(module.vermagic, module.path)
    if work.vermagic.value is not None and module.vermagic != work.vermagic.value:
        work.notes.append(
            f"{module.path} is of another build, and not used: {module.vermagic!r}, not {work.vermagic.value!r}"
        )
        return
    work.this_module_size.give(module.this_module_size, module.path)


def _finish(work: _Collector, tables: list[Symvers], *, built_here: bool) -> Target:
    config, release = work.config.value, work.release.value
    if config:
        known = config.arch
        work.arch.give((known, None) if known else None, work.config.origin)
        localversion = config.get("LOCALVERSION")
        if release and localversion != "n" and localversion not in release:
            work.notes.append(
                f"release: {work.config.origin} has CONFIG_LOCALVERSION={localversion!r}, but the release "
                f"{release!r} ({work.release.origin}) does not contain it"
            )
    if work.vendor.value is None:
        work.vendor.give(find_vendor(release, config), work.release.origin)
    arch, endianness = work.arch.value or (None, None)
    if arch:
        endianness = endianness or ARCHES[arch].endianness or (config.endianness if config else None)
        endianness = endianness or ARCHES[arch].usual_endianness
    vermagic = work.vermagic
    if release and work.version.value and config and arch:
        origin = f"computed from release, version, {work.config.origin} and architecture"
        vermagic.give(compose(release, work.version.value, config, arch, work.seed.value), origin)
    _use_reference(work)
    symbols = Symbols(tables) if tables else None
    if symbols and config and symbols.complete and config.on("MODVERSIONS") != symbols.has_crcs:
        state = "on" if config.on("MODVERSIONS") else "off"
        crcs = "has CRCs" if symbols.has_crcs else "has no CRC but zero"
        where = ", ".join(table.path for table in tables)
        work.notes.append(f"modversions: {work.config.origin} has CONFIG_MODVERSIONS {state}, but {where} {crcs}")
    sources = {fact.name: fact.origin for fact in vars(work).values() if isinstance(fact, _Fact) and fact.value}
    if tables:
        sources["symbols"] = ", ".join(table.path for table in tables)
    return Target(
        release=release,
        version=work.version.value,
        vendor=work.vendor.value,
        vermagic=vermagic.value,
        arch=arch,
        endianness=endianness,
        config=config,
        symbols=symbols,
        this_module_size=work.this_module_size.value,
        built_here=built_here,
        sources=sources,
        notes=tuple(work.notes),
    )
