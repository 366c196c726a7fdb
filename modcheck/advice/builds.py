"""Causes that lie in the build: another architecture, release, option or compiler than the kernel's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from ..loader.causes import Cause, Confidence
from ..target.kconfig import Config
from ..target.options import changing
from ..target.vermagic import option_of
from .case import Case, word
from .crcs import put_table
from .releases import git_suffix, headers, split

#: rules that speak of another kernel's structures
_OTHER_BUILD = ("module-layout", "symbol-version", "module-struct", "btf")
_COMPILER = re.compile(r"(gcc|clang)\D*?(\d+)\.\d+", re.IGNORECASE)


class Told(NamedTuple):
    """What two releases come to."""

    name: str
    why: str
    fix: tuple[str, ...]
    certain: bool = True


def architecture(case: Case) -> Iterator[Cause]:
    """Another machine, word size or byte order."""
    other_order = case.found("elf-format")
    other_order = other_order if other_order and "byte order" in other_order.summary else None
    if not (case.found("arch") or other_order):
        return
    module, target = case.module, case.target
    yield Cause(
        "other-architecture",
        "certain",
        f"built for {module.arch or module.machine}, the kernel is {target.arch}",
        (
            f"{module.path}: {module.machine}, {module.elf.bits} bits, {module.elf.endianness}-endian",
            f"the kernel: {target.arch}, {target.endianness}-endian ({case.source('arch')})",
        ),
        case.rebuild(always=True),
        case.refuses("arch", "elf-format"),
    )


def dkms(case: Case) -> Iterator[Cause]:
    """DKMS put a module into one kernel's folder that was built for another: a Makefile that asks `uname -r`."""
    found = re.search(r"(?:^|/)lib/modules/([^/]+)/(?:updates/dkms|extra|updates)/", case.module.path)
    ours = case.releases[0]
    if not found or not ours or found[1] == ours:
        return
    name = case.module.name
    rules = case.refuses("vermagic", *_OTHER_BUILD)
    depmod = ("depmod",) if case.found("depmod", "warning") else ()
    if not (rules or depmod or "dkms" in found[0]):
        return  # weak updates: a module that is meant for several releases
    yield Cause(
        "dkms-other-release",
        "certain" if "dkms" in found[0] else "likely",
        f"it lies in the folder of {found[1]}, but was built for {ours}: the package's Makefile takes "
        "`uname -r` of the machine that builds",
        (f"{case.module.path}", f"vermagic: {case.module.vermagic}"),
        (
            'in dkms.conf: MAKE[0]="make KVER=$kernelver KERNELDIR=/lib/modules/$kernelver/build"',
            f"dkms build -m {name} -v VERSION -k {found[1]} --force && dkms install -m {name} -v VERSION -k {found[1]} "
            "--force",
        ),
        (*rules, *depmod) or ("vermagic",),
    )


def releases(case: Case) -> Iterator[Cause]:
    """What the two releases tell, where the kernel compares them, or where structures differ."""
    ours, theirs = case.releases
    vermagic = case.found("vermagic")
    compared = vermagic is not None and bool(vermagic.details.get("release_compared"))
    undecided = case.lacks("vermagic") is not None
    rules = case.refuses("vermagic", *_OTHER_BUILD) or (("vermagic",) if undecided else ())
    if not ours or not theirs or ours == theirs or not rules:
        return
    evidence: tuple[str, ...] = (
        f"the module: {ours} (vermagic in {case.module.path})",
        f"the kernel: {theirs} ({case.source('release')})",
    )
    counts = compared or undecided
    found = None if counts and _is_near(ours, theirs) else _other_headers(case, ours, theirs)
    found = found or (_suffix(case, ours, theirs) if counts else None)
    if found is None and split(ours)[0] != split(theirs)[0]:
        why = f"built for {ours}, another kernel than {theirs}"
        found = Told("other-version", why, _in_the_kernels_tree(case, theirs))
    if found is None:
        return
    if compared:
        side = "the kernel" if case.target.modversions is False else "the module"
        evidence += (f"{side} has no CRCs, so all of vermagic is compared, the release too",)
    elif undecided:
        evidence += ("whether the release is compared is not known: it is, unless both sides have CRCs",)
    confidence: Confidence = "certain" if compared and found.certain else "likely"
    yield Cause(found.name, confidence, found.why, evidence, found.fix, rules)


def _is_near(ours: str, theirs: str) -> bool:
    """Whether but the state of a git tree, or the place of a `+`, tells the module's release from the kernel's."""
    own, kernels = split(ours)[1], split(theirs)[1]
    added = own.startswith(kernels) and git_suffix(own[len(kernels) :])
    moved = own != kernels and "+" in own and "+" in kernels and own.replace("+", "") == kernels.replace("+", "")
    return split(ours)[0] == split(theirs)[0] and (added or moved)


def _in_the_kernels_tree(case: Case, release: str) -> tuple[str, ...]:
    if case.kernels_kdir:
        return case.rebuild(kdir=case.kernels_kdir)
    return (f"# build it in the tree, or against the headers, of {release}:", *case.rebuild(kdir='"$KDIR"'))


def _other_headers(case: Case, ours: str, theirs: str) -> Told | None:
    """A distribution's kernel: its package of headers is known by name."""
    kernels, own = headers(theirs), headers(ours)
    if kernels is None:
        return None
    fix = case.with_headers(kernels)
    if own is None or own.distribution != kernels.distribution:
        what = f"{own.distribution}'s headers" if own else "another source"
        why = f"built with {what} ({ours}), not with the headers of {kernels.distribution}'s {theirs}"
        return Told("other-headers", why, fix)
    if own.flavour != kernels.flavour:
        why = f"built with the headers of the flavour {own.flavour}, the kernel is {kernels.flavour}"
        return Told("other-flavour", why, fix)
    why = f"built with the headers of {ours}, the kernel is {theirs}"
    return Told("other-abi", why, (*fix, f"or reboot, if {ours} is installed now, and {theirs} but runs still"))


def _suffix(case: Case, ours: str, theirs: str) -> Told | None:
    """One version of kernel.org's: what was appended to it differs."""
    (base, own), (other, kernels) = split(ours), split(theirs)
    if base != other:
        return None
    if commits := _two_commits(case, own, kernels):
        return commits
    if re.match(r"-rt\d", kernels) and not own.startswith(kernels):
        why = f"the kernel has the patches for real time ({kernels[1:]}), the module's tree has not"
        return Told("other-version", why, _in_the_kernels_tree(case, theirs))
    if own.startswith(kernels) and git_suffix(own[len(kernels) :]):
        return _git(case, own[len(kernels) :])
    if kernels.startswith(own) and git_suffix(kernels[len(own) :]):
        return _git_missing(case, kernels[len(own) :], theirs)
    if _is_extraversion(case, own, kernels):
        return _extraversion(case, own, kernels)
    return _localversion(case, own, kernels)


def _two_commits(case: Case, own: str, kernels: str) -> Told | None:
    """Both from git, at different commits."""
    hashes = [re.search(r"-g([0-9a-f]{6,40})(?:-dirty)?$", suffix) for suffix in (own, kernels)]
    if not hashes[0] or not hashes[1] or hashes[0][1] == hashes[1][1]:
        return None
    why = f"built at the commit {hashes[0][1]} of its tree, the kernel at {hashes[1][1]}"
    fix = (f"git -C {case.source_folder} checkout {hashes[1][1]}", case.prepare, *case.rebuild())
    return Told("git-suffix", why, case.mended(*fix))


def _git(case: Case, suffix: str) -> Told:
    why = f"the module's tree is a git checkout, changed or not at a tag: that put {suffix!r} behind its release"
    fix = (
        *_git_steps(case),
        case.make("LOCALVERSION= olddefconfig modules_prepare"),
        *case.rebuild("LOCALVERSION="),
    )
    return Told("git-suffix", why, case.mended(*fix), suffix != "+" or bool(case.built.tree and case.built.tree.git))


def _git_steps(case: Case) -> tuple[str, ...]:
    """How a tree forgets the state of its git checkout, beside `LOCALVERSION=` for make."""
    status = f"git -C {case.source_folder} status --short    # what is changed there"
    return status, case.scripts_config("-d LOCALVERSION_AUTO")


def _git_missing(case: Case, suffix: str, release: str) -> Told:
    why = f"the kernel was built from git, which put {suffix!r} behind its release; the module's tree is without that"
    prepare = case.make(f"KERNELRELEASE={word(release)}", "modules_prepare")
    scm = f"echo {word(suffix)} > {case.kdir}/.scmversion    # or so, in a tree before 6.3 with LOCALVERSION_AUTO"
    fix = (f"{prepare}    # a variable of make, not of the environment", *case.rebuild(), scm)
    return Told("git-suffix-missing", why, case.mended(*fix), suffix != "+")


def _is_extraversion(case: Case, own: str, kernels: str) -> bool:
    """Whether the Makefile's EXTRAVERSION differs, and not what .config adds: it comes first, and joins without `-`."""
    tree = case.built.tree
    if tree and tree.extraversion and own.startswith(tree.extraversion):
        return not kernels.startswith(tree.extraversion)
    if _localversion_of(case.own_config) == own or _localversion_of(case.target.config) == kernels:
        return False
    if own.replace("+", "") == kernels.replace("+", ""):
        return True
    longer, shorter = max(own, kernels, key=len), min(own, kernels, key=len)
    rest = longer[len(shorter) :] if longer.startswith(shorter) else ""
    return bool(shorter and rest and rest[0].isalnum())


def _localversion_of(config: Config | None) -> str | None:
    """CONFIG_LOCALVERSION, None where it is empty or not known."""
    value = config.get("LOCALVERSION") if config else "n"
    return value if value not in ("", "n") else None


def _extraversion(case: Case, own: str, kernels: str) -> Told:
    makefile = f"{case.kdir}/Makefile"
    if own.replace("+", "") == kernels.replace("+", ""):
        why = f"the `+` stands in EXTRAVERSION of the Makefile ({own}), where the kernel has it in CONFIG_LOCALVERSION"
        first = (
            f"sed -i 's/^EXTRAVERSION =.*/EXTRAVERSION =/' {makefile}",
            case.scripts_config(f"--set-str LOCALVERSION {word(kernels)}"),
        )
        return Told("extraversion", why, case.mended(*first, case.prepare, *case.rebuild()), False)
    extra = kernels.removesuffix(_localversion_of(case.own_config) or "")
    why = f"EXTRAVERSION in the Makefile of the module's tree makes {own!r}, the kernel has {kernels!r}"
    edit = f"sed -i {shlex.quote(f's/^EXTRAVERSION =.*/EXTRAVERSION = {extra}/')} {makefile}"
    known = bool(case.built.tree and case.built.tree.extraversion)
    return Told("extraversion", why, case.mended(edit, case.prepare, *case.rebuild()), known)


def _localversion(case: Case, own: str, kernels: str) -> Told:
    """What CONFIG_LOCALVERSION, a localversion file or LOCALVERSION= of make appends."""
    tree = case.built.tree
    extra = tree.extraversion if tree and kernels.startswith(tree.extraversion) else ""
    kept, git = _without_git(own)
    configured = _localversion_of(case.target.config)
    adds = "CONFIG_LOCALVERSION adds"
    if case.target.config and configured != kernels[len(extra) :] and kernels != extra:
        adds = "a localversion file, or LOCALVERSION= of make, adds (CONFIG_LOCALVERSION there does not)"
    if kernels.startswith(kept):
        why = f"the module's tree lacks {kernels[len(kept) :]!r}, which {adds} to the kernel's release"
    elif kept.startswith(kernels):
        why = f"CONFIG_LOCALVERSION adds {kept[len(kernels) :]!r} in the module's tree, and not in the kernel's"
    else:
        why = f"{kept[len(extra) :]!r} is appended in the module's tree, and {kernels[len(extra) :]!r} in the kernel's"
    why += f"; and the module's tree is a git checkout, which added {git!r}" if git else ""
    steps = [
        *(_git_steps(case) if git else ()),
        case.scripts_config(f"--set-str LOCALVERSION {word(kernels[len(extra) :])}"),
    ]
    nothing = ("LOCALVERSION=",) if git else ()
    steps += [case.make(*nothing, "olddefconfig modules_prepare"), *case.rebuild(*nothing)]
    known = configured == kernels[len(extra) :] or (_localversion_of(case.own_config) or "") == kept != ""
    return Told("localversion", why, case.mended(*steps), known)


def _without_git(suffix: str) -> tuple[str, str]:
    """A release's suffix without what the state of a git tree added to it, and that."""
    place = next((at for at in range(len(suffix)) if git_suffix(suffix[at:])), len(suffix))
    return suffix[:place], suffix[place:]


def options(case: Case) -> Iterator[Cause]:
    """Words of vermagic other than the release: the options behind them."""
    vermagic = case.found("vermagic")
    if vermagic is None:
        return
    ours, theirs = str(vermagic.details.get("module") or ""), str(vermagic.details.get("target") or "")
    if not ours.split():
        yield Cause(
            "not-a-module",
            "likely",
            "vermagic is missing: modpost did not make the module",
            (f"no vermagic in .modinfo of {case.module.path}",),
            case.rebuild(),
            ("vermagic",),
        )
        return
    if theirs:
        differ = [word for word in theirs.split()[1:] if word not in ours.split()[1:]]
        differ += [word for word in ours.split()[1:] if word not in theirs.split()[1:]]
    else:
        differ = ["modversions"] if "CONFIG_MODVERSIONS" in vermagic.summary else []
    if not differ:
        return
    compilers = [word for word in differ if word.startswith("gcc-")]
    if compilers:
        wanted = next((word for word in theirs.split() if word.startswith("gcc-")), "")
        yield Cause(
            "other-compiler",
            "certain",
            f"until 2.6.19 vermagic names the compiler: {' and '.join(compilers)}",
            _both(case, ours, theirs),
            case.rebuild(f"CC={wanted}"),
            ("vermagic",),
        )
        return
    own_words = ours.split()[1:]
    told = {word: option_of(word, case.target.version) for word in differ}
    evidence = [_side(case, word, told[word][0], word in own_words) for word in differ]
    cpu = [word for word in differ if told[word][1] and not word.startswith("RANDSTRUCT")]
    if cpu:
        own, kernels_own = _two(cpu, own_words)
        name, why = "other-cpu", f"the module's tree is configured for {own}, the kernel for {kernels_own}"
    elif differ == ["modversions"]:
        has, lacks = ("module's tree", "kernel") if "modversions" in own_words else ("kernel", "module's tree")
        name, why = "modversions", f"CONFIG_MODVERSIONS is on in the {has}, and off in the {lacks}"
    else:
        names = ", ".join(f"CONFIG_{told[word][0]}" if told[word][0] else word.partition("_")[0] for word in differ)
        name, why = "other-config", f"the module's tree has another .config than the kernel: {names}"
    kernels = headers(case.releases[1])
    table = put_table(case) if name == "modversions" and case.target.modversions else ()
    fix = case.mended(*case.take_config(), case.prepare, *table, *case.rebuild())
    if kernels and case.releases[0] != case.releases[1]:
        fix = case.with_headers(kernels)
    evidence += [*_both(case, ours, theirs), *case.option_lines()]
    yield Cause(name, "certain", why, tuple(evidence), fix, ("vermagic",))


def _two(words: list[str], own: list[str]) -> tuple[str, str]:
    """The words of each side."""
    sides = [" ".join(word for word in words if (word in own) == ours) for ours in (True, False)]
    return sides[0] or "another processor", sides[1] or "another"


def _side(case: Case, word: str, option: str | None, own: bool) -> str:
    if option is None:
        return f"{word}: {'in the module' if own else 'in the kernel'} alone"
    return case.sides(option, "y" if own else "n", "n" if own else "y")


def _both(case: Case, ours: str, theirs: str) -> tuple[str, ...]:
    kernel = (f"the kernel: {theirs} ({case.source('vermagic')})",) if theirs else ()
    return (f"the module: {ours}", *kernel)


def struct_module(case: Case) -> Iterator[Cause]:
    """struct module has another size."""
    finding = case.found("module-struct")
    if finding is None:
        return
    sizes = f"struct module: {finding.details['module']} bytes in the module, {finding.details['target']} in the kernel"
    evidence = [f"{sizes} ({case.source('this_module_size')})"]
    own, kernels = case.own_config, case.target.config
    differing = [one for one in changing("module") if own and kernels and own.get(one) != kernels.get(one)]
    evidence += [case.sides(option, "", "") for option in differing]
    pahole = case.target.option("DEBUG_INFO_BTF_MODULES") == "y" and case.module.btf is None
    if pahole:
        evidence.append(
            f"the kernel has CONFIG_DEBUG_INFO_BTF_MODULES=y ({case.source('config')}), the module no .BTF: kbuild "
            "turns the option off, without a word, where pahole is not installed"
        )
    some_options = ", ".join(
        f"CONFIG_{one}" for one in ("DEBUG_INFO_BTF_MODULES", "LIVEPATCH", "KPROBES", "TRACEPOINTS")
    )
    why = f"struct module depends on options ({some_options} …), and those of the module's tree are not the kernel's"
    kernel = headers(case.releases[1])
    steps = ("apt install dwarves    # pahole",) if pahole or not differing else ()
    rebuild = case.with_headers(kernel) if kernel else (*case.take_config(), case.prepare, *case.rebuild())
    yield Cause("struct-module", "likely" if differing or pahole else "possible", why, tuple(evidence),
                (*steps, *rebuild), ("module-struct",))  # fmt: skip


def compiler(case: Case) -> Iterator[Cause]:
    """The compiler is far from the kernel's: told beside what it may have changed."""
    rules = case.refuses("module-struct", "module-layout", "symbol-version", "relocation")
    text = case.target.option("CC_VERSION_TEXT") or ""
    ours, theirs = _COMPILER.search(_plain(case.built.compiler or "")), _COMPILER.search(_plain(text))
    if not rules or not ours or not theirs:
        return
    same = ours[1].lower() == theirs[1].lower()
    if same and abs(int(ours[2]) - int(theirs[2])) < 2:
        return
    yield Cause(
        "compiler",
        "possible",
        f"the module was compiled with {ours[1].lower()} {ours[2]}, the kernel with {theirs[1].lower()} {theirs[2]}: "
        "kconfig turns options on and off by what the compiler can do",
        (f"{case.built.compiler} ({case.module.path})", f"{text} ({case.source('config')})"),
        (f"# build with {theirs[1].lower()} {theirs[2]}:", *case.rebuild(f"CC={theirs[1].lower()}-{theirs[2]}")),
        rules,
    )


def _plain(text: str) -> str:
    """A compiler's line without its vendor's words in brackets: `GCC: (Debian 12.2.0-14) 12.2.0`."""
    return re.sub(r"\([^)]*\)", "", text)
