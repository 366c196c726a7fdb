"""The parts of modcheck that tools/bench.py takes the time of, each a process of its own.

least TREE KERNEL         what Python takes at least: imports of x86-64 modules looked up, nothing checked or told
brief TREE KERNEL         all modules of a folder: what depmod looks at, and ELF, vermagic, sizes, licences, namespaces
types TREE KERNEL         the same and the types of relocations
places TREE KERNEL        the same, where relocations are written, and what
signatures TREE KERNEL    the same and signatures, with the digests of what they sign
pairs LIST                pairs a second of a matrix; LIST: JSON of modules and kernels
fleet TREE KERNEL         1,000 distinct modules on 1,000 distinct kernels
"""

from __future__ import annotations

import gc
import json
import resource
import struct
import sys
import time
from array import array
from dataclasses import replace
from functools import cached_property
from itertools import compress
from pathlib import Path

from modcheck import Module, Target, read_module, read_target
from modcheck.cli.adviser import Adviser
from modcheck.cli.many import Question, answer
from modcheck.cli.pool import spread
from modcheck.files import find_modules, read_plain
from modcheck.loader import predict_all
from modcheck.module import PARTS
from modcheck.report import Context

LEFT_OUT = {
    "brief": PARTS - {"signature"},
    "types": PARTS - {"signature", "relocations"},
    "places": PARTS - {"signature", "relocations", "places"},
    "signatures": PARTS - {"signature", "relocations", "places", "digests"},
}
FLEET = 1000


class _Part(Question):
    """A question that does without some of what a prediction looks at: for its cost, not for its answer."""

    left_out: frozenset[str] = frozenset()

    @cached_property
    def without(self) -> frozenset[str]:
        return self.left_out


def tree(part: str, modules: str, kernel: str) -> None:
    """Judge all modules below a folder, and write the text report, with the processes that modcheck takes."""
    target = read_target(kernel)
    question = _Part(target, Adviser(target, ()), {}, (), [("text", Context(target, "modprobe", "0"))])
    question.left_out = frozenset(LEFT_OUT[part])
    answers = answer(question, find_modules(modules), None)
    sys.stdout.writelines(answers.parts(0))
    assert answers.sums.totals.verdicts["refused"] == 0


def least(modules: str, kernel: str) -> None:
    """Read all modules and look up what they import, by two dozen lines without a check, a report or a fact kept."""
    table = read_target(kernel).symbols
    assert table
    crcs, paths = {row.name: row.crc for row in table.tables[0]}, find_modules(modules)
    agreeing = sum(spread(_Least(crcs), [paths[start : start + 32] for start in range(0, len(paths), 32)], None))
    print(f"{agreeing} of {len(paths)} modules agree")


class _Least:
    """How many of some modules have all their imports, with the same CRCs."""

    header, version = struct.Struct("<40xQ12xHH"), struct.Struct("<Q56s")
    zeros = bytes(byte == 0 for byte in range(256))

    def __init__(self, crcs: dict[str, int | None]) -> None:
        self.crcs = crcs

    def __call__(self, paths: list[str]) -> int:
        return sum(map(self.agrees, paths))

    def agrees(self, path: str) -> bool:
        data = read_plain(path)
        start, count, last = self.header.unpack_from(data)
        words, longs = (array(kind, data[start : start + 64 * count]) for kind in "IQ")
        offsets, sizes, links = longs[3::8], longs[4::8], words[10::16]
        content = [data[offset : offset + size] for offset, size in zip(offsets, sizes)]
        names = content[last].decode()
        places = {names[at : names.index("\0", at)]: place for place, at in enumerate(words[0::16])}
        symtab = places[".symtab"]
        table, strings = content[symtab], content[links[symtab]].decode()
        undefined = list(compress(array("I", table)[0::6], table[6::24].translate(self.zeros)))[1:]
        imports = [strings[at : strings.index("\0", at)] for at in undefined]
        recorded = {
            name.rstrip(b"\0").decode(): crc for crc, name in self.version.iter_unpack(content[places["__versions"]])
        }
        return list(map(recorded.get, imports)) == list(map(self.crcs.get, imports))


def _pairs(modules: list[Module], targets: list[Target]) -> float:
    """CPU seconds that all pairs take, one process."""
    begun = time.process_time()
    for target in targets:
        for _ in predict_all(modules, target, modules=modules, until_refused=True):
            pass
    return time.process_time() - begun


def pairs(names: str) -> None:
    """Pairs a second, and what doubling modules or kernels does."""
    paths, kernels = json.loads(Path(names).read_text())
    modules = [read_module(path) for path in paths]
    targets = [read_target(kernel) for kernel in kernels]
    _pairs(modules, targets)  # what a table has by name is worked out when it is first asked for: facts
    print(f"\nMatrix of {len(modules)} modules on {len(targets)} kernels, facts read, one process")
    half, rest = modules[::2], targets[::2]
    for title, some, kernels_ in (
        ("all", modules, targets),
        ("half the modules", half, targets),
        ("half the kernels", modules, rest),
    ):
        took = min(_pairs(some, kernels_) for _ in range(3))
        count = len(some) * len(kernels_)
        print(f"  {title:<18} {count:>7} pairs  {took:6.2f} s  {count / took:>8.0f} pairs a second")


def fleet(modules: str, kernel: str) -> None:
    """Each module and each kernel its own, no pair like another: CRCs, releases and sizes differ."""
    paths = find_modules(modules)
    read = [read_module(path) for path in paths[:: max(1, len(paths) // FLEET)][:FLEET]]
    base = read_target(kernel)
    assert base.symbols
    table = base.symbols.tables[0]
    begun, judged, verdicts = time.process_time(), 0, {"loads": 0, "refused": 0, "unknown": 0}
    reading = 0.0
    for number in range(FLEET):
        start = time.process_time()
        target = _variant(base, table.text, number)
        assert target.symbols
        _ = target.symbols.tables[0].columns
        reading += time.process_time() - start
        for prediction in predict_all(read, target, modules=read, until_refused=True):
            verdicts[prediction.verdict] += 1
            judged += 1
    took = time.process_time() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nFleet: {len(read)} modules on {FLEET} kernels, one process, each kernel read, judged on and let go")
    print(f"  {judged} pairs: {took:.0f} s of CPU, {reading:.0f} of them for the kernels; most memory {memory:.0f} MB")
    print(f"  {verdicts}")


def _variant(base: Target, table: bytes, number: int) -> Target:
    """Another kernel: its release, a CRC in every hundred, and that of one symbol more each time, are its own."""
    from modcheck.target import Symbols, Symvers

    lines = table.split(b"\n")
    for place in range(number % 97, len(lines) - 1, 97 if number % 2 else 9700):
        lines[place] = b"0x%08x" % (number * 2654435761 + place & 0xFFFFFFFF) + lines[place][10:]
    release = f"{base.release}-{number}"
    vermagic = (base.vermagic or "").replace(base.release or "", release, 1)
    return replace(base, release=release, vermagic=vermagic, symbols=Symbols([Symvers(b"\n".join(lines), str(number))]))


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 50)  # as the command line does
    part, *words = sys.argv[1:]
    if part in LEFT_OUT:
        tree(part, *words)
    else:
        {"least": least, "pairs": pairs, "fleet": fleet}[part](*words)
