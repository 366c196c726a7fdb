"""Debian packages of any suite and architecture, fetched into a folder and unpacked, never installed.

Used by what is run by hand or by `make`: the rebuild of `sample_modules/`, the recording of test data, benches.
Each (suite, architecture) gets apt directories of its own below one cache folder; the archive's address is the one that
this machine's own apt already uses.

    python3 tools/debian.py CACHE SUITE ARCH names REGEX
    python3 tools/debian.py CACHE SUITE ARCH versions SOURCE_PACKAGE REGEX
    python3 tools/debian.py CACHE SUITE ARCH unpack DEST PACKAGE...
    python3 tools/debian.py CACHE SUITE ARCH source DEST PACKAGE[=VERSION]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

#: suites that have a security archive beside them
RELEASED = ("bullseye", "bookworm", "trixie")


class Archive:
    """One suite of Debian for one architecture; `cache` keeps its package lists and downloads."""

    def __init__(self, cache: Path, suite: str, arch: str) -> None:
        self.suite, self.arch = suite, arch
        self.dir = (cache / f"{suite}-{arch}").resolve()
        for name in ("lists/partial", "cache/archives/partial", "state", "debs"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        (self.dir / "status").touch()
        (self.dir / "sources.list").write_text("\n".join(self._sources()) + "\n")
        if not (self.dir / "updated").exists():
            self._apt("apt-get", "update", "--error-on=any")
            (self.dir / "updated").touch()

    def _sources(self) -> list[str]:
        sites = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        main = next(site.rstrip("/") for site in sites if site.rstrip("/").endswith("debian"))
        security = next((s.rstrip("/") for s in sites if "security" in s), main + "-security")
        lines = [f"deb {main} {self.suite} main", f"deb-src {main} {self.suite} main"]
        if self.suite in RELEASED:
            lines += [f"deb {security} {self.suite}-security main", f"deb-src {security} {self.suite}-security main"]
        return lines

    def _apt(self, tool: str, *words: str, cwd: Path | None = None) -> str:
        options = {
            "Dir::State": "state", "Dir::State::lists": "lists", "Dir::Cache": "cache",
            "Dir::State::status": "status", "Dir::Etc::sourcelist": "sources.list",
        }  # fmt: skip
        command = [tool]
        for name, value in options.items():
            command += ["-o", f"{name}={self.dir / value}"]
        command += ["-o", "Dir::Etc::sourceparts=-", "-o", f"APT::Architecture={self.arch}"]
        command += ["-o", f"APT::Architectures::={self.arch}", "-o", "Acquire::Languages=none"]
        command += ["-o", "APT::Sandbox::User=", "-o", "Dir::Cache::pkgcache=pkgcache.bin", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
        if done.returncode:
            raise SystemExit(f"{tool} {' '.join(words)} ({self.suite} {self.arch}): {done.stderr.strip()[-500:]}")
        return done.stdout

    def names(self, pattern: str) -> list[str]:
        """The package names that match `pattern` in full, sorted by their numbers."""
        names = self._apt("apt-cache", "pkgnames").split()
        found = {name for name in names if re.fullmatch(pattern, name)}
        return sorted(found, key=lambda name: ([int(n) for n in re.findall(r"\d+", name)], name))

    def depends(self, package: str) -> list[str]:
        """The names that the newest version of `package` depends on."""
        record = self._apt("apt-cache", "show", "--no-all-versions", package)
        line = re.search(r"^Depends: (.*)$", record, re.MULTILINE)
        return [word.split()[0] for word in line[1].split(",")] if line else []

    def version(self, package: str) -> str:
        """The newest version of `package`."""
        record = self._apt("apt-cache", "show", "--no-all-versions", package)
        found = re.search(r"^Version: (.*)$", record, re.MULTILINE)
        if not found:
            raise SystemExit(f"{self.suite} {self.arch} has no package {package}")
        return found[1]

    def download(self, package: str) -> Path:
        """The path of the `.deb` of `package`, fetched unless it is already here."""
        debs = self.dir / "debs"
        stem = f"{package}_{self.version(package).replace(':', '%3a')}_"
        if not any(debs.glob(f"{stem}*.deb")):
            self._apt("apt-get", "download", package, cwd=debs)
        return next(iter(debs.glob(f"{stem}*.deb")))

    def unpack(self, dest: Path, *packages: str) -> None:
        """Unpack `packages` into `dest`, as the installer would lay them below /."""
        dest.mkdir(parents=True, exist_ok=True)
        for package in packages:
            subprocess.run(["dpkg", "-x", self.download(package), dest], check=True)

    def versions(self, source: str, pattern: str) -> list[str]:
        """The versions of the source package `source` that match `pattern` in full, oldest first."""
        rows = (line.split("|") for line in self._apt("apt-cache", "madison", source).splitlines())
        found = {row[1].strip() for row in rows if row[0].strip() == source and "Sources" in row[2]}
        matching = (version for version in found if re.fullmatch(pattern, version))
        return sorted(matching, key=lambda version: [int(n) for n in re.findall(r"\d+", version)])

    def source(self, dest: Path, package: str) -> None:
        """Download the source package (its `.dsc` and tarballs, not unpacked) into `dest`."""
        dest.mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "source", "--download-only", "--only-source", package, cwd=dest)


class MainArchive(Archive):
    """A suite without its security archive and its sources."""

    def _sources(self) -> list[str]:
        return [line for line in super()._sources() if line.startswith("deb ") and "-security" not in line]


def open_archive(cache: Path, suite: str, arch: str) -> Archive:
    """The suite's archive; where the lists of its security archive cannot be had, the main one alone."""
    if (cache / "main-only" / f"{suite}-{arch}" / "updated").exists():
        return MainArchive(cache / "main-only", suite, arch)
    try:
        return Archive(cache, suite, arch)
    except SystemExit as error:
        print(f"without the security archive: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        # or the next run would take the lists that did come for all there are
        shutil.rmtree(cache / f"{suite}-{arch}")
        return MainArchive(cache / "main-only", suite, arch)


def main(cache: str, suite: str, arch: str, verb: str, *words: str) -> None:
    archive = open_archive(Path(cache), suite, arch)
    if verb == "names":
        print("\n".join(archive.names(words[0])))
    elif verb == "versions":
        print("\n".join(archive.versions(words[0], words[1])))
    elif verb == "unpack":
        archive.unpack(Path(words[0]), *words[1:])
    elif verb == "source":
        archive.source(Path(words[0]), words[1])
    else:
        raise SystemExit(f"no such verb: {verb}")


if __name__ == "__main__":
    main(*sys.argv[1:])
