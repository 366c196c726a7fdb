"""Record small real modules of Debian's kernels, and beside them what other tools read in them.

    python3 tools/record_modules.py CACHE [SUITE-ARCH...]   (downloads some 1.5 GB, of which little is kept; 10 minutes)

Of each kernel in `KERNELS`, the modules that `RULES` pick go to `tests/data/modules/ARCH-RELEASE/` (ARCH is Debian's
name), with `truth.json`: what kmod's modinfo and modprobe, binutils' readelf, and the Module.symvers of the same
kernel's headers package say of them, in their own words. Nothing there is typed by hand, nor read by modcheck. Where
two of the tools speak of the same fact and differ, the kernel is not recorded.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from debian import Archive
from record_vermagic import fetched, files, kernels_of, open_archive, read_elf

OUTPUT = Path(__file__).resolve().parent.parent / "tests/data/modules"

#: suite, Debian's architecture, and the kernel's series, "" for the newest; of the flavours the first by name is taken
KERNELS = (
    ("bullseye", "amd64", "5.10."), ("bullseye", "arm64", "5.10."), ("bullseye", "armhf", "5.10."),
    ("bullseye", "i386", "5.10."),
    ("bookworm", "amd64", "6.1."), ("bookworm", "arm64", "6.1."), ("bookworm", "armhf", "6.1."),
    ("bookworm", "armel", "6.1."), ("bookworm", "i386", "6.1."), ("bookworm", "mips64el", "6.1."),
    ("bookworm", "mipsel", "6.1."), ("bookworm", "ppc64el", "6.1."), ("bookworm", "s390x", "6.1."),
    ("trixie", "amd64", "6.12."), ("trixie", "riscv64", "6.12."),
    ("sid", "amd64", ""), ("sid", "loong64", ""),
)  # fmt: skip

#: the smallest module of which each of these is true is recorded; the second only where the first is true of none
RULES = (
    "exports plain and GPL-only symbols",
    "exports anything",
    "exports into a namespace",
    "imports a namespace",
    "has a parameter",
)

#: what modinfo prints of a signature, after all that it has from .modinfo
SIGNATURE_KEYS = {"sig_id", "signer", "sig_key", "sig_hashalgo", "signature"}

_MODULE = re.compile(r"/lib/modules/.+\.ko(\.xz)?$")

Rows = dict[str, list[str]]
"""the rows of a Module.symvers, by the basename of their module column"""


class Package(NamedTuple):
    """Where something was taken from."""

    package: str
    version: str
    source: str
    """the source package, with its version where that differs"""


class Picked(NamedTuple):
    """A module of the image package; the smallest comes first."""

    size: int
    path: str
    data: bytes
    """as the package has it: perhaps compressed"""

    @property
    def name(self) -> str:
        return Path(self.path).name.removesuffix(".xz").removesuffix(".ko")

    @property
    def plain(self) -> bytes:
        return lzma.decompress(self.data) if self.path.endswith(".xz") else self.data


def run(*command: str | Path) -> str:
    """What a tool prints; text that is not UTF-8 is kept as surrogates."""
    done = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode("utf-8", "surrogateescape")


def describe(deb: Path) -> Package:
    fields = {key: run("dpkg-deb", "-f", deb, key).strip() for key in ("Package", "Version", "Source")}
    return Package(fields["Package"], fields["Version"], fields["Source"] or fields["Package"])


def read_headers(archive: Archive, release: str) -> tuple[Package, Rows, bool]:
    """The headers package, its Module.symvers, and whether its kernel has CONFIG_MODVERSIONS."""
    top = f"/usr/src/linux-headers-{release}/"
    with fetched(archive, f"linux-headers-{release}") as deb:
        package = describe(deb)
        pattern = re.escape(top) + r"(Module\.symvers|\.config)$"
        found = {path.rpartition("/")[2]: data.decode() for path, data in files(deb, pattern)}
    if found.keys() != {"Module.symvers", ".config"}:
        raise SystemExit(f"{package.package} has only {sorted(found)}")
    rows: Rows = defaultdict(list)
    for line in found["Module.symvers"].splitlines():
        rows[line.split("\t")[2].rpartition("/")[2]].append(line)
    return package, rows, "\nCONFIG_MODVERSIONS=y\n" in found[".config"]


def true_of(module: Picked, rows: list[str]) -> set[str]:
    """Which of `RULES` are true of a module that exports `rows`."""
    words = read_elf(module.plain)[2].get(".modinfo", b"").split(b"\0")
    kinds = {row.split("\t")[3] for row in rows}
    facts = (
        kinds >= {"EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"},
        bool(rows),
        any(row.split("\t")[4] for row in rows),
        any(word.startswith(b"import_ns=") for word in words),
        any(word.startswith((b"parm=", b"parmtype=")) for word in words),
    )
    return {rule for rule, fact in zip(RULES, facts) if fact}


def pick(archive: Archive, release: str, rows: Rows) -> tuple[Package, dict[str, Picked]]:
    """The package that has the kernel's modules (`linux-modules-REL` in 7.x), and the smallest for each rule."""
    packages = archive.names(rf"linux-(modules|image)-{re.escape(release)}(-unsigned)?")
    for name in sorted(packages, key=lambda name: ("-modules-" not in name, name)):
        smallest: dict[str, Picked] = {}
        with fetched(archive, name) as deb:
            package = describe(deb)
            for path, data in files(deb, _MODULE):
                module = Picked(len(data), path, data)
                beaten = {rule for rule in RULES if rule not in smallest or module < smallest[rule]}
                if beaten:
                    for rule in beaten & true_of(module, rows.get(module.name, [])):
                        smallest[rule] = module
        if smallest:
            if RULES[0] in smallest:
                del smallest[RULES[1]]
            return package, smallest
    raise SystemExit(f"no package with modules of {release} among {packages}")


def hex_dump(path: Path, section: str) -> bytes:
    """A section's bytes, as `readelf -x` shows them."""
    rows = re.findall(r"^  0x[0-9a-f]+ (.{35}) ", run("readelf", "-x", section, path), re.MULTILINE)
    return b"".join(map(bytes.fromhex, rows))


def read_modinfo(path: Path) -> tuple[list[str], bool]:
    """The `key=value` of .modinfo in their order, and whether modinfo tells of a signature.

    modinfo prints the file's name first, the signature's pseudo-keys after the rest, and parameters last in a form of
    its own; so where those stand among the others is readelf's word, and all they say is checked against modinfo's.
    """
    raw = hex_dump(path, ".modinfo").decode("utf-8", "surrogateescape")
    pairs = [word for word in raw.split("\0") if word]
    plain = [pair for pair in pairs if not pair.startswith(("parm=", "parmtype="))]
    printed = [word for word in run("modinfo", "-0", path).split("\0") if word and not word.startswith("parm:")]
    extra = {word.partition("=")[0] for word in printed[1 + len(plain) :]}
    if not re.match("filename[:=]", printed[0]) or printed[1 : 1 + len(plain)] != plain or extra - SIGNATURE_KEYS:
        raise SystemExit(f"{path.name}: readelf has {plain}, modinfo has {printed}")
    texts, types = (dict(_values(pairs, key)) for key in ("parm", "parmtype"))
    merged = [
        f"{name}:{texts.get(name, '')}" + (f" ({types[name]})" if name in types else "") for name in {**texts, **types}
    ]
    for key, told in (("parm", merged), ("parmtype", [":".join(value) for value in _values(pairs, "parmtype")])):
        values = run("modinfo", "-0", "-F", key, path).split("\0")[:-1]
        if sorted(values) != sorted(told):
            raise SystemExit(f"{path.name}: readelf has {told} for {key}, modinfo has {values}")
    return pairs, bool(extra)


def _values(pairs: list[str], key: str) -> list[tuple[str, str]]:
    """Name and text of each of `pairs` that is `key=name:text`."""
    found = (pair.removeprefix(f"{key}=").partition(":") for pair in pairs if pair.startswith(f"{key}="))
    return [(name, text) for name, _, text in found]


def undefined(path: Path) -> list[str]:
    """`BINDING NAME` of each undefined symbol, in the order of the symbol table, without the empty first entry."""
    # ppc64 may have something in brackets before the section index
    rows = re.findall(r"^ +(\d+): \w+ +\d+ \w+ +(\w+) +\w+ +(?:\[.*\] +)?UND ?(.*)$", run("readelf", "-sW", path), re.M)
    return [f"{binding} {name.strip()}" for number, binding, name in rows if number != "0"]


def read_truth(module: Picked, rows: list[str]) -> dict[str, Any]:
    """What the tools say of one module."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{module.name}.ko"
        path.write_bytes(module.plain)
        header = dict(re.findall(r"^  ([\w ]+): +(.+)$", run("readelf", "-hW", path), re.MULTILINE))
        sections = dict(
            re.findall(r"^  \[ *\d+\] (\S+) +\w+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ", run("readelf", "-SW", path), re.M)
        )
        names = re.findall(r"^  \[ *\w+\]  (.*)$", run("readelf", "-p", ".gnu.linkonce.this_module", path), re.M)
        modinfo, signed = read_modinfo(path)
        versions = None
        if "__versions" in sections:
            versions = run("modprobe", "--dump-modversions", path).splitlines()
        return {
            "class": header["Class"],
            "data": header["Data"],
            "machine": header["Machine"],
            "name": names[0],
            "this_module_size": int(sections[".gnu.linkonce.this_module"], 16),
            "signed": signed,
            "modinfo": modinfo,
            "versions": versions,
            "undefined": undefined(path),
            "exports": rows,
        }


def record(archive: Archive, release: str) -> int:
    """Write the folder of one kernel; how many bytes its modules have."""
    headers, rows, modversions = read_headers(archive, release)
    image, smallest = pick(archive, release, rows)
    if headers.version != image.version:
        raise SystemExit(f"{release}: headers of {headers.version}, modules of {image.version}")
    rules: dict[Picked, list[str]] = {}
    for rule, module in smallest.items():
        rules.setdefault(module, []).append(rule)
    modules = {
        f"{module.name}.ko.xz": {
            "rules": sorted(rules[module], key=RULES.index),
            **read_truth(module, rows.get(module.name, [])),
        }
        for module in sorted(rules, key=lambda module: module.name)
    }
    truth = {
        "suite": archive.suite,
        "image": image._asdict(),
        "headers": headers._asdict(),
        "modversions": modversions,
        "modules": modules,
    }

    # the last recording goes only now that there is another: suites leave the archive
    for old in OUTPUT.glob(f"{archive.arch}-*/truth.json"):
        if json.loads(old.read_text())["suite"] == archive.suite:
            shutil.rmtree(old.parent)
    folder = OUTPUT / f"{archive.arch}-{release}"
    folder.mkdir(parents=True)
    for module in rules:
        compressed = module.data if module.path.endswith(".xz") else lzma.compress(module.data, preset=9)
        (folder / f"{module.name}.ko.xz").write_bytes(compressed)
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    return sum(path.stat().st_size for path in folder.glob("*.xz"))


def record_newest(archive: Archive, series: str) -> None:
    """Record the newest kernel that the archive can give: its lists may name packages that are gone."""
    flavours = kernels_of(archive, series)
    for release in flavours[min(flavours)] if flavours else []:
        try:
            print(f"{archive.suite} {archive.arch} {release}: {record(archive, release)} bytes", flush=True)
            return
        except SystemExit as error:
            print(f"skipped {archive.suite} {archive.arch} {release}: {' '.join(str(error).split())}", flush=True)
    print(f"skipped {archive.suite} {archive.arch}: no kernel could be had", flush=True)


def readme() -> str:
    """What the folder holds and whose it is."""
    rules = "\n".join(f"- {rule}" for rule in RULES)
    table = []
    for path in sorted(OUTPUT.glob("*/truth.json")):
        image = Package(**json.loads(path.read_text())["image"])
        table.append(f"| `{path.parent.name}` | `{image.package}` {image.version} | {image.source} |")
    kernels = "\n".join(table)
    return f"""\
# Modules of Debian's kernels

Written by `tools/record_modules.py`, with what other tools say of each module in `truth.json`.
Of each kernel, the smallest module that

{rules}

(the second only where the first is true of none). A module that Debian compresses is the very file of the package;
the others were compressed with `xz -9`.

The modules are parts of the Linux kernel as Debian builds it, under the GNU General Public License, version 2
(`/usr/share/common-licenses/GPL-2` on Debian; `license=` in each module's modinfo says where its own terms are wider).
Their source is Debian's source package `linux` of the same version, and the package named below where that is another;
<https://snapshot.debian.org/> keeps both.

| folder | taken from | source package |
|---|---|---|
{kernels}
"""


def main(cache: str, *only: str) -> None:
    wanted = [row for row in KERNELS if not only or f"{row[0]}-{row[1]}" in only]
    for suite, arch, series in wanted:
        record_newest(open_archive(Path(cache), suite, arch), series)
    (OUTPUT / "README.md").write_text(readme())
    print(f"{sum(path.stat().st_size for path in OUTPUT.rglob('*') if path.is_file())} bytes in all")


if __name__ == "__main__":
    main(*sys.argv[1:])
