"""What a `--target` path is: an image, a modules directory, a root file system (on disk, in a package or in a tar), a
capture, a saved profile, or a build or headers directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from string import digits
from typing import TYPE_CHECKING

from ..errors import TargetError
from ..files import beginning, is_file, is_folder, list_folder, mount
from ..roots import forget, unpacked
from .tree import Tree, find_tree, is_tree

if TYPE_CHECKING:
    from .board import Board
    from .profile import Profile

#: files by which a modules directory is known; the last lies beside every out-of-tree module as well
_LISTS = ("modules.dep", "modules.builtin", "modules.order")
_MODULES = ("lib/modules", "usr/lib/modules")
#: where a root file system, or a package that is unpacked, keeps what belongs to one release
_IMAGES = (
    "boot/vmlinuz-{}", "boot/vmlinux-{}", "boot/Image-{}", "boot/zImage-{}", "boot/uImage-{}", "boot/kernel-{}",
    "{modules}/vmlinuz", "{modules}/vmlinux",
)  # fmt: skip
_CONFIGS = ("boot/config-{}", "{modules}/config")
_TABLES = ("{modules}/symvers.xz", "{modules}/symvers.gz", "boot/symvers-{}.gz", "boot/symvers-{}.xz")
_TREES = ("{modules}/build", "usr/src/linux-headers-{}", "usr/src/kernels/{}")
#: folders where boards keep their image, under whatever name
_BOOTS = ("boot", "boot/firmware", "boot/efi/EFI/Linux", "modcheck")
_ENDS = (".itb", ".img", ".efi", ".gz", "vmlinuz", "vmlinux", "Image", "zImage", "uImage", "fitImage", "modcheck/image")
_PACKAGES = (".deb", ".rpm")


class Sources:
    """What the given paths come to.

    :ivar kernel: an image that was named
    :ivar images: files that may be the image, the likeliest first
    :ivar release: whose image it must be
    :ivar modules: single modules of the board
    """

    def __init__(self) -> None:
        self.trees: list[Tree] = []
        self.images: list[str] = []
        self.kernel: str | None = None
        self.release: str | None = None
        self.modules_dir: str | None = None
        self.config: str | None = None
        self.symvers: str | None = None
        self.board: Board | None = None
        self.profile: Profile | None = None
        self.modules: list[str] = []


def sort_sources(paths: Sequence[str], release: str | None, *, running: bool = False) -> Sources:
    """Tell what each path is.

    :param release: picks one where a path holds several kernels
    :param running: whether this machine's kernel is one more
    :raises TargetError: a path that is none of these, or that holds several kernels
    :raises UnreadableError: an archive that cannot be read
    """
    forget()
    found = Sources()
    if running:
        from .board import Board

        found.board = Board(os.sep)
        _root(os.sep, found.board.release() or os.uname().release, found)
    for path in paths:
        if os.path.isdir(path):
            _add_folder(path, release, found)
        elif not os.path.isfile(path):
            exists = os.path.exists(path)
            raise TargetError(path, "neither a file nor a directory" if exists else "no such file or directory")
        elif _is_document(path):
            from .profile import read_profile

            _only(path, "profile", found.profile)
            found.profile = read_profile(path)
        elif _is_archive(path):
            _add_archive(path, release, found)
        elif is_relocatable(path):
            found.modules.append(path)
        else:
            _only(path, "image", found.kernel)
            found.kernel = path
    return found


def release_given(text: str | None) -> str | None:
    """The release that `text`, an option's value, names, without the line's end that it may have come with.

    It is VERSION.PATCHLEVEL, and what kbuild appends (`filechk_kernel.release` of the top Makefile): one word that
    begins with a digit.

    :raises TargetError: it is none, as all that `uname -a` prints, or a file's name
    """
    if text is None:
        return None
    found = text.strip()
    if len(found.split()) == 1 and found[0] in digits and "/" not in found:
        return found
    hint = f"; --release @{found} reads it from that file" if os.path.isfile(found) else ""
    raise TargetError("--release", f"{found!r} is not what `uname -r` prints{hint}")


def _add_folder(path: str, release: str | None, found: Sources) -> None:
    """A modules directory, a tree, a root file system, or a folder of packages."""
    packages = [os.path.join(path, name) for name in list_folder(path) if name.endswith(_PACKAGES)]
    packages = [package for package in packages if os.path.isfile(package)]
    if is_modules_dir(path):
        _only(path, "modules directory", found.modules_dir)
        found.modules_dir = path
    elif is_tree(path):
        found.trees.append(Tree(path))
    elif packages and not any(os.path.isdir(os.path.join(path, name)) for name in ("boot", "lib", "usr")):
        _mount(path, packages)
        _root(path, release, found)
    else:
        _root(path, release, found)


def _add_archive(path: str, release: str | None, found: Sources) -> None:
    """A package, a capture, or another tar of a root file system."""
    from .board import CAPTURE, CAPTURE_END, Board

    _mount(path, [path])
    if is_file(os.path.join(path, CAPTURE)):
        _only(path, "capture", found.board)
        found.board = Board(path)
        if not found.board.captured:
            raise TargetError(path, "a capture of a later modcheck")
        if not is_file(os.path.join(path, CAPTURE_END)):
            raise TargetError(path, f"the capture is cut off: it ends without {CAPTURE_END}")
        release = release or found.board.release()
    _root(path, release, found)


def _only(path: str, kind: str, known: str | Board | Profile | None) -> None:
    """:raises TargetError: there is one of that kind already"""
    if known is not None:
        name = known if isinstance(known, str) else known.path
        raise TargetError(path, f"a second {kind}, beside {name}: a target is one kernel")


def _is_document(path: str) -> bool:
    """Whether a file begins like JSON."""
    return beginning(path, 64).lstrip()[:1] == b"{"


def is_relocatable(path: str) -> bool:
    """Whether a file, compressed or not, begins as an ELF object that is not linked: ET_REL."""
    start = beginning(path, 18, ".ko")
    return start[:4] == b"\x7fELF" and start[16:18] in (b"\1\0", b"\0\1")


def _is_archive(path: str) -> bool:
    from ..archives import is_archive

    return is_archive(path)


def _mount(path: str, archives: Sequence[str]) -> None:
    from ..archives import Archive

    mount(path, Archive(archives))


def is_modules_dir(path: str) -> bool:
    """Whether `path` is a `/lib/modules/RELEASE`."""
    installed = os.path.basename(os.path.dirname(os.path.abspath(path))) == "modules"
    lists = _LISTS if installed else _LISTS[:-1]
    known = any(is_file(os.path.join(path, name)) for name in lists) or (
        # as packages have it that hold the modules alone, or as a wrong INSTALL_MOD_PATH makes it
        installed and (is_folder(os.path.join(path, "kernel")) or is_folder(os.path.join(path, "lib/modules")))
    )
    return known and not is_tree(path)


def _root(root: str, release: str | None, found: Sources) -> None:
    """Add what the root of a file system, or of what is like one, holds of the kernel `release`, or of its only one.

    :raises TargetError: it holds none, or several of which `release` picks none
    """
    modules = _releases(root)
    if found.board and found.board.path == root and release not in modules:  # as in a container: another's kernel runs
        modules = {}
    if release not in modules and len(modules) > 1:
        raise TargetError(root, f"holds more than one kernel: {', '.join(modules)}; --release picks one")
    if release not in modules and modules and release:
        raise TargetError(root, f"holds {', '.join(modules)}, and not {release}")
    name = release if release in modules or not modules else next(iter(modules))
    folder = modules.get(name or "")
    if not modules:  # Android's has all modules in one folder, whatever their release
        folder = next((path for path in (os.path.join(root, one) for one in _MODULES) if is_modules_dir(path)), None)
    images = [path for path in _places(root, _IMAGES, name, folder) if is_file(path)] or _any_image(root)
    if folder is None and not images and found.board is None:
        found.trees.append(find_tree(root, release))
        return
    unpacked(root)
    found.images += images
    found.release = found.release or name
    if folder and is_modules_dir(folder):
        _only(folder, "modules directory", found.modules_dir)
        found.modules_dir = folder
    found.config = found.config or next(filter(is_file, _places(root, _CONFIGS, name, folder)), None)
    found.symvers = found.symvers or next(filter(is_file, _places(root, _TABLES, name, folder)), None)
    if not (images and found.config):
        found.trees += [Tree(path) for path in _places(root, _TREES, name, folder) if is_tree(path)][:1]


def _releases(root: str) -> dict[str, str]:
    """The kernels whose modules, or whose image, a root file system holds: release and folder of the modules."""
    found: dict[str, str] = {}
    for folder in _MODULES:
        for name in list_folder(os.path.join(root, folder)):
            path = os.path.join(root, folder, name)
            if is_modules_dir(path) or any(is_file(os.path.join(path, image)) for image in ("vmlinuz", "vmlinux")):
                found.setdefault(name, path)
    return found


def _places(root: str, places: Sequence[str], release: str | None, modules: str | None) -> list[str]:
    """The paths of what belongs to a release."""
    if release is None:
        return []
    folder = os.path.relpath(modules, root) if modules else os.path.join("lib/modules", release)
    return [os.path.join(root, place.format(release, modules=folder)) for place in places]


def _any_image(root: str) -> list[str]:
    """What may be an image by its name."""
    paths = [os.path.join(folder, name) for folder in _BOOTS for name in list_folder(os.path.join(root, folder))]
    named = [path for path in paths if path.endswith(_ENDS) or os.path.basename(path).startswith(("vmlinu", "kernel"))]
    return [path for one in named if is_file(path := os.path.join(root, one))]
