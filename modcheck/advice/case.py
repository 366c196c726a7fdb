"""One prediction with all that its causes may rest on, and the commands that its user would type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from ..loader.causes import TypeChange
from ..loader.facts import Finding, Prediction, Unknown
from ..module.facts import Module
from ..target.built import Built
from ..target.facts import Target
from ..target.kconfig import Config
from .options import compare
from .releases import Headers

#: kbuild's ARCH= and the usual prefix of cross compilers, where they are not those of most machines
_TOOLS = {
    "arm64": ("arm64", "aarch64-linux-gnu-"), "arm": ("arm", "arm-linux-gnueabihf-"),
    "riscv64": ("riscv", "riscv64-linux-gnu-"), "riscv32": ("riscv", "riscv32-linux-gnu-"),
    "ppc64": ("powerpc", "powerpc64le-linux-gnu-"), "ppc": ("powerpc", "powerpc-linux-gnu-"),
    "s390x": ("s390", "s390x-linux-gnu-"), "mips64": ("mips", "mips64el-linux-gnuabi64-"),
    "mips": ("mips", "mipsel-linux-gnu-"), "loongarch64": ("loongarch", "loongarch64-linux-gnu-"),
    "sparc64": ("sparc", "sparc64-linux-gnu-"), "x86_64": ("x86_64", "x86_64-linux-gnu-"),
    "i386": ("i386", "i686-linux-gnu-"),
}  # fmt: skip


_BIG = {
    "ppc64": ("powerpc", "powerpc64-linux-gnu-"), "mips": ("mips", "mips-linux-gnu-"),
    "mips64": ("mips", "mips64-linux-gnuabi64-"), "arm": ("arm", "armeb-linux-gnueabi-"),
    "arm64": ("arm64", "aarch64_be-linux-gnu-"),
}  # fmt: skip


class Case(NamedTuple):
    """What a cause is looked for in."""

    prediction: Prediction
    target: Target
    built: Built
    types: tuple[TypeChange, ...] = ()
    """the types behind CRCs that differ, as far as both sides' type information tells"""

    @property
    def module(self) -> Module:
        assert self.prediction.module, "advice is asked with the facts of the module"
        return self.prediction.module

    def found(self, rule: str, *levels: str) -> Finding | None:
        """The first finding of a rule, of one of these levels (an error where none is named)."""
        wanted = levels or ("error",)
        return next((one for one in self.prediction.findings if one.rule == rule and one.level in wanted), None)

    def refuses(self, *rules: str) -> tuple[str, ...]:
        """Those of the rules by which the module is refused."""
        return tuple(rule for rule in rules if self.found(rule))

    def lacks(self, rule: str) -> Unknown | None:
        """The check of that rule that could not be made."""
        return next((one for one in self.prediction.unchecked if one.rule == rule), None)

    @property
    def releases(self) -> tuple[str, str]:
        """What the module was built for, and the kernel's; empty where it is not known."""
        return (self.module.vermagic or "").split(" ")[0], self.target.release or ""

    def source(self, fact: str) -> str:
        """Where a fact of the target came from."""
        return self.target.sources.get(fact, "what is known of the kernel")

    @property
    def path(self) -> str:
        """The module's file, as a word of a shell."""
        return shlex.quote(self.module.path)

    # what is said of options

    @property
    def own_config(self) -> Config | None:
        """The .config that the module was built with."""
        return self.built.tree.config if self.built.tree else None

    def sides(self, option: str, ours: str, theirs: str) -> str:
        """An option on both sides, with the file that says so; `ours` and `theirs`: what vermagic tells of it."""
        own, kernels = self.own_config, self.target.config
        if own and kernels and own.get(option) == kernels.get(option):
            own = None  # the tree was configured anew since
        module = f"{own.get(option)} in {own.path}" if own else f"{ours} by the module's vermagic"
        kernel = f"{kernels.get(option)} in {kernels.path}" if kernels else f"{theirs} by the kernel's vermagic"
        return f"CONFIG_{option}: {module}; {kernel}"

    def option_lines(self) -> tuple[str, ...]:
        """The options that differ, in words, where both sides' .config is known."""
        own, kernels = self.own_config, self.target.config
        if own is None or kernels is None or own.text == kernels.text:
            return ()
        return compare(own, kernels).lines(own.path, kernels.path)

    # what the user types

    @property
    def kdir(self) -> str:
        """The tree that the module was built in, as a word of a shell."""
        tree = self.built.tree
        return shlex.quote(tree.path) if tree and tree.buildable else '"$KDIR"'

    @property
    def kernels_kdir(self) -> str | None:
        """A tree of the very kernel in which modules can be built, if the module does not come from there already."""
        tree, own, target = self.built.kernels, self.built.tree, self.target
        if tree is None or not tree.buildable or tree.release != target.release or (own and own.path == tree.path):
            return None
        same = target.config is None or (tree.config is not None and tree.config.text == target.config.text)
        return shlex.quote(tree.path) if same else None

    @property
    def source_folder(self) -> str:
        """Where that tree's source is, as a word of a shell."""
        tree = self.built.tree
        return shlex.quote(tree.source) if tree and tree.buildable else '"$KDIR"'

    def with_headers(self, known: Headers | None) -> tuple[str, ...]:
        """Steps that build in the kernel's own tree, or against the headers that its distribution's package has."""
        if self.kernels_kdir:
            return self.rebuild(kdir=self.kernels_kdir)
        installed = (known.install,) if known else ()
        return (*installed, *self.rebuild(kdir=f"/lib/modules/{self.releases[1]}/build"))

    def mended(self, *steps: str) -> tuple[str, ...]:
        """Steps that mend the tree that the module was built in; before them, where it is there, the kernel's own."""
        if self.kernels_kdir is None:
            return steps
        return (*self.rebuild(kdir=self.kernels_kdir), "# or, in the tree that it was built in:", *steps)

    @property
    def folder(self) -> str:
        """The module's source, as a word of a shell."""
        return shlex.quote(self.built.folder) if self.built.folder else '"$PWD"'

    def tools(self, *, always: bool = False) -> str:
        """`ARCH=` and `CROSS_COMPILE=`: what the kernel's own .config shows, else the usual prefix; on x86 none.

        :param always: also on x86
        """
        arch = self.target.arch or self.module.arch
        if arch is None:
            return "ARCH=… CROSS_COMPILE=…"
        name, usual = _BIG.get(arch, _TOOLS.get(arch, (arch, ""))) if self._big else _TOOLS.get(arch, (arch, ""))
        configs = [config for config in (self.own_config, self.target.config) if config]
        if any("clang version" in config.get("CC_VERSION_TEXT") for config in configs):
            return f"ARCH={name} LLVM=1"
        prefix = next(filter(None, map(_prefix, configs)), "")
        if arch in ("x86_64", "i386") and not (prefix or always):
            return ""
        return f"ARCH={name} CROSS_COMPILE={prefix or usual}"

    @property
    def _big(self) -> bool:
        """Whether it is about big-endian code."""
        return (self.target.endianness or self.module.elf.endianness) == "big"

    @property
    def prefix(self) -> str:
        """What stands before the names of the tools for the kernel's architecture."""
        found = re.search(r"CROSS_COMPILE=([\w.-]+)", self.tools())
        return found[1] if found else ""

    def make(self, *words: str, kdir: str | None = None, always: bool = False) -> str:
        """A call of make in the tree; `always` as for `tools`."""
        return " ".join(word for word in ("make -C", kdir or self.kdir, self.tools(always=always), *words) if word)

    def rebuild(self, *words: str, kdir: str | None = None, behind: str = "", always: bool = False) -> tuple[str, str]:
        """The two calls that build the module again.

        Not one: with `clean` and `modules` in one call kbuild since 6.13 (`MO=` of the top Makefile) may write over the
        module's own Makefile.

        :param behind: stands at the end of the second
        """
        clean, modules = (
            self.make(*words, f"M={self.folder}", what, kdir=kdir, always=always) for what in ("clean", "modules")
        )
        return clean, modules + behind

    def scripts_config(self, *words: str) -> str:
        """A call of the kernel's scripts/config on the tree's .config."""
        tree = self.built.tree
        if tree and tree.buildable:
            return " ".join((shlex.quote(f"{tree.source}/scripts/config"), "--file", f"{self.kdir}/.config", *words))
        words = ('"$KDIR"/scripts/config --file "$KDIR"/.config', *words)
        return " ".join(words) + "    # a tree made with O= has it in source/scripts"

    @property
    def prepare(self) -> str:
        """The call after a change of .config."""
        version = self.target.version
        asked = "oldconfig" if version and not version.since(3, 7) else "olddefconfig"
        return self.make(asked, "modules_prepare")

    def take_config(self) -> tuple[str, ...]:
        """The command that puts the kernel's own .config into the tree, if it is not there."""
        kernels, own = self.target.config, self.own_config
        if kernels and own and kernels.text == own.text:
            return ()
        config = f"{self.kdir}/.config"
        known = kernels is not None and " (" not in kernels.path
        read = f"zcat -f {shlex.quote(kernels.path)}" if known and kernels else "ssh root@BOARD zcat /proc/config.gz"
        return (f"{read} > {config}.new && mv {config}.new {config}",)


def _prefix(config: Config) -> str:
    """CROSS_COMPILE= as the compiler that a .config names tells it: `aarch64-linux-gnu-gcc (Debian …) 12.2.0`."""
    found = re.match(r"(?:\S*/)?([\w.-]*-)gcc(?:-[\d.]+)?(?: |$)", config.get("CC_VERSION_TEXT"))
    return found[1] if found else ""


def word(text: str) -> str:
    """A text as one word of a shell, in double quotes where that is safe."""
    return f'"{text}"' if re.fullmatch(r"[\w.+~-]*", text) else shlex.quote(text)


def date(seconds: float) -> str:
    """A time as people write it, UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")


def some(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence, the first few."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
