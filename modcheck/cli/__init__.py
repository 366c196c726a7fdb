"""The command line: one file a command, and the only place that prints and exits.

The main job needs no command word: `modcheck x.ko …` is `modcheck check x.ko …`. Commands are imported when they are
called, so that none pays for another's imports.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

# a run makes next to no cycles: looking for them while modules are imported costs a tenth of a short one
gc.set_threshold(100_000, 50, 50)

import click  # noqa: E402

#: command word: what it is for, as `modcheck --help` lists them; each is the function of that name in its own module
COMMANDS = {
    "check": "predict whether the kernel takes each module (no command word needed)",
    "show": "what each module declares: modinfo, CRCs, imports, exports, signature",
    "explain": "what a rule checks, which kernels and options it depends on, how it is mended",
    "target": "what is known of a kernel, and from which file each fact came",
    "symvers": "rebuild Module.symvers from a kernel image and a modules directory",
    "diff": "compare two kernels: symbols, options, and which modules an update breaks",
    "matrix": "predict every module on every one of many kernels: a table, JSON, a page",
    "capture": "print a script that takes a board's facts into one tar, for --target",
}


def run() -> None:
    """The entry point `modcheck`: `main`, and an end without taking the interpreter apart, a tenth of a short run."""
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more, or there is no room for it
            status = status or 2
    os._exit(status)


def main() -> None:
    """`modcheck` with the words of sys.argv.

    :raises SystemExit: always, with the exit status
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names in modules may be any bytes
    words = sys.argv[1:]
    name = words.pop(0) if words and words[0] in COMMANDS else "check"
    command: click.Command = getattr(import_module(f".{name}", __name__), name)
    try:
        command.main(words, prog_name="modcheck" if name == "check" else f"modcheck {name}")
    except Exception:  # a fault of modcheck's own must not be taken for the kernel's refusal
        import traceback

        traceback.print_exc()
        sys.exit(2)
