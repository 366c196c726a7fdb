"""A machine that runs, and what it says on its serial console: init's reports, and the kernel's own lines between them.

The reports are described in init.c.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Generator, Sequence
from select import select
from typing import Any

from tests.oracle.errors import OracleError

REPORT = re.compile(rb"\x1e(\{[^\x1f]*\})\x1f")


def reports(
    command: Sequence[str], boot_seconds: float, seconds: float
) -> Generator[tuple[dict[str, Any] | None, list[str]]]:
    """Starts a machine and yields each of its reports, with the console's other lines since the one before.

    The first report may take `boot_seconds`, every other one `seconds`. When the machine is late, ends, or garbles a
    report, the last thing yielded is None, and the last line with it says what happened. The machine is ended when the
    iterator is closed. Raises OracleError if there is no such QEMU.
    """
    try:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise OracleError(f"{command[0]} is not installed") from None
    assert machine.stdout
    try:
        output, patience = b"", boot_seconds
        deadline = time.monotonic() + patience
        while True:
            ready, _, _ = select([machine.stdout], [], [], max(0, deadline - time.monotonic()))
            data = os.read(machine.stdout.fileno(), 1 << 16) if ready else b""
            if not data:
                what = f"QEMU ended with status {machine.wait()}" if ready else f"no report within {patience:g} seconds"
                yield None, [*_lines(output), f"oracle: {what}"]
                return
            output += data
            done = 0
            for found in REPORT.finditer(output):
                lines = _lines(output[done : found.start()])
                done = found.end()
                try:
                    report = json.loads(found[1])
                except ValueError:
                    yield None, [*lines, *_lines(found[1]), "oracle: the kernel wrote into a report"]
                    return
                yield report, lines
                patience = seconds
                deadline = time.monotonic() + patience
            output = output[done:]
    finally:
        machine.kill()
        machine.wait()
        machine.stdout.close()


def _lines(output: bytes) -> list[str]:
    text = output.decode("ascii", "backslashreplace").replace("\r", "")
    return [line for line in text.split("\n") if line]
