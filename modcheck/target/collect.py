"""The facts of one target while its sources are read: who says what, what is believed, and what contradicts it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from ..arch import ARCHES, Endianness
from ..btf import Btf
from ..errors import TargetError
from ..module import Module, read_module
from ..version import Version, parse_version
from .btf import read_btf
from .builtin import Builtin
from .certificates import Certificate, signed_by
from .facts import Symbols, Target
from .kconfig import Config, read_config
from .symvers import Symvers, read_symvers
from .tree import Tree
from .vendor import find_vendor
from .vermagic import compose

if TYPE_CHECKING:
    from .image import Image
    from .modules_dir import ModulesDir

T = TypeVar("T")


class Fact(Generic[T]):
    """One fact while sources are read: the first that gives it is believed, and others that differ are noted."""

    def __init__(self, name: str, notes: list[str], agree: Callable[[T, T], bool] = operator.eq) -> None:
        self.name, self.notes, self.agree = name, notes, agree
        self.value: T | None = None
        self.origin = ""

    def give(self, value: T | None, origin: str) -> None:
        """`origin` says that the fact is `value`; None says nothing."""
        if value is None:
            return
        if self.value is None:
            self.value, self.origin = value, origin
        elif not self.agree(self.value, value):
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
        self.config: Fact[Config] = Fact("config", notes, lambda one, other: True)
        self.arch: Fact[tuple[str, Endianness | None]] = Fact("arch", notes, lambda one, other: one[0] == other[0])
        self.vendor: Fact[str] = Fact("vendor", notes)
        self.vermagic: Fact[str] = Fact("vermagic", notes)
        self.reference: Module | None = None
        self.entry_points: set[int] = set()
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

    def version_of_release(self) -> None:
        """A release tells the version, too: `6.1.99-rockchip-rk3588`, or at least the series: `6.1.0-56-amd64`."""
        if self.release.value:
            self.version.give(parse_version(self.release.value), f"{self.release.origin} (the release)")

    def read_tree(self, tree: Tree, tables: list[Symvers]) -> None:
        """Add what `tree` tells; its Module.symvers goes to `tables` unless a kernel's is there already."""
        release, kernel_release = tree.release(), tree.kernel_release()
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
        if not any(table.has_kernel for table in tables) and (path := tree.symvers()):
            tables.insert(0, read_symvers(path))
        if self.reference is None and _since_6_4(self.version.value):
            self.read_reference(tree.own_modules())
        if (path := tree.vmlinux()) and self.config.value and self.config.value.on("DEBUG_INFO_BTF"):
            self.btf.give(read_btf(path), path)

    def read_image(self, path: str) -> None:
        """Add what the kernel image at `path` tells."""
        from .image import Image

        image = self.image = Image(path)
        self.release.give(image.release(), path)
        self.vermagic.give(image.vermagic(), path)
        self.config.give(image.config(), f"{path} (IKCONFIG)")
        self.btf.give(image.btf(), path)
        self.certificates += image.certificates()
        self.all_certificates = True

    def rebuilt_tables(self) -> list[Symvers]:
        """What image and modules directory tell of exports, where no Module.symvers does.

        They prove each other: the CRCs that modules refer to are those of the tables. Modules of another build than the
        image are not used.
        """
        kernel = self.image.symvers() if self.image else None
        if kernel is None:
            return []
        if self.modules is None:
            return [kernel]
        modules, references = self.modules.survey()
        rows = {row.name: row.crc for table in (modules, kernel) for row in table}
        differing = sum(count for (name, crc), count in references.items() if rows.get(name, crc) != crc)
        absent = sum(count for (name, _), count in references.items() if name not in rows)
        shown = self.image.vermagic() if self.image else None
        others = self.reference.vermagic if self.reference and shown and self.reference.vermagic != shown else None
        told = f"{references.total()} references of modules in {self.modules.path} to symbols"
        if others or (kernel.has_crcs and differing):
            why = f"vermagic is {shown!r} there and {others!r} here; " if others else ""
            self.notes.append(
                f"{kernel.path} and {self.modules.path} are not of one build: {why}of {told} {differing} have another "
                f"CRC than the image, {absent} name none that is there; the image is used, the modules are not"
            )
            self.modules = self.reference = None
            return [kernel]
        if references:
            self.notes.append(f"of {told}, {differing} disagree with {kernel.path}, {absent} name none that is there")
        return [kernel, modules]

    def read_reference(self, paths: Sequence[str]) -> None:
        """Two modules of the kernel's own build, for what they show: vermagic, and the size of struct module.

        :raises TargetError: they are of two kernels
        """
        read = [read_module(path) for path in (*paths[:1], *paths[-1:])]
        found = [module for module in read if module.info("intree") is not None]
        releases = {module.vermagic.split(" ")[0] for module in found if module.vermagic}
        if len(releases) > 1:
            raise TargetError(found[0].path, f"beside it lie modules of another kernel: {', '.join(sorted(releases))}")
        for module in found:
            self.arch.give((module.arch, module.elf.endianness) if module.arch else None, module.path)
        self.reference = found[0] if found else self.reference
        self.entry_points.update(offset for module in found for _, offset in module.entry_points)

    def _entry_points(self) -> frozenset[int] | None:
        """Where modules of the kernel's own build set pointers in struct module; None where none was used."""
        used = self.reference is not None and self.this_module_size.origin == self.reference.path
        return frozenset(self.entry_points) if used else None

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

    def finish(self, tables: list[Symvers], *, built_here: bool) -> Target:
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
        if release and self.version.value and config and arch:
            origin = f"computed from release, version, {self.config.origin} and architecture"
            vermagic.give(compose(release, self.version.value, config, arch, self.seed.value), origin)
        self._use_reference()
        if self.this_module_size.value is None and self.btf.value and _since_6_4(self.version.value):
            self.this_module_size.give(self.btf.value.struct_size("module"), f"{self.btf.origin} (BTF)")
        if config and config.on("SYSTEM_REVOCATION_LIST"):
            # the image holds certificates that are not trusted, too, and nothing tells which
            self.certificates = [one for one in self.certificates if not one.in_image or self._has_signed(one)]
            self.all_certificates = False
        symbols = Symbols(tables) if tables else None
        if symbols and config and symbols.complete and config.on("MODVERSIONS") != symbols.has_crcs:
            state = "on" if config.on("MODVERSIONS") else "off"
            crcs = "has CRCs" if symbols.has_crcs else "has no CRC but zero"
            where = ", ".join(table.path for table in tables)
            self.notes.append(f"modversions: {self.config.origin} has CONFIG_MODVERSIONS {state}, but {where} {crcs}")
        sources = {fact.name: fact.origin for fact in vars(self).values() if isinstance(fact, Fact) and fact.value}
        if tables:
            sources["symbols"] = ", ".join(table.path for table in tables)
        if self.modules:
            sources["modules"] = self.modules.path
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
            built_here=built_here,
            sources=sources,
            notes=tuple(self.notes),
        )
