"""The page of `matrix`: it holds exactly the grid, nothing in the grid can break out of it, a browser draws it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modcheck.report.grid import Cell, Column, Grid, Row
from modcheck.report.html import SHOWN, VERDICTS, matrix_page, packed

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = ("meta", "input", "rect")
HOSTILE = (
    "</script><script>document.title='hit'</script>", '"><img src=x onerror=alert(1)>', "<!--<script>", "]]>",
    "a\udcffb.ko", "\x1b[31m\x07.ko", "\u202egnp.ko", "\u2028.ko", "\ud800lone.ko", "it's `id` $(id) \\ \n.ko",
    "-rf.ko", "show", "&lt;b&gt;", "~n~~x.ko", "~", "~vv", "nnn",
)  # fmt: skip


def column(target: str, release: str = "6.1.0-56-amd64", **facts: Any) -> Column:
    vermagic = f"{release} SMP mod_unload modversions "
    known = {"release": release, "vermagic": vermagic, "arch": "x86_64", "modversions": True, "vendor": None}
    return Column(target, release, {**known, "sources": {"release": "utsrelease.h"}, "notes": ["old"], **facts})


def vermagic_refused(name: str, kernel: str) -> Cell:
    log = f"{name}: version magic '6.6.1 SMP mod_unload ' should be '{kernel} SMP mod_unload modversions '"
    return Cell(
        "refused", "ENOEXEC", "Exec format error", "Invalid module format", "vermagic",
        f"built for release 6.6.1, the kernel is {kernel}", (log,), False, ("signature",),
        unchecked=(("signature", "the kernel's .config (--config FILE)"),),
    )  # fmt: skip


def small() -> Grid:
    """Two modules and a file that is none, on two kernels and a folder that is none."""
    kernels = ("6.1.0-56-amd64", "5.10.0+")
    many = tuple(f"two: Unknown symbol s{n} (err -2)" for n in range(20))
    return Grid(
        "modprobe",
        (*(column(f"boards/{kernel}", kernel) for kernel in kernels), Column("none", "none", {}, "none: no kernel")),
        (
            Row("sub/one.ko", "one", None, (Cell("loads"), vermagic_refused("one", kernels[1]), None)),
            Row("sub/two.ko", "two", None, (Cell("refused", "ENOENT", "Unknown symbol", rule="unknown-symbol", log=many,
                failed_in="three"), Cell("unknown", unchecked=(("vermagic", "its .config"),)), None)),
            Row("bad.ko", "", "bad.ko: not an ELF file"),
        ),
        ("--loader", "modprobe"), ("no lockdown",),
    )  # fmt: skip


def hostile() -> Grid:
    rows = [
        Row(a, a, None, tuple(
            Cell(("loads", "refused", "unknown")[(i + j) % 3], "EINVAL", a, b, a, a + b,
                 (b, f"{a}: '{b} SMP '", f"~{a}~{b}~"), False, (a,), b, ((a, b),))
            for j, b in enumerate(HOSTILE)
        ))
        for i, a in enumerate(HOSTILE)
    ]  # fmt: skip
    columns = [column(one, one, notes=[one], sources={one: one}) for one in HOSTILE]
    return Grid("modprobe", tuple(columns), tuple(rows), ("--cmdline", HOSTILE[0]), HOSTILE)


def large() -> Grid:
    """300 by 300, with a summary that differs in each pair, and symbols that differ in each module."""
    columns = [column(f"boards/{n}", f"{4 + n % 3}.{n % 20}.{n}-board{n % 7}") for n in range(300)]
    rows = []
    for r in range(300):
        name = f"driver_{r:03}"
        symbols = [f"some_kernel_symbol_{(r * 7 + s * 13) % 500}" for s in range(30)]
        cells: list[Cell] = []
        for c, one in enumerate(columns):
            differ = [symbol for s, symbol in enumerate(symbols) if (r * c + s) % 3]
            lines = tuple(f"{name}: disagrees about version of symbol {symbol}" for symbol in differ)
            told = f"{len(differ)} symbols have other CRCs: {', '.join(differ[:3])} and {len(differ) - 3} more"
            crcs = Cell("refused", "EINVAL", "Invalid argument", "Invalid parameters", "symbol-version", told, lines)
            kinds = (crcs, vermagic_refused(name, one.label), Cell("loads"), vermagic_refused(name, one.label))
            cells.append(kinds[(r + c) % 4])
        rows.append(Row(f"drivers/some/folder/{name}.ko", name, None, tuple(cells)))
    return Grid("modprobe", tuple(columns), tuple(rows))


def page(grid: Grid) -> str:
    return "".join(matrix_page(grid, "0.1.0"))


class Structure(HTMLParser):
    """What a parser finds: whether tags nest, the text of each kind of element, and attributes by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: dict[str, list[str | None]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML lets these two go without an end tag, which the big table makes use of
        while tag in ("td", "tr", "th") and self.open[-1] in ("td",):
            self.open.pop()
        while tag == "tr" and self.open[-1] == "tr":
            self.open.pop()
        if tag not in VOID:
            self.open.append(tag)
        self.texts.setdefault(tag, []).append("")
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value)

    def handle_endtag(self, tag: str) -> None:
        while tag != self.open[-1] and self.open[-1] in ("td", "tr"):
            self.open.pop()
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


def unpacked(data: dict[str, Any], grid: Grid) -> list[list[Cell | None]]:
    """The cells that the data stands for, read as the page's script reads them."""
    rows = []
    for row in data["rows"]:
        cells: list[Cell | None] = []
        for column, number in zip(grid.columns, row[4]):
            facts = column.facts
            words = {"~": "~", "n": row[1], "p": row[0], "v": facts.get("vermagic"), "r": facts.get("release")}
            words["t"] = column.target

            def text(at: int | None, words: dict[str, Any] = words) -> Any:
                return (
                    None if at is None else re.sub("~(.)", lambda found: words[found[1]], data["texts"][at], flags=re.S)
                )

            if number < 0:
                cells.append(None)
                continue
            verdict, errno, message, insmod, rule, summary, log, lines, first, earlier, failed, unchecked = data[
                "reasons"
            ][number]
            assert len(log) == min(lines, SHOWN)
            cells.append(Cell(
                VERDICTS[verdict], text(errno), text(message), text(insmod), text(rule), text(summary),  # type: ignore[arg-type]
                tuple(map(text, log)), bool(first), tuple(map(text, earlier)), text(failed),
                tuple((text(one), text(needs)) for one, needs in unchecked),
            ))  # fmt: skip
        rows.append(cells)
    return rows


@pytest.mark.parametrize("grid", [small(), hostile()], ids=["small", "hostile"])
def test_the_data_is_the_grid(grid: Grid) -> None:
    text = page(grid)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found
    data = json.loads(found[1])
    assert data == json.loads(json.dumps(packed(grid)))
    wanted = [
        [cell and cell._replace(log=cell.log[:SHOWN]) for cell in row.cells or [None] * len(grid.columns)]
        for row in grid.rows
    ]
    assert unpacked(data, grid) == wanted
    assert [row[:3] for row in data["rows"]] == [[row.path, row.name, row.error] for row in grid.rows]


def test_texts_are_stored_once_for_all_modules_and_kernels() -> None:
    cells = [[vermagic_refused(name, kernel) for kernel in ("6.1.1", "6.1.2")] for name in ("one", "two", "three")]
    rows = [Row(f"{line}.ko", f"{name}", None, tuple(line)) for name, line in zip(("one", "two", "three"), cells)]
    data = packed(Grid("modprobe", (column("a", "6.1.1"), column("b", "6.1.2")), tuple(rows)))
    assert len(data["reasons"]) == 1


@pytest.mark.parametrize("grid", [small(), hostile(), Grid("insmod", (), ())], ids=["small", "hostile", "empty"])
def test_the_page_is_well_formed_and_alone(grid: Grid) -> None:
    text = page(grid)
    text.encode("utf-8")
    parsed = Structure(text)
    assert len(parsed.texts["script"]) == 2
    assert "style" not in parsed.attributes
    assert not [name for name in parsed.attributes if name in ("src", "href", "action") or name.startswith("on")]
    assert "img" not in parsed.texts
    policy = next(value for value in parsed.attributes["content"] if value and value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_no_character_turns_or_hides_the_text_around_it() -> None:
    outside = page(hostile())
    assert not [letter for letter in outside if not letter.isprintable() and letter != "\n"]
    assert r"\u202egnp.ko" in outside
    assert r"a\xffb.ko" in outside


def test_what_it_says_without_a_script() -> None:
    parsed = Structure(page(small()))
    title = "3 modules × 3 kernels: 1 loads, 2 refused, 1 unknown, 5 not judged"
    assert parsed.texts["title"] == [f"{title} – modcheck matrix"]
    assert parsed.texts["h1"] == [title]
    assert [text for text in parsed.texts["td"] if text.strip() in ("✓", "×", "?", "–")][:9] == (
        ["✓", "×", "–\n", "×", "?", "–\n", "–", "–", "–\n"]
    )
    text = page(small())
    assert "built for release 6.6.1, the kernel is 5.10.0+" in text
    assert "… and 12 more lines" in text
    assert "bad.ko: not an ELF file" in text
    assert "none: no kernel" in text


def test_commands_are_words_of_a_shell() -> None:
    words = {row[0]: row[3] for row in packed(hostile())["rows"]}
    assert words["-rf.ko"] == "./-rf.ko"
    assert words["show"] == "./show"
    assert words["a\udcffb.ko"] == r"$'a\xffb.ko'"
    for path, word in words.items():
        if word[0] != "$":
            assert shlex.split(word)[0].removeprefix("./") == path


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_reads_the_words_as_they_were() -> None:
    for path, _, _, word, _ in packed(hostile())["rows"]:
        if "\ud800" not in path:  # no file name has it: it stands for no byte
            done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
            assert done.stdout.removeprefix(b"./") == path.encode("utf-8", "surrogateescape")


def test_the_same_grid_gives_the_same_page() -> None:
    assert page(small()) == page(small())


def test_ninety_thousand_cells_are_a_few_megabytes() -> None:
    text = page(large())
    assert len(text.encode()) < 6_000_000
    assert text.count("<td>") >= 90_000


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
@pytest.mark.parametrize("fragment", ["", "#at=1.0", "#verdict=u&module=two"])
def test_a_browser_draws_it(tmp_path: Path, fragment: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(small()), "utf-8")
    drawn = _dumped(file.as_uri() + fragment, tmp_path)
    cells = re.findall(r'role="gridcell"[^>]*aria-label="([^"]*)"', drawn)
    if fragment.startswith("#verdict"):
        assert cells == ["unknown, vermagic: two.ko on 5.10.0+"]
        assert "1 of 3 modules, 1 of 3 kernels: 1 cell matches" in drawn
        return
    assert len(cells) == 9
    assert cells[1] == "refused, vermagic, ENOEXEC: one.ko on 5.10.0+"
    assert drawn.count('tabindex="0"') == 1
    panel = drawn[drawn.index('id="panel"') : drawn.index('id="data"')]
    assert ("modcheck sub/two.ko --target boards/6.1.0-56-amd64 --loader modprobe" in panel) == bool(fragment)
    if fragment:
        assert "two: Unknown symbol s7 (err -2)\n… and 12 more" in panel
        assert "three" in panel


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
def test_a_browser_obeys_no_name(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(hostile()), "utf-8")
    drawn = _dumped(f"{file.as_uri()}#at=0.1", tmp_path)
    assert "<title>hit" not in drawn
    assert "<img" not in drawn
    assert "All of it" in drawn


def _dumped(address: str, folder: Path) -> str:
    """The document after its script has run."""
    assert BROWSER
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,900",
    ]
    done = subprocess.run([BROWSER, *options, "--dump-dom", address], capture_output=True, check=True, timeout=120)
    return done.stdout.decode()
