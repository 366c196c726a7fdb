"""Reading a target: whatever the user has of a kernel in, one `Target` out, each fact with the source it came from.

A fact given by an option beats the same fact found in a file. What runs goes before what was built: `Target.tied` says
whether a tree or a table is of the build that runs. Nothing here looks at a module under test.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..arch import ARCHES, Endianness, parse_arch
from ..errors import TargetError
from ..files import real_path
from ..version import Version, parse_version
from .against import Against, one_target
from .certificates import read_certificate
from .collect import Collector
from .facts import Symbols, Target
from .kconfig import Config, is_config
from .kinds import read_config, read_symvers
from .sources import release_given, sort_sources
from .symvers import Symvers, is_symvers
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
    same_build: bool = False,
    running: bool = False,
) -> Target:
    """Everything that the given sources and facts tell of one kernel.

    :param sources: kernel build or headers directories, images, modules of the board, modules directories, root file
        systems, captures, profiles, packages or a folder of them, Module.symvers files, a `.config`
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
    :param same_build: whether the given table or tree is of the very build that runs, as the user knows
    :param running: this machine's kernel, by what this user may read
    :raises UnreadableError: a file that cannot be read
    :raises TargetError: a source that is broken, or that describes no kernel at all
    """
    release = release_given(release)
    given = [os.fspath(source) for source in sources]
    symvers = (*(os.fspath(path) for path in symvers), *filter(is_symvers, given))
    configs = list(filter(is_config, given))
    if len(configs) + (config is not None) > 1:
        raise TargetError(configs[-1], "a second .config: a target is one kernel")
    given = [source for source in given if source not in (*symvers, *configs)]
    config = next(iter(configs), config)
    tables = [read_symvers(path) for path in symvers]
    if not (given or tables or release or vermagic or config or kernel or modules_dir or running):
        raise TargetError("no target", NO_TARGET)
    found = sort_sources(given, release, running=running)
    board, profile = found.board, found.profile
    tree_saved = profile if profile and profile.standing == "built" else None
    for one, other, kind in ((kernel, found.kernel, "image"), (modules_dir, found.modules_dir, "modules directory")):
        if one is not None and other is not None and os.fspath(one) != other:
            raise TargetError(other, f"a second {kind}, beside {os.fspath(one)}: a target is one kernel")
    against = Against(tables, found.trees, tree_saved, found.symvers)
    own = [real_path(tree.origin(".config")) for tree in against.trees]
    if config is not None and real_path(os.fspath(config)) in own:
        config = None  # the tree's own, and nothing that a board has told
    kernel, modules_dir = kernel or found.kernel, modules_dir or found.modules_dir
    saved = None if tree_saved else profile
    if saved and (kernel or modules_dir or board or found.images or found.modules):
        raise TargetError(
            saved.path, "a profile describes a whole kernel: give it no image, modules or capture beside it"
        )

    runs = Collector()
    options = (("--release", release), ("--vermagic", vermagic), ("--config", config))
    runs.sources += [option for option, value in options if value is not None]
    runs.release.give(release, "--release")
    if vermagic is not None:
        runs.vermagic.give(with_blank(vermagic), "--vermagic")
        runs.release.give(vermagic.split(" ")[0], "--vermagic")
    for path in (config, board.config() if board else None):
        if path is not None:
            runs.config.give(read_config(path), os.fspath(path))
    if runs.config.value is None and found.config:
        runs.config.give(read_config(found.config), found.config)
    runs.version.give(_parse_option(kernel_version), "--kernel-version")
    runs.arch.give(*_arch_option(arch))
    if vendor is not None and vendor not in VENDORS:
        raise TargetError("--vendor", f"{vendor!r} is none of {', '.join(VENDORS)}")
    runs.vendor.give(vendor, "--vendor")
    runs.certificates += [read_certificate(os.fspath(path)) for path in trusted_cert]
    runs.cmdline.give(cmdline, "--cmdline")
    if lockdown is not None and lockdown not in LOCKDOWN_MODES:
        raise TargetError("--lockdown", f"{lockdown!r} is none of {', '.join(LOCKDOWN_MODES)}")
    runs.lockdown.give(lockdown, "--lockdown")
    if saved:
        runs.read_profile(saved)
    if board:
        runs.read_board(board)
    if runs.config.value:
        runs.version.give(runs.config.value.version, f"{runs.config.origin} (header)")
    if kernel is not None:
        from .image import Image

        runs.use_image(Image(os.fspath(kernel), runs.release.value or found.release))
    else:
        runs.find_image(found.images, found.release, board)
    runs.read_board_modules(found.modules)
    runs.version_of_release()
    runs.refuse_contradictions()
    if modules_dir is not None:
        runs.read_modules(os.fspath(modules_dir))
        runs.refuse_other_modules()
        runs.release_of_modules()
    elif saved:
        runs.use_saved_modules(saved)
    if board:
        runs.arch_of_board(board)
    described = bool(runs.sources)
    if not (described or against.describes):
        raise TargetError(
            tables[0].path,
            "has no symbols of vmlinux, so it is not a kernel's (kbuild writes such a file beside every out-of-tree "
            "module); give the Module.symvers of the kernel's build or headers directory",
        )
    return one_target(runs, against, stated=same_build, saved=saved, board=board, described=described)


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
