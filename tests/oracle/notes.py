"""Keeps what of a kernel image its build id is told by: the vdso's ELF files, and the kernel's own notes.

    python -m tests.oracle.notes WORK ROLE...

ROLE as in tests/oracle/kernels.py; WORK is where the oracle keeps packages and kernels. Writes
tests/data/notes/ROLE.bin.xz and index.json. The build id is the one that `readelf -n` shows: of the image itself where
that is an ELF file, else of the vmlinux of Debian's package linux-image-RELEASE-dbg, unpacked below WORK/dbg.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from modcheck.target.image import Image
from modcheck.target.plain import elf_end

from .kernels import fetch

FOLDER = Path(__file__).parent.parent / "data/notes"


def _shown(path: Path) -> str:
    """What readelf says."""
    out = subprocess.run(["readelf", "-n", path], check=True, capture_output=True, text=True).stdout
    return re.findall(r"Build ID: (\w+)", out)[-1]


def main(work: Path, roles: list[str]) -> None:
    """Write the notes of the kernels of these roles."""
    index = FOLDER / "index.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for role in roles:
        kernel = fetch(work, role)
        image = Image(str(kernel.image))
        data = image.data
        vmlinux = next(iter((work / "dbg").glob(f"**/boot/vmlinux-{kernel.release}")), None)
        with tempfile.NamedTemporaryFile() as plain:
            plain.write(data)
            plain.flush()
            truth = _shown(vmlinux or Path(plain.name))
        assert image.build_id == truth, f"{role}: {image.build_id}, and readelf says {truth}"
        files = ((match.start(), elf_end(data, match.start())) for match in re.finditer(rb"\x7fELF", data))
        vdsos = [data[start:end] for start, end in files if start and end and b"GNU\0" in data[start:end]]
        note = data.index(bytes.fromhex(truth)) - 16
        kept = b"".join(vdsos) + bytes(64) + data[note - 64 : note + 400]
        (FOLDER / f"{role}.bin.xz").write_bytes(lzma.compress(kept, preset=9))
        known[role] = {"kernel": f"{kernel.release}, {kernel.package}", "build_id": truth}
        index.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
