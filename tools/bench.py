"""What modcheck takes, beside what others take for a part of it, in one run: as ratios, since machines differ.

make bench [PARTS="one tree matrix fleet"] [WORK=folder]

`tree` and `matrix` take Debian's kernels (tests/oracle/kernels.py), fetched into WORK once: one for the tree, and for
the matrix 30, of which each that can still be had counts. What is written to stdout is what docs/speed.md shows.
"""

from __future__ import annotations

import json
import lzma
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

SAMPLES = ROOT / "sample_modules"
CHECKS = str(ROOT / "tools/bench_checks.py")
MODCHECK = str(Path(sys.executable).parent / "modcheck")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
#: runs of a short and of a long command; of the matrix: modules and targets
SHORT, LONG, MODULES, TARGETS = 20, 3, 400, 30


class Took(NamedTuple):
    """One run: seconds, and most memory of all its processes together, in MB."""

    seconds: float
    memory: float


def run(words: Sequence[str], *, watch: bool = False, status: Sequence[int] = (0,)) -> Took:
    """Run a command; its output is thrown away."""
    begun = time.perf_counter()
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        found = [0.0]
        watcher = threading.Thread(target=_watch, args=(process, found)) if watch else None
        if watcher:
            watcher.start()
        _, errors = process.communicate()
        took = time.perf_counter() - begun
        if watcher:
            watcher.join()
    assert process.returncode in status, (words, process.returncode, errors[-2000:])
    return Took(took, max(found))


def _watch(process: subprocess.Popen[bytes], found: list[float]) -> None:
    """Add up the memory of a process and its children, shared pages once, as long as it runs."""
    while process.poll() is None:
        found.append(sum(map(_memory, _family(process.pid))))
        time.sleep(0.02)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def side_by_side(
    commands: dict[str, Sequence[str]],
    runs: int,
    *,
    status: Sequence[int] = (0,),
    before: Callable[[], None] | None = None,
) -> dict[str, float]:
    """The median of each command's seconds, all of them taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, words in commands.items():
            if before:
                before()
            took = run(words, status=status).seconds
            if turn:  # the first warms up
                times[name].append(took)
    return {name: statistics.median(found) for name, found in times.items()}


def show(title: str, found: dict[str, float], base: str) -> None:
    """A table with each as a ratio to `base`."""
    print(f"\n{title}")
    for name, seconds in found.items():
        shown = f"{seconds * 1000:8.1f} ms" if seconds < 10 else f"{seconds:8.2f} s "
        print(f"  {name:<58} {shown}  {seconds / found[base]:6.2f}")


def one(folder: Path) -> None:
    """A single check, beside bare imports, Python's own start and modinfo."""
    tree = shutil.copytree(SAMPLES / "debian-6.1-amd64/tree", folder / "tree")
    table = tree / "Module.symvers"
    table.write_bytes(lzma.decompress((tree / "Module.symvers.xz").read_bytes()))
    good = str(SAMPLES / "debian-6.1-amd64/chrdevbase.ko")
    more = []
    for number in range(100):  # of a hundred names
        more.append(str(folder / f"copy{number}.ko"))
        Path(more[-1]).write_bytes(Path(good).read_bytes().replace(b"chrdevbase", b"chrdevb%03d" % number))
    modcheck = (MODCHECK, "--symvers", str(table))
    commands: dict[str, Sequence[str]] = {
        "bare imports of click and pyelftools": (sys.executable, "-c", "import click, elftools.elf.elffile"),
        "Python's bare start": (sys.executable, "-c", "pass"),
        "one module, loads": (*modcheck, good),
        "one module, refused": (*modcheck, "--arch", "arm64", str(SAMPLES / "rk3588-modversions/chrdevbase.ko")),
        "21 modules, load": (*modcheck, *more[:21]),
        "101 modules, load": (*modcheck, *more, good),
    }
    if shutil.which("modinfo"):
        commands["modinfo, one module"] = ("modinfo", good)
    found = side_by_side(commands, SHORT, status=(0, 1))
    show(
        f"One module (Debian 6.1's Module.symvers; median of {SHORT}), ratio to bare imports", found, next(iter(found))
    )
    single = found["one module, loads"]
    for count in (21, 101):
        each = (found[f"{count} modules, load"] - single) / (count - 1) * 1000
        print(f"  one more module, of {count} in a call: {each:.2f} ms")


class Tree(NamedTuple):
    """A kernel's modules, packed in three ways, each below a root of its own."""

    release: str
    headers: Path
    roots: dict[str, Path]
    count: int

    def modules(self, kind: str) -> Path:
        return self.roots[kind] / "lib/modules" / self.release


def make_tree(work: Path) -> Tree:
    """The modules of Debian 13's kernel as `.ko`, `.ko.xz` and `.ko.zst`."""
    from tests.oracle.kernels import fetch

    kernel = fetch(work, "6.12")
    roots = {kind: work / "bench" / kernel.release / kind for kind in ("ko", "xz", "zst")}
    paths = sorted(kernel.modules.rglob("*.ko*"))
    if not (work / "bench" / kernel.release / "complete").exists():
        with ProcessPoolExecutor() as pool:
            places = [str(path.relative_to(kernel.modules)) for path in paths]
            list(pool.map(_pack, [str(kernel.modules)] * len(paths), places, [roots] * len(paths), chunksize=50))
        for root in roots.values():
            for listed in kernel.modules.glob("modules.*"):
                shutil.copy(listed, root / "lib/modules" / kernel.release)
        (work / "bench" / kernel.release / "complete").touch()
    return Tree(kernel.release, kernel.headers, roots, len(paths))


def _pack(modules: str, place: str, roots: dict[str, Path]) -> None:
    from modcheck.files import read_plain

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    plain = read_plain(os.path.join(modules, place))
    packed = {"ko": plain, "xz": lzma.compress(plain, check=lzma.CHECK_CRC32), "zst": zstd.compress(plain)}
    for kind, root in roots.items():
        name = place[: place.index(".ko")] + {"ko": ".ko", "xz": ".ko.xz", "zst": ".ko.zst"}[kind]
        path = root / "lib/modules" / os.path.basename(modules) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed[kind])


def trees(work: Path, folder: Path) -> None:
    """Whole trees, beside depmod."""
    tree = make_tree(work)
    table, headers = tree.headers / "Module.symvers", str(tree.headers)
    depmod, brief = "depmod -n -e -E Module.symvers", "depmod's checks, ELF, vermagic, sizes, licences, namespaces"
    for kind, runs in (("ko", LONG), ("xz", 3), ("zst", LONG)):
        modules = str(tree.modules(kind))
        checks = (sys.executable, CHECKS)
        commands: dict[str, Sequence[str]] = {
            depmod: ("depmod", "-n", "-e", "-E", str(table), "-b", str(tree.roots[kind]), tree.release),
            "what Python takes at least, without a check": (*checks, "least", modules, headers),
            brief: (*checks, "brief", modules, headers),
            "  and types of relocations": (*checks, "types", modules, headers),
            "  and their places and values": (*checks, "places", modules, headers),
            "  and signatures with their digests": (*checks, "signatures", modules, headers),
            "modcheck TREE: all of it, BTF as well, the text report": (MODCHECK, modules, "--target", headers),
        }
        found = side_by_side(commands, runs)
        show(f"{tree.count} modules .{kind}, warm (median of {runs}), ratio to depmod", found, next(iter(found)))
    if os.geteuid() == 0:
        cold = {name: commands[name] for name in (depmod, brief)}
        for kind in ("ko", "xz"):
            there = {
                name: tuple(word.replace(str(tree.roots["zst"]), str(tree.roots[kind])) for word in words)
                for name, words in cold.items()
            }
            found = side_by_side(there, 2, before=_forget)
            show(
                f"{tree.count} modules .{kind}, cold (page cache dropped; median of 2), ratio to depmod",
                found,
                next(iter(found)),
            )
    half = folder / "half"
    for path in sorted(tree.modules("ko").rglob("*.ko"))[::2]:
        place = half / path.relative_to(tree.modules("ko"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
    print("\nMemory of all processes together (shared pages once), and growth")
    for name, modules, count in (
        ("half the tree", str(half), tree.count // 2),
        ("the tree", str(tree.modules("ko")), tree.count),
    ):
        took = run((MODCHECK, modules, "--target", str(tree.headers)), watch=True)
        print(f"  {name}, {count} modules: {took.memory:.0f} MB, {took.seconds:.2f} s")


def _forget() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def matrix(work: Path, folder: Path) -> None:
    """400 modules of 30 kernels on these kernels."""
    from tests.oracle.errors import OracleError
    from tests.oracle.kernels import ROLES, fetch

    kernels = []
    for name, skip in [*((name, 0) for name in ROLES), ("6.1", 1), ("6.12", 1)]:
        try:
            kernels.append(fetch(work, name, skip))
        except OracleError as error:
            print(f"  without {name}: {error}", file=sys.stderr)
    generator = random.Random(1)
    modules: dict[str, str] = {}
    while len(modules) < MODULES:
        path = generator.choice(sorted(generator.choice(kernels).modules.rglob("*.ko*")))
        modules.setdefault(path.name.partition(".ko")[0], str(path))
    names = folder / "modules.json"
    names.write_text(json.dumps([list(modules.values()), [str(kernel.headers) for kernel in kernels[:TARGETS]]]))
    subprocess.run((sys.executable, CHECKS, "pairs", str(names)), env=ENVIRONMENT, check=True)
    words = [word for kernel in kernels[:TARGETS] for word in ("--target", str(kernel.headers))]
    whole = run(
        (MODCHECK, "matrix", *modules.values(), *words, "--format", f"html:{folder / 'page.html'}"),
        watch=True,
        status=(0, 1),
    )
    size = (folder / "page.html").stat().st_size
    print(f"  modcheck matrix, from files to a page of {size >> 10} kB: {whole.seconds:.1f} s, {whole.memory:.0f} MB")


def fleet(work: Path, folder: Path) -> None:
    """1,000 distinct modules on 1,000 distinct kernels."""
    subprocess.run(
        (sys.executable, CHECKS, "fleet", str(make_tree(work).modules("ko")), str(make_tree(work).headers)),
        env=ENVIRONMENT,
        check=True,
    )


def machine() -> str:
    """What this runs on."""
    cpu = "an unknown processor"
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main(work: str, *parts: str) -> None:
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in parts or ("one", "tree", "matrix", "fleet"):
            if part == "one":
                one(folder)
            else:
                {"tree": trees, "matrix": matrix, "fleet": fleet}[part](Path(work).absolute(), folder)
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
