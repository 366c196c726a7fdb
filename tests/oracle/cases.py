"""What is tried on a kernel: the loads of each kind of case, and what they are judged by.

A case is a kind and the kernels it is about: `own:6.1`, the own modules of a kernel, each alone; `foreign:6.1:5.10`,
those of another kernel on it; `samples:6.1`, all of sample_modules/; `dependencies:6.1`, modules loaded and kept in the
order in which they need each other; `mutants:6.1`, or with another seed than 1 `mutants:6.1:20261121`; with boot
options or load flags, on own, unsigned, changed and foreign modules: `enforced`, `lockdown`, `blacklist`, `forced`;
`arguments`: parameters with values good and bad. `inherited`: modules after one that they need, made proprietary.
`distilled`: variants of a module with .BTF.base. `modprobe`: modprobe on a root file system with faults (modprobe.py).
`rebuilt`: the samples, built against the Module.symvers that modcheck rebuilds from the image and the modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modcheck import Target, predict, read_module, read_target

from . import modprobe, rebuilt
from .boot import modules_below
from .distilled import variants
from .initramfs import uncompressed
from .kernels import Kernel, fetch
from .loads import IGNORE_MODVERSIONS, IGNORE_VERMAGIC, Load
from .mutants import mutants
from .signing import changed, signed, unsigned

SAMPLES = Path(__file__).parent.parent.parent / "sample_modules"

#: the command line of the kinds that have one
CMDLINES = {
    "enforced": "module.sig_enforce=1",
    "lockdown": "lockdown=integrity",
    "blacklist": "module_blacklist=crc8,nls_cp437,snd-seq,libcrc32c,chrdevbase",
    "modprobe": "module_blacklist=nf_tables,rxrpc,nls_cp437 nf_conntrack.hashsize=y bridge.nope=1",
}

#: arguments for a parameter P
ARGUMENTS = (
    "P", "P=", "P=1", "P=0x1f", "P=017", "P=09", "P=-1", "P=+5", "P=256", "P=70000", "P=4294967296", "P=1e3",
    "P=99999999999999999999", "P=y", "P=on", "P=off", "P=oops", "P=true", "P=1,2", "P=1,x,3", 'P="1 2"', '"P=1"',
    "nope=1", "nope", "P=1 nope=2 P=z", "mod.P=1", "dyndbg", "a.dyndbg=+p", "async_probe", "P=1 -- more words",
)  # fmt: skip

#: how many mutants make a case, unless the limit is lower
MUTANTS = 2000

#: what `make oracle` runs
CASES = (
    "own:5.10", "own:6.1", "own:6.12", "own:newest", "own:arm64-6.1", "own:arm64-newest", "own:armhf-6.1",
    "own:armhf-newest", "own:riscv64-6.12", "own:s390x-6.1", "own:s390x-newest", "own:ppc64el-6.1",
    "own:ppc64el-newest", "own:mips64el-6.1",
    "foreign:6.1:6.1~1", "foreign:6.1:6.1-cloud", "foreign:6.1:6.1-rt", "foreign:6.1:5.10", "foreign:6.1:6.12",
    "foreign:6.12:6.1", "foreign:6.12:6.12~1", "foreign:newest:6.12", "foreign:5.10:6.1",
    "foreign:arm64-newest:arm64-6.1",
    "samples:5.10", "samples:6.1", "samples:6.12", "samples:newest", "samples:arm64-6.1", "samples:arm64-newest",
    "samples:armhf-6.1", "samples:rk3588", "samples:rk3588-modversions", "samples:sunxi",
    "dependencies:6.1", "dependencies:newest",
    "dependencies:arm64-newest",
    "enforced:5.10", "enforced:6.1", "enforced:newest", "enforced:arm64-6.1", "enforced:arm64-newest",
    "enforced:armhf-newest", "enforced:riscv64-6.12", "enforced:s390x-newest", "enforced:ppc64el-newest",
    "enforced:mips64el-6.1",
    "lockdown:6.1", "lockdown:newest", "lockdown:arm64-newest", "lockdown:s390x-newest", "lockdown:ppc64el-newest",
    "blacklist:5.10", "blacklist:6.1", "blacklist:newest", "blacklist:arm64-newest", "blacklist:armhf-6.1",
    "blacklist:s390x-6.1",
    "forced:6.1", "forced:newest", "forced:arm64-6.1", "forced:riscv64-6.12", "forced:s390x-newest",
    "forced:mips64el-6.1",
    "inherited:5.10", "inherited:6.1", "inherited:newest", "inherited:arm64-newest", "inherited:armhf-6.1",
    "inherited:riscv64-6.12", "inherited:s390x-6.1", "inherited:ppc64el-newest", "inherited:mips64el-6.1",
    "arguments:6.1", "arguments:newest", "arguments:arm64-6.1", "arguments:s390x-newest",
    "rebuilt:6.1", "rebuilt:arm64-6.1", "distilled:newest", "modprobe:6.1", "modprobe:newest",
    "mutants:6.1", "mutants:newest", "mutants:arm64-6.1", "mutants:arm64-newest", "mutants:riscv64-6.12",
    "mutants:ppc64el-newest", "mutants:mips64el-6.1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel, the loads to try on it, its command line, and what modcheck is told of it."""

    kernel: Kernel
    loads: tuple[Load, ...]
    cmdline: str
    target: Target
    files: tuple[tuple[str, int, bytes], ...] = ()
    """what else the machine gets: path, st_mode, content"""


class Cases:
    """The kernels at hand, and how a case's name becomes a `Case`.

    :param limit: most loads of a case; more are thinned out evenly
    """

    def __init__(self, work: Path, limit: int) -> None:
        self.work, self.limit = work, limit

    def make(self, name: str, again: bool = False) -> Case:
        """The case of that name; with `again` without its loads.

        :raises OracleError: a kernel cannot be had
        :raises KeyError: a kind or a kernel that is none
        """
        kind, *names = name.split(":")
        kernel = self.kernel(names[0])
        if kind == "modprobe":
            return self._modprobe(kernel, again)
        makers: dict[str, Callable[[], Sequence[Load]]] = {
            "own": lambda: self._some(modules_below(kernel.modules)),
            "foreign": lambda: self._some(modules_below(self.kernel(names[1]).modules)),
            "samples": lambda: [Load(path) for path in modules_below(SAMPLES)],
            "dependencies": lambda: self._in_order(kernel),
            "mutants": lambda: self._mutants(kernel, int(*names[1:] or (1,))),
            "enforced": lambda: self._mixed(kernel),
            "lockdown": lambda: [replace(load, pause=600) for load in self._mixed(kernel)],
            "arguments": lambda: list(self._with_arguments(kernel)),
            "inherited": lambda: list(self._inherited(kernel)),
            "rebuilt": lambda: self._rebuilt(names[0], kernel),
            "distilled": lambda: list(self._distilled(kernel)),
            "blacklist": lambda: self._some(self._blacklisted(kernel)),
            "forced": lambda: list(_with_flags(self._mixed(kernel))),
        }
        cmdline = CMDLINES.get(kind, "")
        return Case(kernel, () if again else tuple(makers[kind]()), cmdline, target_of(kernel, cmdline))

    def _modprobe(self, kernel: Kernel, again: bool) -> Case:
        """A root file system with modules in good and bad states, and modprobe run for each of them."""
        cmdline = CMDLINES["modprobe"]
        root = self.work / "made" / kernel.release / "root"
        # what other modules ask for by its crypto name has no user that can be told from symbols
        paths = [*modules_below(kernel.modules / "kernel/crypto"), *(load.path for load in self._in_order(kernel))]
        names = () if again else modprobe.make_root(root, kernel, list(dict.fromkeys(paths)))
        modules = root / "lib/modules" / kernel.release
        target = read_target(kernel.headers, cmdline=cmdline, modules_dir=modules, kernel=kernel.image)
        files = () if again else tuple(modprobe.files(root))
        return Case(kernel, tuple(modprobe.plan(names)), cmdline, target, files)

    def results(self, name: str) -> Path:
        """Where the results of the case of that name are kept."""
        return self.work / "results" / f"{name.replace(':', '_')}.json"

    def kernel(self, name: str) -> Kernel:
        """The kernel of a role; `6.1~1` is the ABI before the newest."""
        role, _, skip = name.partition("~")
        return fetch(self.work, role, int(skip or 0))

    def _some(self, paths: Sequence[Path]) -> list[Load]:
        step = max(1, -(-len(paths) // self.limit))
        return [Load(path) for path in paths[::step]]

    def _mixed(self, kernel: Kernel) -> list[Load]:
        """Some of the kernel's modules: as they are, unsigned, changed, signed by another key; and the samples."""
        own = [path for path in modules_below(kernel.modules) if path.stat().st_size < 60_000]
        own = own[:: max(1, len(own) // 50)]
        made = []
        for change, paths in ((unsigned, own), (changed, own[::5]), (signed, own[::5])):
            folder = self.work / "made" / kernel.release / change.__name__
            folder.mkdir(parents=True, exist_ok=True)
            for path in paths:
                copy = folder / f"{read_module(path).name}.ko"
                copy.write_bytes(change(uncompressed(path)))
                made.append(copy)
        return [Load(path) for path in (*own, *made, *modules_below(SAMPLES))]

    def _with_arguments(self, kernel: Kernel) -> Iterator[Load]:
        """Modules that load on their own, each of their parameters with values good and bad."""
        target = target_of(kernel)
        tried: Counter[str] = Counter()
        for path in modules_below(kernel.modules):
            module = read_module(path)
            # its parameter has it write more than the log holds
            if module.name == "ansi_cprng":
                continue
            if path.stat().st_size > 100_000 or predict(module, target, loader="insmod").verdict != "loads":
                continue
            for one in module.parameters or ():
                kind = f"array of {one.type}" if one.array else one.type
                if one.type and tried[kind] < 3:
                    tried[kind] += 1
                    yield from (Load(path, arguments=text.replace("P", one.name)) for text in ARGUMENTS)
                    long = "x" * ((one.max or 1024) + 1)
                    yield from (Load(path, arguments=f"{one.name}={value}") for value in (long, "1,2,3,4," * 40))

    def _inherited(self, kernel: Kernel) -> Iterator[Load]:
        """Modules that need one other, which is proprietary now and kept; some are refused, some inherit its taint."""
        folder = self.work / "made" / kernel.release / "proprietary"
        folder.mkdir(parents=True, exist_ok=True)
        users: dict[str, list[Path]] = {}
        exporters = {}
        for path in modules_below(kernel.modules):
            module = read_module(path)
            if module.exports and not module.info("depends") and path.stat().st_size < 60_000:
                exporters[module.name] = path
            users.setdefault((module.info("depends") or "").replace("-", "_"), []).append(path)
        for name, path in exporters.items():
            data = unsigned(uncompressed(path)).replace(b"license=GPL", b"license=XXX", 1)
            if name in users and b"license=XXX" in data:
                copy = folder / f"{name}.ko"
                copy.write_bytes(data)
                yield Load(copy, keep=True)
                yield from map(Load, users[name][:4])

    def _rebuilt(self, name: str, kernel: Kernel) -> list[Load]:
        """The samples, built with nothing but the table that modcheck makes of the kernel's image and modules."""
        chrdevbase, exporter, *users = rebuilt.build(self.work, name, kernel)
        return [Load(chrdevbase), Load(exporter, keep=True), *map(Load, users)]

    def _distilled(self, kernel: Kernel) -> Iterator[Load]:
        """A module with .BTF.base as it is, and with one number or byte of it, or of its .BTF, changed."""
        folder = self.work / "made" / kernel.release / "distilled"
        folder.mkdir(parents=True, exist_ok=True)
        for number, (_, data) in enumerate(variants()):
            path = folder / f"{number:03}-distilled.ko"
            path.write_bytes(data)
            yield Load(path)

    def _blacklisted(self, kernel: Kernel) -> list[Path]:
        """The modules on the list of `CMDLINES`, and their neighbours."""
        names = set(CMDLINES["blacklist"].partition("=")[2].replace("-", "_").split(","))
        paths = [*modules_below(kernel.modules), *modules_below(SAMPLES)]
        on_list = {place for place, path in enumerate(paths) if read_module(path).name in names}
        return [path for place, path in enumerate(paths) if on_list & {place - 1, place, place + 1}]

    def _in_order(self, kernel: Kernel) -> list[Load]:
        """Modules that need others, after those that they need; all are kept loaded."""
        modules = {module.name: module for path in modules_below(kernel.modules) if (module := read_module(path)).name}
        order: dict[str, None] = {}

        def add(name: str) -> None:
            for needed in (modules[name].info("depends") or "").replace("-", "_").split(","):
                if needed in modules and needed not in order:
                    add(needed)
            order[name] = None

        # file systems, network protocols and algorithms: they come alive without hardware
        for name, module in sorted(modules.items()):
            part = Path(module.path).relative_to(kernel.modules).parts[1]
            if module.info("depends") and part in ("crypto", "fs", "lib", "net") and len(order) < self.limit:
                add(name)
        return [Load(Path(modules[name].path), keep=True) for name in order]

    def _mutants(self, kernel: Kernel, seed: int) -> list[Load]:
        """Mutants of small modules that load on their own."""
        target = target_of(kernel)
        sources = []
        for path in modules_below(kernel.modules):
            module = read_module(path)
            if path.stat().st_size < 40_000 and predict(module, target, loader="insmod").verdict == "loads":
                sources.append((module.name, uncompressed(path)))
        folder = self.work / "mutants" / f"{kernel.release}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        loads = []
        for mutant in mutants(sources[:: max(1, len(sources) // 40)], seed, min(self.limit, MUTANTS)):
            path = folder / f"{mutant.name}.ko"
            path.write_bytes(mutant.data)
            loads.append(Load(path))
        return loads


_FLAGS = (IGNORE_MODVERSIONS, IGNORE_VERMAGIC, IGNORE_MODVERSIONS | IGNORE_VERMAGIC)


def _with_flags(loads: Sequence[Load]) -> Iterator[Load]:
    for place, load in enumerate(loads):
        yield replace(load, flags=_FLAGS[place % len(_FLAGS)])


def target_of(kernel: Kernel, cmdline: str = "") -> Target:
    """What modcheck is told of a kernel: its headers, modules directory and image, or the small one's tree."""
    if kernel.modules.is_relative_to(SAMPLES):
        return read_target(kernel.headers, cmdline=cmdline, vendor="upstream")
    return read_target(kernel.headers, cmdline=cmdline, modules_dir=kernel.modules, kernel=kernel.image)
