"""What the oracle is asked, a Load, and what it answers, a Result; and how answers are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: the flag of finit_module(2) that has the kernel decompress the file (5.17 and later)
COMPRESSED = 4
#: its other two, which modprobe's --force-modversion and --force-vermagic set
IGNORE_MODVERSIONS, IGNORE_VERMAGIC = 1, 2


@dataclass(frozen=True, slots=True)
class Load:
    """One finit_module(2) call: the file, uncompressed before unless `flags` has COMPRESSED, and the arguments.

    With `keep` the module stays loaded for the rest of the plan, if the kernel takes it. `pause`: milliseconds to wait
    before, where the kernel limits how often it writes a line. With `modprobe`, modprobe is run on the machine, with
    the module's name as its argument; `path` is only a label then, and the machine's files are the case's.
    """

    path: Path
    flags: int = 0
    keep: bool = False
    arguments: str = ""
    pause: int = 0
    modprobe: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the kernel's log: its level, 0 to 7 (None where it was read from the console), and its text.

    The text is that of /dev/kmsg, where a backslash and all that is not printable ASCII are written as \\xNN.
    """

    level: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the kernel did with one load.

    `errno`: the error's name (its number if it has none); None without an error, or if the machine crashed.
    `accepted`: the loader went as far as calling the module's init function. None if that cannot be known: without
    tracing, a kernel only tells so by loading the module without an error.
    `crashed`: the machine hung or died. The lines are the console's, the last one says how it ended.
    `unloaded`: False if the module could not be removed afterwards, or the machine died of it.
    `boot`: which boot of the kernel it was; what a kernel prints only once it prints in each.
    `tainted_before`, `loaded_before`: /proc/sys/kernel/tainted, and the names of the loaded modules, newest first.
    `log`, `init_log`: the lines before and after the call of init; where not `traced`, and of modprobe, all of them
    are in `log`.
    `said`: what modprobe wrote; its errno is `exit` where it failed.
    """

    load: Load
    errno: str | None
    accepted: bool | None
    crashed: bool
    unloaded: bool
    boot: int
    tainted_before: int
    loaded_before: tuple[str, ...]
    traced: bool
    log: tuple[Line, ...]
    init_log: tuple[Line, ...]
    said: str = ""

    @property
    def stays(self) -> bool:
        """Whether the module is there for the loads after it."""
        return self.load.keep and self.errno is None and not self.crashed

    @property
    def verdict(self) -> str:
        """In a few words, for people and for counting."""
        if self.crashed:
            return "crashed"
        if self.errno is None:
            return "loaded"
        return {True: "init failed", False: "refused", None: "refused or init failed"}[
            self.accepted
        ] + f": {self.errno}"


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Writes `results` as a JSON list with one object, on one line, for each; a log line is [level, text]."""
    rows = [
        {
            "path": str(result.load.path),
            "flags": result.load.flags,
            "keep": result.load.keep,
            "arguments": result.load.arguments,
            **({"modprobe": result.load.modprobe, "said": result.said} if result.load.modprobe else {}),
            "errno": result.errno,
            "accepted": result.accepted,
            "crashed": result.crashed,
            "unloaded": result.unloaded,
            "boot": result.boot,
            "tainted_before": result.tainted_before,
            "loaded_before": result.loaded_before,
            "traced": result.traced,
            "log": [[line.level, line.text] for line in result.log],
            "init_log": [[line.level, line.text] for line in result.init_log],
        }
        for result in results
    ]
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")


def read_json(path: Path) -> list[Result]:
    """What `write_json` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        Result(
            load=Load(
                Path(row.pop("path")),
                row.pop("flags"),
                row.pop("keep", False),
                row.pop("arguments"),
                modprobe=row.pop("modprobe", ""),
            ),
            log=tuple(Line(*line) for line in row.pop("log")),
            init_log=tuple(Line(*line) for line in row.pop("init_log")),
            loaded_before=tuple(row.pop("loaded_before")),
            **{"boot": 0, "traced": True, **row},
        )
        for row in rows
    ]
