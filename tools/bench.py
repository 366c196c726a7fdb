"""The time of one check, as a ratio to the bare imports of click and pyelftools: median of 20 runs, taken in turns.

make bench
"""

from __future__ import annotations

import lzma
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_modules"
RUNS = 20


def main() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        tree = shutil.copytree(SAMPLES / "debian-6.1-amd64/tree", Path(folder) / "tree")
        table = tree / "Module.symvers"
        table.write_bytes(lzma.decompress((tree / "Module.symvers.xz").read_bytes()))
        modcheck = [str(Path(sys.executable).parent / "modcheck"), "--symvers", str(table)]
        commands = {
            "bare imports": ([sys.executable, "-c", "import click, elftools.elf.elffile"], 0),
            "loads": ([*modcheck, str(SAMPLES / "debian-6.1-amd64/chrdevbase.ko")], 0),
            "refused": ([*modcheck, "--arch", "arm64", str(SAMPLES / "rk3588-modversions/chrdevbase.ko")], 1),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(RUNS + 1):
            for name, (command, status) in commands.items():
                start = time.perf_counter()
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
                times[name].append(time.perf_counter() - start)
                assert done.returncode == status, (name, done)
    base = statistics.median(times["bare imports"][1:])
    print(f"Debian 6.1's Module.symvers, Python {sys.version.split()[0]}, median of {RUNS}:")
    for name, found in times.items():
        median = statistics.median(found[1:])
        print(f"  {name:<14} {median * 1000:6.1f} ms  {median / base:.2f} of bare imports")


if __name__ == "__main__":
    main()
