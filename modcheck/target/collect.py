"""The facts of one target while its sources are read: who says what, what is believed, and what contradicts it."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..arch import ARCHES, Endianness
from ..btf import Btf
from ..errors import ModcheckError, TargetError
from ..files import find_modules, mount
from ..module import Module, read_module
from ..version import Version, parse_version
from .btf import read_btf
from .builds import Build, Standing, Tie, crcs_of
from .builtin import Builtin, read_builtin
from .certificates import Certificate, signed_by
from .facts import Symbols, Target
from .kconfig import Config
from .kinds import read_config, without_modules
from .symvers import Symvers
from .tree import Tree
from .vendor import find_vendor
from .vermagic import compose

if TYPE_CHECKING:
    from .board import Board
    from .image import Image
    from .modules_dir import ModulesDir
    from .profile import Profile

T = TypeVar("T")
#: how the origin of a version ends that the release tells
_BY_RELEASE = " (the release)"


class Fact(Generic[T]):
    """One fact while sources are read: the first that gives it is believed, and others that differ are noted."""

    def __init__(self, name: str, notes: list[str], agree: Callable[[T, T], bool] = operator.eq) -> None:
        self.name, self.notes, self.agree = name, notes, agree
        self.value: T | None = None
        self.origin = ""
        self.others: list[tuple[T, str]] = []
        """what was given beside it, and differs"""

    def give(self, value: T | None, origin: str) -> None:
        """`origin` says that the fact is `value`; None says nothing."""
        if value is None:
            return
        if self.value is None:
            self.value, self.origin = value, origin
        elif not self.agree(self.value, value):
            self.others.append((value, origin))
            self.notes.append(f"{self.name}: {self.origin} says {self.value}, {origin} says {value}; the first is used")


def _same_version(one: Version, other: Version) -> bool:
    return one[:2] == other[:2] and (one.patch == other.patch or None in (one.patch, other.patch))


def _since_6_4(version: Version | None) -> bool:
    """Whether the kernel compares the size of struct module; older ones do not."""
    return version is not None and version.since(6, 4)


class Collector:
    """The facts of one target while its sources are read."""

    def __init__(self) -> None:
        notes: list[str] = []
        self.notes = notes
        self.release: Fact[str] = Fact("release", notes)
        self.version: Fact[Version] = Fact("version", notes, _same_version)
        self.config: Fact[Config] = Fact("config", [], lambda one, other: one.text == other.text)
        self.arch: Fact[tuple[str, Endianness | None]] = Fact("arch", notes, lambda one, other: one[0] == other[0])
        self.vendor: Fact[str] = Fact("vendor", notes)
        self.vermagic: Fact[str] = Fact("vermagic", notes)
        self.reference: Module | None = None
        self.witness: Module | None = None
        self.entry_points: set[int] = set()
        self.saved_entry_points: frozenset[int] | None = None
        self.seed: Fact[str] = Fact("randstruct seed", notes)
        self.this_module_size: Fact[int] = Fact("this_module_size", notes)
        self.btf: Fact[Btf] = Fact("btf", notes, lambda one, other: True)
        self.builtin: Fact[Builtin] = Fact("builtin", notes, lambda one, other: True)
        self.modules: ModulesDir | None = None
        self.image: Image | None = None
        self.certificates: list[Certificate] = []
        self.all_certificates = False
        self.cmdline: Fact[str] = Fact("cmdline", notes)
        self.lockdown: Fact[str] = Fact("lockdown", notes)
        self.sig_enforce: Fact[bool] = Fact("sig_enforce", notes)
        self.modules_disabled: Fact[bool] = Fact("modules_disabled", notes)
        self.banner: Fact[str] = Fact("banner", [])
        self.build_id: Fact[str] = Fact("build id", [])
        self.tree: Tree | None = None
        self._identified = False
        self.sources: list[str] = []
        self.board_modules: list[Module] = []
        self.sys_module: Fact[frozenset[str]] = Fact("sys_module", notes)

    def refuse_contradictions(self) -> None:
        """:raises TargetError: two that describe what runs, or an option and one of them, are of two builds"""
        self.version.others = [one for one in self.version.others if self._is_of_another_series(*one)]
        identity: list[Fact[Any]] = [
            self.release, self.vermagic, self.arch, self.version, self.banner, self.build_id,
        ]  # fmt: skip
        for fact in identity:
            for value, origin in fact.others:
                pair: tuple[Any, Any] = (value, fact.value)
                other, one = (item[0] if fact.name == "arch" else item for item in pair)
                why = f"{fact.name} is {other}, but {fact.origin} says {one}: a target is one kernel"
                raise TargetError(origin, why)
        for config, origin in self.config.others:
            from .options import identifying

            assert self.config.value
            for option in identifying(self.config.value, config)[:1]:
                told = f"CONFIG_{option.option} is {option.other}, but {self.config.origin} says {option.one}"
                raise TargetError(origin, f"{told}: a target is one kernel")

    def _is_of_another_series(self, version: Version, origin: str) -> bool:
        """Whether a version cannot be what is known; what the release seems to say is nothing against an option."""
        known = self.version.value
        stated = self.version.origin == "--kernel-version" and origin.endswith(_BY_RELEASE)
        return known is not None and known[:2] != version[:2] and not stated

    def arch_of_board(self, board: Board) -> None:
        """What `uname -m` prints, behind what else tells the architecture: a process may see another one (setarch)."""
        if self.config.value and (known := self.config.value.arch):
            self.arch.give((known, None), self.config.origin)
        self.arch.give(board.arch(), board.origin("modcheck/uname") if board.captured else "uname -m")

    def refuse_other_modules(self) -> None:
        """:raises TargetError: the modules directory's are of another release than what is known of the board"""
        shown, known = self.reference, self.release.value
        release = (shown.vermagic or "").split(" ")[0] if shown else ""
        if shown and known and release not in ("", known):
            why = f"release is {release}, but {self.release.origin} says {known}"
            raise TargetError(shown.path, f"{why}: a target is one kernel")

    def release_of_modules(self) -> None:
        """The release that modules of the build are for."""
        shown = self.reference or self.witness
        if shown and shown.vermagic and not self.release.value:
            self.release.give(shown.vermagic.split(" ")[0], shown.path)
        self.version_of_release()

    def version_of_release(self) -> None:
        """A release tells the version, too: `6.1.99-rockchip-rk3588`, or at least the series: `6.1.0-56-amd64`."""
        if self.release.value:
            self.version.give(parse_version(self.release.value), f"{self.release.origin}{_BY_RELEASE}")

    def read_tree(self, tree: Tree) -> None:
        """Add what `tree` tells."""
        release, kernel_release = tree.release(), tree.kernel_release()
        self.tree = self.tree or tree
        self.sources.append(tree.path)
        if release:
            self.release.give(*release)
        if self.config.value is None:
            config = read_config(tree.origin(".config"))
            self.config.give(config, tree.origin(".config"))
            self.version.give(config.version, f"{tree.origin('.config')} (header)")
        for told in (tree.makefile_version(), kernel_release):
            if told:
                self.version.give(parse_version(told[0]), told[1])
        if tree.is_debian():
            self.vendor.give("debian", tree.origin(".kernelvariables"))
        elif release and kernel_release and release[0] != kernel_release[0]:
            self.notes.append(f"release: {release[1]} says {release[0]}, {kernel_release[1]} says {kernel_release[0]}")
        if seed := tree.randstruct_seed():
            self.seed.give(seed, tree.path)
        if self.config.value and self.config.value.on("MODVERSIONS") and (newer := tree.newer_than_symvers()):
            self.notes.append(f"{tree.symvers()} is older than {newer[0]}: is it of what the tree was before?")
        if self.reference is None and _since_6_4(self.version.value):
            self.read_reference(tree.own_modules())
        if (path := tree.vmlinux()) and self.config.value and self.config.value.on("DEBUG_INFO_BTF"):
            self.btf.give(read_btf(path), path)

    def read_profile(self, profile: Profile) -> None:
        """Add what was saved of a target."""
        self.sources.append(profile.path)
        for name, value in profile.plain.items():
            getattr(self, name).give(value, profile.origin(name))
        self.version.give(profile.version, profile.origin("version"))
        self.arch.give(profile.arch, profile.origin("arch"))
        self.config.give(profile.config, profile.origin("config"))
        self.btf.give(profile.btf, profile.origin("btf"))
        self.builtin.give(profile.builtin, profile.origin("builtin"))
        self.sys_module.give(profile.sys_module, profile.origin("sys_module"))
        self.saved_entry_points = profile.entry_points
        self.banner.give(profile.build.banner, profile.path)
        self.build_id.give(profile.build.build_id, profile.path)
        self.certificates += profile.certificates
        self.all_certificates = profile.all_certificates
        self.notes += profile.notes

    def read_board(self, board: Board) -> None:
        """Add what a running kernel tells of itself."""
        self.sources.append(board.path)
        self.release.give(board.release(), board.origin("proc/sys/kernel/osrelease"))
        self._read_banner(board.text("proc/version"), board.origin("proc/version"))
        self.build_id.give(board.build_id(), board.origin("sys/kernel/notes"))
        if self.cmdline.value is None:  # another command line may change what the board says now
            name = "sys/module/module/parameters/sig_enforce"
            self.sig_enforce.give(board.switch(name), board.origin(name))
        self.cmdline.give(board.text("proc/cmdline"), board.origin("proc/cmdline"))
        self.lockdown.give(board.lockdown(), board.origin("sys/kernel/security/lockdown"))
        self.btf.give(*board.btf())
        name = "proc/sys/kernel/modules_disabled"
        self.modules_disabled.give(board.switch(name), board.origin(name))
        self.sys_module.give(board.sys_module(), board.origin("sys/module"))

    def _read_banner(self, banner: str | None, origin: str) -> None:
        """The line of /proc/version: behind the compiler's name, Debian's has the version, and whose kernel it is."""
        self.banner.give(banner, origin)
        build = (banner or "").rpartition("#")[2]
        if debian := re.search(r" Debian (\d+\.\d+(?:\.\d+)?)", build):
            self.version.give(parse_version(debian[1]), origin)
            self.vendor.give("debian", origin)
        elif "-Ubuntu " in build:
            self.vendor.give("ubuntu", origin)

    def find_image(self, paths: Sequence[str], release: str | None, board: Board | None) -> None:
        """Use the first of the files that is the image of that release, and of the kernel that runs on the board.

        :raises TargetError: nothing says which, and there are images of several releases
        """
        if not paths and board is None:
            return
        from .image import Image

        found: dict[str, Image] = {}
        for path in paths:
            try:
                image = Image(path, release)
            except ModcheckError as error:
                self.notes.append(f"{error}; not used")
                continue
            if board and board.runs(image.data) is False:
                self.notes.append(
                    f"{path} ({image.release}) is not the kernel that runs there, by "
                    f"{board.origin('sys/kernel/notes')} and {board.origin('proc/version')}; not used"
                )
            elif release not in (None, image.release):
                self.notes.append(f"{path} is the image of {image.release}, not of {release}; not used")
            else:
                found.setdefault(image.release, image)
                if release is not None or board:
                    break
        if len(found) > 1:
            raise TargetError(paths[0], f"not the only kernel there: {', '.join(found)}; --release picks one")
        for image in found.values():
            self.use_image(image)
            return
        memory = board.kcore() if board else None
        if memory:
            try:
                self.use_image(Image(memory, release))
            except ModcheckError as error:
                self.notes.append(f"{error}; not used")
            self.all_certificates = False  # a kernel forgets them when it has started
        elif board and board.captured and (why := board.no_image()):
            self.notes.append(f"no kernel image in {board.path}: {why} (run the capture as root)")

    def use_image(self, image: Image) -> None:
        """Add what a kernel image tells."""
        self.image = image
        path = image.path
        self.sources.append(path)
        self.release.give(image.release, path)
        self._read_banner(image.banner, path)
        self.vermagic.give(image.vermagic, path)
        self.config.give(image.config(), f"{path} (IKCONFIG)")
        if self.config.value:
            self.version.give(self.config.value.version, f"{self.config.origin} (header)")
        self.arch.give(image.arch(), path)
        self.build_id.give(image.build_id, path)
        self.btf.give(image.btf, path)
        self.certificates += image.certificates()
        self.all_certificates = True

    def build(self, standing: Standing) -> Build:
        """What identifies the build that all this is of."""
        if self.tree and not self._identified:
            self.banner.give(self.tree.banner(), self.tree.path)
            self.build_id.give(self.tree.build_id(), self.tree.path)
            self._identified = True
        facts: tuple[Fact[Any], ...] = (self.release, self.banner, self.build_id, self.vermagic, self.arch,
                                        self.this_module_size)  # fmt: skip
        origins = {fact.name.replace(" ", "_"): fact.origin for fact in facts if fact.value is not None}
        config, reference = self.config.value, self.reference
        arch = self.arch.value[0] if self.arch.value else config.arch if config else None
        vermagic, size = self.vermagic.value or self._composed(arch), self.this_module_size.value
        shown = reference or self.witness
        if vermagic is None and shown and shown.vermagic and shown.vermagic.split(" ")[0] == self.release.value:
            vermagic, origins["vermagic"] = shown.vermagic, shown.path
        if reference and size is None and reference.vermagic == vermagic:
            size, origins["this_module_size"] = reference.this_module_size, reference.path
        return Build(
            standing,
            tuple(dict.fromkeys(self.sources)),
            self.release.value,
            str(self.version.value) if self.version.value else None,
            self.banner.value,
            self.build_id.value,
            vermagic,
            arch,
            size,
            config=config,
            tree=self.tree.path if self.tree else None,
            origins=origins,
        )

    def _composed(self, arch: str | None) -> str | None:
        """The vermagic that release, version, configuration and architecture make; None where one is not known."""
        release, version, config = self.release.value, self.version.value, self.config.value
        if not (release and version and config and arch):
            return None
        return compose(release, version, config, arch, self.seed.value)

    def join(self, other: Collector, *, identity: bool = True) -> None:
        """Add the facts of another description of the same build, which go behind.

        :param identity: those as well that say which build it is
        """
        for name, fact in vars(self).items():
            if isinstance(fact, Fact) and (identity or fact not in (self.banner, self.build_id)):
                theirs = getattr(other, name)
                fact.give(theirs.value, theirs.origin)
        self.notes += [note for note in other.notes if note not in self.notes]
        self.tree, self.modules = self.tree or other.tree, self.modules or other.modules
        self._identified = self._identified or not identity
        if self.reference is None:
            self.reference, self.entry_points = other.reference, other.entry_points
        self.witness = self.witness or other.witness
        if self.saved_entry_points is None:
            self.saved_entry_points = other.saved_entry_points
        if not self.certificates:
            self.certificates, self.all_certificates = other.certificates, other.all_certificates

    def rebuilt_tables(self, names: Symvers | None) -> list[Symvers]:
        """What image and modules directory tell of exports; modules of another build than the image are not used.

        :param names: all that the running kernel says it exports
        """
        from .rebuilt import of_modules, rebuild

        lax = self.config.value is not None and self.config.value.on("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS")
        found = rebuild(self.image, self.modules, self.reference, names, lax=lax)
        self.notes += found.notes
        if not found.one_build:
            self.modules = self.reference = self.builtin.value = None
            self.entry_points.clear()
        if not self.board_modules:
            return found.tables
        told = of_modules(self.board_modules)
        known = any(not table.inferred for table in found.tables)
        return [*found.tables, told] if known else [told, *found.tables]

    def read_board_modules(self, paths: Sequence[str]) -> None:
        """Add what single modules of the board tell of the build that they are of.

        :raises TargetError: one is no module, or they are of two builds
        """
        for path in paths:
            module = read_module(path)
            if module.error or module.vermagic is None:
                raise TargetError(path, module.error or "a module without vermagic tells nothing of its kernel")
            for other in self.board_modules:
                ours, theirs = crcs_of(module), crcs_of(other)
                if module.vermagic != other.vermagic or any(
                    ours[name] != theirs[name] for name in ours.keys() & theirs
                ):
                    raise TargetError(path, f"of another build than {other.path}: a target is one kernel")
            self.board_modules.append(module)
            self.sources.append(path)
            self.release.give(module.vermagic.split(" ")[0], path)
            self.arch.give((module.arch, module.elf.endianness) if module.arch else None, path)
            self.vermagic.give(module.vermagic, path)
            self.entry_points.update(offset for _, offset in module.entry_points)
        self.reference = self.reference or next(iter(self.board_modules), None)

    def read_modules(self, path: str) -> None:
        """Add what the modules directory `path` tells.

        :raises TargetError: there are no modules in it, or those of two kernels
        """
        from .modules_dir import ModulesDir, installed_modules

        modules = installed_modules(path, self.notes)
        if not modules:
            raise TargetError(path, without_modules(path))
        self.sources.append(path)
        own = os.path.join(path, "kernel", "")
        self.read_reference([one for one in modules if one.startswith(own)] or modules)
        self.modules = ModulesDir(path, modules)
        self.builtin.give(read_builtin(path), os.path.join(path, "modules.builtin"))

    def use_saved_modules(self, profile: Profile) -> None:
        """Add the modules directory of a profile: its lists, and the modules by their names."""
        if not profile.files:
            return
        from ..archives import Archive
        from .modules_dir import ModulesDir

        mount(profile.path, Archive.holding(profile.files))
        release = next(name.split("/")[2] for name in profile.files if name.startswith("lib/modules/"))
        path = os.path.join(profile.path, "lib/modules", release)
        self.modules = ModulesDir(path, find_modules(path))

    def read_reference(self, paths: Sequence[str]) -> None:
        """Two modules of the kernel's own build, for what they show: vermagic, and the size of struct module.

        :raises TargetError: they are of two kernels
        """
        read = [read_module(path) for path in (*paths[:1], *paths[-1:])]
        found = [module for module in read if module.info("intree") is not None]
        releases = {module.vermagic.split(" ")[0] for module in found if module.vermagic}
        if len(releases) > 1:
            raise TargetError(found[0].path, f"beside it lie modules of another kernel: {', '.join(sorted(releases))}")
        if not found and self.reference is None:
            self._read_others(paths)
        for module in found:
            self.arch.give((module.arch, module.elf.endianness) if module.arch else None, module.path)
        self.reference = found[0] if found else self.reference
        self.entry_points.update(offset for module in found for _, offset in module.entry_points)

    def _read_others(self, paths: Sequence[str]) -> None:
        """Modules that do not say that they came with the kernel: before 3.2 none does; since then they tell for which
        kernel they were installed, and nothing of how it was built."""
        from .modules_dir import agreed

        module = agreed(paths, self.notes)
        if module is None:
            return
        self.arch.give((module.arch, module.elf.endianness) if module.arch else None, module.path)
        version = parse_version(module.vermagic or "")
        if version and not version.since(3, 2):
            self.reference = module
        else:
            self.witness = module

    def _entry_points(self) -> frozenset[int] | None:
        """Where modules of the kernel's own build set pointers in struct module; None where none was used."""
        used = self.reference is not None and self.this_module_size.origin == self.reference.path
        return frozenset(self.entry_points) if used else self.saved_entry_points

    def _has_signed(self, certificate: Certificate) -> bool:
        """Whether a module of the kernel's own build is signed with it."""
        signature = self.reference.signature if self.reference else None
        return any(certificate.signed(signer) for signer in (signature and signature.signers) or ())

    def _use_reference(self) -> None:
        """Take a reference module's facts, unless it proves to be of another build than what is known already."""
        module = self.reference
        if module is None:
            return
        if self.vermagic.value is None and module.vermagic and module.vermagic.split(" ")[0] == self.release.value:
            self.vermagic.give(module.vermagic, module.path)
        if module.vermagic != self.vermagic.value:
            known = self.vermagic.value or self.release.value
            self.notes.append(f"{module.path} is of another build, and not used: {module.vermagic!r}, not {known!r}")
            return
        self.this_module_size.give(module.this_module_size, module.path)
        if not any(map(self._has_signed, self.certificates)):
            self.certificates += signed_by(module.signature)

    def finish(
        self, tables: list[Symvers], standing: Standing, built_against: Build | None, tied: Tie | None
    ) -> Target:
        """The target that the facts make, with what follows from them: byte order, vermagic, contradictions."""
        config, release = self.config.value, self.release.value
        if config:
            known = config.arch
            self.arch.give((known, None) if known else None, self.config.origin)
            localversion = config.get("LOCALVERSION")
            if release and localversion != "n" and localversion not in release:
                self.notes.append(
                    f"release: {self.config.origin} has CONFIG_LOCALVERSION={localversion!r}, but the release "
                    f"{release!r} ({self.release.origin}) does not contain it"
                )
        if self.vendor.value is None:
            self.vendor.give(find_vendor(release, config), self.release.origin)
        arch, endianness = self.arch.value or (None, None)
        if arch:
            endianness = endianness or ARCHES[arch].endianness or (config.endianness if config else None)
            endianness = endianness or ARCHES[arch].usual_endianness
        vermagic = self.vermagic
        origin = f"computed from release, version, {self.config.origin} and architecture"
        vermagic.give(self._composed(arch), origin)
        self._use_reference()
        if self.witness and self.witness.vermagic and self.witness.vermagic.split(" ")[0] == release:
            vermagic.give(self.witness.vermagic, self.witness.path)
        if self.this_module_size.value is None and self.btf.value and _since_6_4(self.version.value):
            self.this_module_size.give(self.btf.value.struct_size("module"), f"{self.btf.origin} (BTF)")
        if config and config.on("SYSTEM_REVOCATION_LIST"):
            # the image holds certificates that are not trusted, too, and nothing tells which
            self.certificates = [one for one in self.certificates if not one.in_image or self._has_signed(one)]
            self.all_certificates = False
        symbols = Symbols(tables) if tables else None
        if (
            symbols
            and config
            and symbols.complete
            and not symbols.inferred
            and config.on("MODVERSIONS") != symbols.has_crcs
        ):
            state = "on" if config.on("MODVERSIONS") else "off"
            crcs = "has CRCs" if symbols.has_crcs else "has no CRC but zero"
            where = ", ".join(table.path for table in tables)
            self.notes.append(f"modversions: {self.config.origin} has CONFIG_MODVERSIONS {state}, but {where} {crcs}")
        sources = {
            fact.name: fact.origin for fact in vars(self).values() if isinstance(fact, Fact) and fact.value is not None
        }
        if tables:
            sources["symbols"] = ", ".join(table.path for table in tables)
        if self.image:
            sources["kernel"] = self.image.path
        if self.modules:
            sources["modules"] = self.modules.path
        build = self.build(standing)
        build.module_layout = symbols.module_layout if symbols else None
        build.sources = build.sources or (built_against.sources if built_against else ())
        return Target(
            release=release,
            version=self.version.value,
            vendor=self.vendor.value,
            vermagic=vermagic.value,
            arch=arch,
            endianness=endianness,
            config=config,
            symbols=symbols,
            this_module_size=self.this_module_size.value,
            entry_points=self._entry_points(),
            btf=self.btf.value,
            builtin=self.builtin.value,
            modules=self.modules,
            certificates=tuple(self.certificates),
            all_certificates=self.all_certificates,
            cmdline=self.cmdline.value,
            lockdown=self.lockdown.value,
            sig_enforce=self.sig_enforce.value,
            modules_disabled=self.modules_disabled.value,
            sys_module=self.sys_module.value,
            tree=self.tree.path if self.tree else None,
            build=build,
            built_against=built_against,
            tied=tied,
            sources=sources,
            notes=tuple(self.notes),
        )
