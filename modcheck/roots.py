"""Root file systems that lie unpacked in a folder: their links lead where they lead on the machine whose root it is.

Such a root is told by the path: it is what stands before `lib/modules`, unless that is this machine's own; `--target`
names others. A link is followed as path_resolution(7) and chroot(2) have it: an absolute one begins at that root, also
where it has this machine's name for that, and none leads out of it. What is no module, and not there, is left to this
machine: `build` and `source`, which `make modules_install` leaves, lead to where the kernel was built.
"""

from __future__ import annotations

import errno
import os
import re
from functools import lru_cache

#: MAXSYMLINKS of include/linux/namei.h
_LINKS = 40
_ROOT = re.compile(r"(.+?)/(?:usr/)?lib/modules(?:/[0-9][^/]*(?:/.*)?)?", re.DOTALL)
_TREE = re.compile(r"(?:usr/)?lib/modules/[^/]+/(?:build|source)(?=/|$)")
_MODULES = re.compile(r"(?:usr/)?lib/modules/")

#: those that were named
_unpacked: set[str] = set()


def unpacked(root: str) -> None:
    """Let links in the folder `root`, a root file system, lead where they lead there, for the rest of the run."""
    if (whole := os.path.abspath(root)) != os.path.abspath(os.sep):
        _unpacked.add(whole)


def root_of(path: str | os.PathLike[str]) -> str | None:
    """The unpacked root file system that `path` lies in; None where it lies in none."""
    whole = os.path.abspath(path)
    if match := _ROOT.fullmatch(whole):
        return match[1]
    return next((root for root in _unpacked if whole.startswith(root + os.sep)), None)


def on_disk(path: str | os.PathLike[str]) -> str:
    """The path under which this machine finds what `path` leads to.

    :raises OSError: there are more links than the kernel follows
    """
    given = os.fspath(path)
    folder, _, file = given.rpartition(os.sep)
    place = _among_modules(folder, "" if folder.startswith(os.sep) else os.getcwd()) if file else None
    if place and not os.path.islink(here := f"{place}{os.sep}{file}"):
        return here
    root = root_of(path)
    if root is None:
        return given
    name = os.path.abspath(path)[len(root) + 1 :]
    tree = _TREE.match(name)
    if (tree or not _MODULES.match(name)) and not os.path.lexists(_walk(root, tree[0] if tree else name)):
        return given
    return _walk(root, name)


@lru_cache(maxsize=4096)
def _among_modules(folder: str, working: str) -> str | None:
    """Where a folder of modules lies, without links; None for any other. Thousands of modules lie in few of them."""
    root = root_of(folder)
    name = os.path.abspath(folder)[len(root or "") + 1 :] + os.sep
    if root is None or name.count(os.sep) < 4 or not _MODULES.match(name) or _TREE.match(name):
        return None
    return _walk(root, name)


#: to be called where the links of folders may have changed
forget = _among_modules.cache_clear


def _walk(root: str, name: str) -> str:
    """`root`/`name` without links below `root`; what is not there is taken as it is."""
    rest = name.split(os.sep)[::-1]
    found, links = root, 0
    while rest:
        part = rest.pop()
        if part == os.pardir and found != root:
            found = os.path.dirname(found)
        if part in ("", os.curdir, os.pardir):
            continue
        here = f"{found}{os.sep}{part}"
        try:
            link = os.readlink(here)
        except OSError:  # not there, or no link
            found = here
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), here)
        if link.startswith(os.sep):
            found = root
            names = (root, os.path.realpath(root))
            link = next((link[len(own) :] for own in names if link.startswith(own + os.sep)), link)
        rest += link.split(os.sep)[::-1]
    return found
