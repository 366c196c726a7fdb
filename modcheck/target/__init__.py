"""Reading a target: whatever the user has of a kernel in, one `Target` out, each fact with the source it came from.

A fact given by an option beats the same fact found in a file; two that contradict each other are told in
`Target.notes`. Nothing here looks at a module under test.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..arch import ARCHES, Endianness, parse_arch
from ..errors import TargetError
from ..version import Version, parse_version
from .certificates import read_certificate
from .collect import Collector
from .facts import Symbols, Target
from .kconfig import Config, is_config, read_config
from .sources import sort_sources
from .symvers import Symvers, is_symvers, read_symvers
from .tree import Tree, is_tree
from .vendor import VENDORS
from .vermagic import with_blank

__all__ = ["VENDORS", "Config", "Symbols", "Symvers", "Target", "read_config", "read_symvers", "read_target"]

#: what /sys/kernel/security/lockdown can be
LOCKDOWN_MODES = ("none", "integrity", "confidentiality")

StrPath = str | os.PathLike[str]

NO_TARGET = (
    "nothing describes the kernel; give one of: --target PATH (the kernel's build or headers directory, its image, a "
    "root file system, what `modcheck capture` made on the board), --symvers FILE (the kernel's Module.symvers), or "
    "--release with --config (from the board: `uname -r` and /proc/config.gz)"
)


def read_target(
    *sources: StrPath,
    symvers: Sequence[StrPath] = (),
    release: str | None = None,
    kernel_version: str | None = None,
    vermagic: str | None = None,
    config: StrPath | None = None,
    kernel: StrPath | None = None,
    modules_dir: StrPath | None = None,
    arch: str | None = None,
    vendor: str | None = None,
    trusted_cert: Sequence[StrPath] = (),
    cmdline: str | None = None,
    lockdown: str | None = None,
    running: bool = False,
) -> Target:
    """Everything that the given sources and facts tell of one kernel.

    :param sources: kernel build or headers directories, images, modules directories, root file systems, captures,
        profiles, packages or a folder of them, Module.symvers files, a `.config`
    :param symvers: Module.symvers files; where the first that is a kernel's lies in a build tree, that tree is used too
    :param release: what `uname -r` prints there
    :param kernel_version: its version, `6.1.192`
    :param vermagic: its whole vermagic, the blank at its end with or without
    :param config: its `.config`, plain or gzip
    :param kernel: its image: release, exports, type information, certificates
    :param modules_dir: its `/lib/modules/RELEASE`; one module there shows sizeof(struct module) and vermagic
    :param arch: its architecture, by any common name
    :param vendor: whose kernel it is, one of `VENDORS`
    :param trusted_cert: X.509 certificates in its keyring, DER or PEM
    :param cmdline: its command line, as /proc/cmdline prints it
    :param lockdown: its lockdown mode, one of `LOCKDOWN_MODES`
    :param running: this machine's kernel, by what this user may read
    :raises UnreadableError: a file that cannot be read
    :raises TargetError: a source that is broken, or that describes no kernel at all
    """
    given = [os.fspath(source) for source in sources]
    symvers = (*symvers, *filter(is_symvers, given))
    configs = list(filter(is_config, given))
    if len(configs) + (config is not None) > 1:
        raise TargetError(configs[-1], "a second .config: a target is one kernel")
    sources = tuple(source for source in given if source not in (*symvers, *configs))
    config = next(iter(configs), config)
    tables = [read_symvers(path) for path in symvers]
    if not (sources or tables or release or vermagic or config or kernel or modules_dir or running):
        raise TargetError("no target", NO_TARGET)
    found = sort_sources([os.fspath(source) for source in sources], release, running=running)
    trees, board, profile = found.trees, found.board, found.profile
    kernel, modules_dir, config = kernel or found.kernel, modules_dir or found.modules_dir, config or found.config
    if profile and (kernel or modules_dir or trees or board or found.images):
        raise TargetError(
            profile.path, "a profile describes a whole kernel: give it no image, modules or tree beside it"
        )
    if board and config is None:
        config = board.config()
    if found.symvers and not any(table.has_kernel for table in tables):
        tables.insert(0, read_symvers(found.symvers))
    if not (trees or sources or running):
        around = (os.path.dirname(table.path) or "." for table in tables if table.has_kernel)
        trees = [Tree(path) for path in around if is_tree(path)][:1]
    described = trees or release or vermagic or config or kernel or modules_dir or found.images or board or profile
    if not (described or any(table.has_kernel for table in tables)):
        raise TargetError(
            tables[0].path,
            "has no symbols of vmlinux, so it is not a kernel's (kbuild writes such a file beside every out-of-tree "
            "module); give the Module.symvers of the kernel's build or headers directory",
        )

    work = Collector()
    work.release.give(_one_word("--release", release), "--release")
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
    work.certificates += [read_certificate(os.fspath(path)) for path in trusted_cert]
    work.cmdline.give(cmdline, "--cmdline")
    if lockdown is not None and lockdown not in LOCKDOWN_MODES:
        raise TargetError("--lockdown", f"{lockdown!r} is none of {', '.join(LOCKDOWN_MODES)}")
    work.lockdown.give(lockdown, "--lockdown")
    if profile:
        work.read_profile(profile)
    if board:
        work.read_board(board)
    if work.config.value:
        work.version.give(work.config.value.version, f"{work.config.origin} (header)")
    if kernel is not None:
        from .image import Image

        work.use_image(Image(os.fspath(kernel), work.release.value or found.release))
    else:
        work.find_image(found.images, found.release, board)
    work.version_of_release()
    if modules_dir is not None:
        work.read_modules(os.fspath(modules_dir))
    elif profile:
        work.use_saved_modules(profile)
    for tree in trees:
        work.read_tree(tree, tables)
    if work.reference and work.reference.vermagic and not work.release.value:
        work.release.give(work.reference.vermagic.split(" ")[0], work.reference.path)
    work.version_of_release()
    if not any(table.has_kernel for table in tables):
        tables += profile.tables if profile else work.rebuilt_tables(board.exports() if board else None)
    if tables and not any(table.has_kernel or table.inferred for table in tables):
        work.notes.append(f"{tables[0].path} has no symbols of vmlinux: it is a module's own table, and no kernel's")
    tree_alone = bool(trees) and not (kernel or found.release or board)
    built_here = (tree_alone or (profile is not None and profile.built_here)) and work.release.origin not in (
        "--release",
        "--vermagic",
    )
    return work.finish(tables, built_here=built_here)


def _one_word(option: str, value: str | None) -> str | None:
    """A release, without the line's end that it may have come with.

    :raises TargetError: it is not one word, as all that `uname -a` prints
    """
    found = value.strip() if value is not None else None
    if found is not None and len(found.split()) != 1:
        raise TargetError(option, f"{found!r} is not what `uname -r` prints")
    return found


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
