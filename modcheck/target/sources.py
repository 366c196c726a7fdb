"""What a `--target` path is: an image, a modules directory, a root file system, or a build or headers directory."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import TargetError
from .tree import Tree, find_tree, is_tree

#: files by which a modules directory is known; the last lies beside every out-of-tree module as well
_LISTS = ("modules.dep", "modules.builtin", "modules.order")
#: where a root file system, or a package that is unpacked, keeps the image of a release
_IMAGES = ("boot/vmlinuz-{}", "boot/vmlinux-{}", "boot/Image-{}", "{modules}/vmlinuz", "{modules}/vmlinux")
_CONFIGS = ("boot/config-{}", "{modules}/config")


class Sources(NamedTuple):
    """What the given paths come to."""

    trees: list[Tree]
    kernel: str | None = None
    modules_dir: str | None = None
    config: str | None = None


def sort_sources(paths: Sequence[str], release: str | None) -> Sources:
    """Tell what each path is.

    :param release: picks one where a path holds several kernels
    :raises TargetError: a path that is none of these, or that holds several kernels
    """
    trees: list[Tree] = []
    kernel = modules_dir = config = None
    for path in paths:
        if os.path.isfile(path):
            kernel = kernel or path
        elif is_modules_dir(path):
            modules_dir = modules_dir or path
        elif not is_tree(path) and (modules := _installed(path, release)):
            modules_dir = modules_dir or modules
            kernel = kernel or _first(path, _IMAGES, modules)
            config = config or _first(path, _CONFIGS, modules)
        else:
            trees.append(find_tree(path, release))
    return Sources(trees, kernel, modules_dir, config)


def is_modules_dir(path: str) -> bool:
    """Whether `path` is a `/lib/modules/RELEASE`."""
    installed = os.path.basename(os.path.dirname(os.path.abspath(path))) == "modules"
    lists = _LISTS if installed else _LISTS[:-1]
    return any(os.path.isfile(os.path.join(path, name)) for name in lists) and not is_tree(path)


def _installed(root: str, release: str | None) -> str | None:
    """The modules directory in a root file system; None where there is none.

    :raises TargetError: there are several, and `release` picks none of them
    """
    found: dict[str, str] = {}
    for folder in ("lib/modules", "usr/lib/modules"):
        for path in sorted(glob.glob(os.path.join(glob.escape(root), folder, "*"))):
            if is_modules_dir(path):
                found.setdefault(os.path.basename(path), path)
    if release in found:
        return found[release]
    if len(found) > 1:
        raise TargetError(root, f"holds more than one kernel: {', '.join(found)}; --release picks one")
    return next(iter(found.values()), None)


def _first(root: str, places: Sequence[str], modules: str) -> str | None:
    """The first of the places that is a file."""
    release = os.path.basename(modules)
    paths = (os.path.join(root, place.format(release, modules=os.path.relpath(modules, root))) for place in places)
    return next((path for path in paths if os.path.isfile(path)), None)
