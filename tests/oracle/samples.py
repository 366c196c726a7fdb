"""Boots one kernel with the samples built for it, and records what it did in tests/data/boots/.

    python -m tests.oracle.samples FOLDER KERNEL ARCH     (debian-6.1-amd64 /boot/vmlinuz-6.1.0-56-amd64 amd64)

Every module below sample_modules/FOLDER alone; then those that import from sample_export with it loaded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .boot import boot, modules_below
from .loads import Load, Result

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "sample_modules"
BOOTS = ROOT / "tests" / "data" / "boots"


def record(folder: str, kernel: Path, arch: str) -> Path:
    """Boot `kernel`, load the samples of `folder`, write the record and return its path."""
    directory = SAMPLES / folder
    loads = [Load(path) for path in modules_below(directory)]
    loads.append(Load(directory / "sample_export.ko", keep=True))
    loads += [Load(directory / f"sample_{name}.ko") for name in ("import", "namespace", "no_import")]
    path = BOOTS / f"{folder}.json"
    rows = ",\n  ".join(json.dumps(_row(result)) for result in boot(kernel, arch, loads))
    path.write_text(f'{{\n "folder": "{folder}",\n "kernel": "{kernel.name}",\n "loads": [\n  {rows}\n ]\n}}\n')
    return path


def _row(result: Result) -> dict[str, object]:
    return {
        "path": str(result.load.path.relative_to(SAMPLES)),
        "loaded": list(result.loaded_before),
        "tainted": result.tainted_before,
        "errno": result.errno,
        "log": [line.text for line in result.log],
    }


if __name__ == "__main__":
    print(record(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
