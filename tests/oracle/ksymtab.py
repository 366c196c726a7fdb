"""Keeps the export tables of kernel images, cut out of them, with the digest of Debian's Module.symvers for tests.

    python -m tests.oracle.ksymtab WORK ROLE...

ROLE as in tests/oracle/kernels.py; WORK is where the oracle keeps packages and kernels. Writes
tests/data/ksymtab/ROLE.bin.xz, which begins at a page of the image, and index.json.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import sys
from pathlib import Path

from modcheck.target import ksymtab_flat as ksymtab
from modcheck.target import read_symvers
from modcheck.target.image import Image
from modcheck.target.symvers import KERNEL, render

from .kernels import fetch

FOLDER = Path(__file__).parent.parent / "data/ksymtab"


def main(work: Path, roles: list[str]) -> None:
    """Write the tables of the kernels of these roles."""
    index = FOLDER / "index.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for role in roles:
        kernel = fetch(work, role)
        data = Image(str(kernel.image)).data
        found, end = next(
            (found, end)
            for start, end in ksymtab._blocks(data)
            for layout in ksymtab._LAYOUTS
            if (found := ksymtab._search(data, layout, start, end, 700 << 10)) and len(found.names) > 5000
        )
        first = (found.start & -4096) - 4096
        (FOLDER / f"{role}.bin.xz").write_bytes(lzma.compress(data[first : end + 4096], preset=9))
        table = next(path for path in kernel.headers.glob("Module.symvers*") if path.exists())
        rows = sorted(row for row in read_symvers(table) if row.owner == KERNEL)
        digest = hashlib.sha256(render(rows)).hexdigest()
        known[role] = {"kernel": f"{kernel.release}, {kernel.package}", "rows": len(rows), "sha256": digest}
    index.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
