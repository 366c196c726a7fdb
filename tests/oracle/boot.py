"""What a real kernel does with modules: boots it under QEMU, hands it one module after the other, records its answers.

    python -m tests.oracle.boot KERNEL ARCH MODULE... [--preload MODULE] [--cmdline TEXT] [--seconds N] [--json FILE]

A load that hangs or kills the machine is recorded as crashed, and another boot goes on after it; so it is with a module
that cannot be unloaded. Every load therefore meets the same kernel, with only those modules loaded that the plan keeps.
What does last within a boot, and is recorded with each load, is the kernel's taint: a "...taints kernel." line comes
only once.
"""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.oracle.console import reports
from tests.oracle.errors import OracleError
from tests.oracle.initramfs import DATA, EXECUTABLE, FOLDER, uncompressed, write_cpio
from tests.oracle.loads import COMPRESSED, Line, Load, Result, write_json
from tests.oracle.machines import MACHINES, Machine, command, compiled_init

#: how many bytes of modules one boot takes; what is more gets another boot, which costs less than the memory would
BATCH_BYTES = 128 << 20

#: many times what a host without other work needs for Debian's arm64 kernel
BOOT_SECONDS = 300

#: the trace event in the log: "module_load: NAME TAINTS"
ACCEPTED = "module_load: "


#: error numbers of the kernel's own, which libc has no names for
UNNAMED = {"524": "ENOTSUPP"}


def boot(
    kernel: Path,
    arch: str,
    loads: Sequence[Load],
    *,
    cmdline: str = "",
    files: Sequence[tuple[str, int, bytes]] = (),
    seconds_per_load: float = 20,
) -> list[Result]:
    """The results of `loads`, in their order, from as many boots of `kernel` as that takes.

    `arch` is a key of MACHINES, `files` are more of the initramfs: path, st_mode, content.
    Raises OracleError if the kernel does not boot, or in a later boot does not load again
    what it has kept; OSError if a file cannot be read; ValueError for arguments with a line end.
    """
    if any("\n" in load.arguments for load in loads):
        raise ValueError("module arguments cannot have a line end here")
    machine = MACHINES[arch]
    results: list[Result] = []
    boots = 0
    while len(results) < len(loads):
        logging.info("boot for load %d of %d", len(results) + 1, len(loads))
        kept = [result.load for result in results if result.stays]
        plan = [*kept, *loads[len(results) :]]
        boots += 1
        new = [
            replace(result, boot=boots)
            for result in _boot_once(kernel, machine, plan, len(kept) + 1, cmdline, files, seconds_per_load)
        ]
        if len(new) <= len(kept) or not all(result.stays for result in new[: len(kept)]):
            raise OracleError(f"{kernel}: does not load again what it has kept: {[load.path.name for load in kept]}")
        if not new[-1].unloaded:
            logging.info("%s: %s", new[-1].load.path, "crashed" if new[-1].crashed else "cannot be unloaded")
        if new[-1].crashed and len(new) > len(kept) + 1:
            # perhaps of what an earlier module left behind: it is tried again as the first load of a fresh boot
            new.pop()
        results += new[len(kept) :]
    return results


def _boot_once(
    kernel: Path,
    machine: Machine,
    plan: Sequence[Load],
    least: int,
    cmdline: str,
    files: Sequence[tuple[str, int, bytes]],
    seconds: float,
) -> list[Result]:
    """The results of the first loads of `plan`: of as many as fit, but at least `least`, or up to the first crash."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        initramfs = Path(folder, "initramfs.cpio")
        with initramfs.open("wb") as out:
            write_cpio(out, [*files, *_entries(machine, plan, least)])
        with closing(reports(command(machine, kernel, initramfs, cmdline), BOOT_SECONDS, seconds)) as told:
            results = _results(told, plan)
    if not results:
        raise OracleError(f"{kernel}: the machine died before the first load")
    return results


def _entries(machine: Machine, plan: Sequence[Load], least: int) -> Iterator[tuple[str, int, bytes]]:
    """The files of the initramfs, with as much of the plan as fits."""
    yield "init", EXECUTABLE, compiled_init(machine)
    yield "modules", FOLDER, b""
    lines: list[str] = []
    size = 0
    for index, load in enumerate(plan):
        if load.modprobe:
            lines.append(f"{index}\tmodprobe\t0\t0\t{load.pause}\t{load.modprobe}\n")
            continue
        content = load.path.read_bytes() if load.flags & COMPRESSED else uncompressed(load.path)
        size += len(content)
        if index >= least and size > BATCH_BYTES:
            break
        yield f"modules/{index}", DATA, content
        lines.append(f"{index}\t/modules/{index}\t{load.flags}\t{load.keep:d}\t{load.pause}\t{load.arguments}\n")
    yield "plan", DATA, "".join(lines).encode("utf-8", "surrogateescape")


def _results(told: Iterable[tuple[dict[str, Any] | None, list[str]]], plan: Sequence[Load]) -> list[Result]:
    """What one machine told (see init.c), load by load. Raises OracleError if its init did not even start."""
    results: list[Result] = []
    kernel: dict[str, Any] = {}
    start: dict[str, Any] | None = None
    for report, console in told:
        if report is None:
            if not kernel:
                raise OracleError("\n".join(["the kernel does not boot:", *console[-20:]]))
            if start:
                lines = [Line(None, text) for text in console]
                results.append(_result(plan[start["start"]], kernel, start, None, True, lines))
            elif results:
                results[-1] = replace(results[-1], unloaded=False)
        elif "release" in report:
            kernel = report
        elif "start" in report:
            start = report
        elif "index" in report:
            assert start
            assert start["start"] == report["index"] == len(results)
            lines = [Line(level, text) for level, record in report["log"] for text in record.split("\\x0a")]
            if report["overrun"]:
                lines.insert(0, Line(None, "oracle: the log has lost lines"))
            errno = UNNAMED.get(report["errno"], report["errno"])
            result = _result(plan[len(results)], kernel, start, errno, False, lines)
            results.append(replace(result, said=report["said"]))
            start = None
        elif "stuck" in report:
            results[-1] = replace(results[-1], unloaded=False)
            break
        elif "end" in report:
            break
    return results


def _result(
    load: Load, kernel: dict[str, Any], start: dict[str, Any], errno: str | None, crashed: bool, lines: list[Line]
) -> Result:
    event = next((i for i, line in enumerate(lines) if line.text.startswith(ACCEPTED) and not load.modprobe), None)
    accepted = event is not None or (errno is None and not crashed)
    return Result(
        load=load,
        errno=errno,
        accepted=accepted or (False if kernel["traced"] else None),
        crashed=crashed,
        unloaded=not crashed,
        boot=0,
        tainted_before=start["tainted"],
        loaded_before=tuple(start["loaded"]),
        traced=kernel["traced"],
        log=tuple(lines[:event]),
        init_log=() if event is None else tuple(lines[event + 1 :]),
    )


def modules_below(path: Path) -> list[Path]:
    """`path` itself, or if it is a directory every module below it, sorted."""
    if not path.is_dir():
        return [path]
    return sorted(found for found in path.rglob("*.ko*") if re.search(r"\.ko(\.gz|\.xz|\.zst)?$", found.name))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.boot", description="Ask a real kernel about modules.")
    parser.add_argument("kernel", type=Path, help="kernel image")
    parser.add_argument("arch", choices=MACHINES)
    parser.add_argument("modules", type=Path, nargs="+", metavar="MODULE", help="module, or directory of modules")
    parser.add_argument("--preload", type=Path, action="append", default=[], help="load and keep it first (repeatable)")
    parser.add_argument("--cmdline", default="", help="more of the kernel's command line")
    parser.add_argument("--seconds", type=float, default=20, help="how long one load may take")
    parser.add_argument("--json", type=Path, help="file for the results; without it they are printed")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    loads = [Load(path, keep=True) for path in options.preload]
    loads += [Load(module) for path in options.modules for module in modules_below(path)]
    try:
        results = boot(options.kernel, options.arch, loads, cmdline=options.cmdline, seconds_per_load=options.seconds)
    except (OracleError, OSError) as error:
        parser.exit(2, f"{error}\n")
    if options.json:
        write_json(options.json, results)
    else:
        for result in results:
            print(f"{result.load.path}: {result.verdict}", *(f"    {line.text}" for line in result.log), sep="\n")
    for verdict, count in Counter(result.verdict for result in results).most_common():
        print(f"{count:6} {verdict}")


if __name__ == "__main__":
    main()
