
"use strict";
// Draws the grid out of the data in the page. Only cells in view exist as elements: ninety thousand would take a
// browser seconds to lay out. What comes from modules and kernels enters the page as text alone, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const { texts, reasons, rows, columns, rules, options } = data;
const VERDICTS = ["loads", "refused", "unknown", "not judged"], MARKS = "✓×?–", KINDS = "lrue";
const byId = (id) => document.getElementById(id);
const app = byId("app"), form = byId("filters"), scroller = byId("scroller"), grid = byId("grid"), panel = byId("panel");

// ---- what the data says ----

/** A text with the words of this row and column put back where marks stand for them. */
function full(number, row, column) {
  if (number === null) return null;
  const words = { "~": () => "~", n: () => row[1], p: () => row[0], v: () => column.vermagic, r: () => column.release, t: () => column.target };
  return texts[number].replace(/~(.)/gs, (_, mark) => words[mark]());
}

/** A text without what a browser would obey or turn around; as Python's `_shown`. */
const shown = (text) => text.replace(/[\p{C}\p{Z}]/gu, (letter) => {
  if (letter === " ") return letter;
  const code = letter.codePointAt(0), hex = (number, digits) => number.toString(16).padStart(digits, "0");
  if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + hex(code - 0xdc00, 2);
  return code < 0x100 ? "\\x" + hex(code, 2) : code < 0x10000 ? "\\u" + hex(code, 4) : "\\U" + hex(code, 8);
});

const kernels = columns.map(([target, label, error, word, facts]) => {
  const kernel = { target: full(target), label: shown(full(label)), error: full(error), word: full(word), vermagic: "", release: "" };
  kernel.facts = facts.map((pair) => pair.map((number) => full(number)));
  for (const [name, value] of kernel.facts) if (name === "vermagic" || name === "release") kernel[name] = value;
  return kernel;
});
const width = columns.length;
const cells = Int32Array.from(rows.flatMap((row) => row[4]));
const reasonAt = (r, c) => cells[r * width + c];
const verdictOf = (reason) => (reason < 0 ? 3 : reasons[reason][0]);
const verdicts = Uint8Array.from(cells, verdictOf);
const paths = rows.map((row) => shown(row[0]));
// the folder that all modules lie below, so as not to show it in each row
let below = rows.length > 1 ? paths.map((path) => path.slice(0, path.lastIndexOf("/") + 1)).reduce((a, b) => {
  while (!b.startsWith(a)) a = a.slice(0, a.lastIndexOf("/", a.length - 2) + 1);
  return a;
}) : "";
const names = paths.map((path) => {
  const short = path.slice(below.length), end = short.lastIndexOf("/") + 1;
  return [short.slice(0, end), short.slice(end)];
});
const soughtRows = rows.map((row, r) => `${paths[r]} ${shown(row[1])}`.toLowerCase());
const soughtColumns = kernels.map((one) =>
  shown([one.label, one.target, ...one.facts.filter(([name]) => !name.endsWith(" from")).map(([, value]) => value)].join(" ")).toLowerCase());

/** The rule that refuses, or the first that is open; empty for none. */
function ruleOf(reason) {
  const number = reason < 0 ? null : reasons[reason][4] ?? (reasons[reason][0] === 2 ? reasons[reason][11][0]?.[0] : null);
  return number === null || number === undefined ? "" : shown(texts[number]);
}

/** Why a cell is as it is, in a few words. */
function brief(r, c) {
  const reason = reasonAt(r, c);
  if (reason < 0) return "not judged";
  const errno = reasons[reason][1];
  return [VERDICTS[verdictOf(reason)], ruleOf(reason), errno === null ? "" : shown(texts[errno])].filter(Boolean).join(", ");
}

/** An element with attributes and children; children that are no elements become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}
const mark = (verdict) => make("span", { class: `mark ${KINDS[verdict]}`, "aria-hidden": "true" }, MARKS[verdict]);
/** A rule's text: what stands between backticks is code. */
const prose = (text) => make("p", {}, ...text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part)));
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

// ---- filters: which rows and columns are shown, which cells match ----

let view = { rows: [], columns: [], matches: null, rowAt: new Map(), columnAt: new Map(), rowSums: [], columnSums: [] };

function wanted() {
  const boxes = [...form.elements.verdict.length ? form.elements.verdict : [form.elements.verdict]];
  return {
    module: form.elements.module.value, kernel: form.elements.kernel.value, reason: form.elements.reason.value,
    verdict: boxes.every((box) => box.checked) ? null : boxes.filter((box) => box.checked).map((box) => box.value).join(""),
    same: form.elements.same.checked, fine: form.elements.fine.checked,
  };
}

const found = (sought, words) => words.toLowerCase().split(/\s+/).filter(Boolean).every((word) => sought.includes(word));
const indexes = (list, test) => list.flatMap((one, index) => (test(one) ? [index] : []));

/** Which reasons a choice in the list stands for: refused by a rule, with an errno, or open for want of a fact. */
function reasonTest(choice) {
  const kind = choice.split(":", 1)[0], name = choice.slice(kind.length + 1);
  const is = (number) => number !== null && shown(texts[number]) === name;
  return { rule: (one) => is(one[4]), errno: (one) => is(one[1]), open: (one) => one[11].some(([rule]) => is(rule)) }[kind] ?? (() => false);
}

function filter() {
  const want = wanted(), test = want.reason ? reasonTest(want.reason) : null;
  const matching = Uint8Array.from([-1, ...reasons.keys()], (reason) =>
    (want.verdict === null || want.verdict.includes(KINDS[verdictOf(reason)])) && (!test || (reason >= 0 && test(reasons[reason]))));
  const matches = (r, c) => matching[reasonAt(r, c) + 1], verdict = (r, c) => verdicts[r * width + c];
  let columnsLeft = indexes(soughtColumns, (text) => found(text, want.kernel));
  let rowsLeft = indexes(soughtRows, (text) => found(text, want.module));
  const byCell = want.verdict !== null || test;
  if (byCell) rowsLeft = rowsLeft.filter((r) => columnsLeft.some((c) => matches(r, c)));
  if (byCell) columnsLeft = columnsLeft.filter((c) => rowsLeft.some((r) => matches(r, c)));
  if (want.same) rowsLeft = rowsLeft.filter((r) => columnsLeft.some((c) => verdict(r, c) !== verdict(r, columnsLeft[0])));
  if (want.fine) {
    const troubled = rowsLeft.filter((r) => columnsLeft.some((c) => verdict(r, c)));
    columnsLeft = columnsLeft.filter((c) => rowsLeft.some((r) => verdict(r, c)));
    rowsLeft = troubled;
  }
  const rowSums = rows.map(() => [0, 0, 0, 0]), columnSums = kernels.map(() => [0, 0, 0, 0]), sums = [0, 0, 0, 0];
  let matched = 0;
  for (const r of rowsLeft) for (const c of columnsLeft) {
    const one = verdict(r, c);
    rowSums[r][one]++; columnSums[c][one]++; sums[one]++;
    matched += matches(r, c);
  }
  view = {
    rows: rowsLeft, columns: columnsLeft, matches: byCell ? matches : null, rowSums, columnSums, sums,
    rowAt: new Map(rowsLeft.map((r, index) => [r, index])), columnAt: new Map(columnsLeft.map((c, index) => [c, index])),
  };
  const of = (left, all, word) => (left === all ? `all ${plural(all, word)}` : `${left} of ${plural(all, word)}`);
  const told = KINDS.split("").map((_, kind) => [sums[kind], `${sums[kind].toLocaleString("en")} ${["load", "refused", "unknown", "not judged"][kind]}`]);
  byId("count").textContent = `${of(rowsLeft.length, rows.length, "module")}, ${of(columnsLeft.length, width, "kernel")}: ` +
    (byCell ? `${plural(matched, "cell")} match${matched === 1 ? "es" : ""}` : told.filter(([count], kind) => count || kind < 3).map(([, text]) => text).join(", "));
  const corner = active.r < 0 && active.c < 0;
  if (!view.rowAt.has(active.r) && (active.r >= 0 || corner)) active.r = rowsLeft[0] ?? -1;
  if (!view.columnAt.has(active.c) && (active.c >= 0 || corner)) active.c = columnsLeft[0] ?? -1;
  scroller.hidden = !rowsLeft.length || !columnsLeft.length;
  byId("told").textContent = scroller.hidden ? "Nothing matches all of these filters." : "";
  layout();
}

// ---- the grid: sizes, the cells in view, where the focus is ----

// in numbers of rows and columns of the data; -1 is the header
const active = { r: 0, c: 0 };
let size = {}, open = null;

function layout() {
  // all that the browser must lay out to answer is asked before anything changes
  const room = app.clientWidth - 2, { scrollTop, scrollLeft } = scroller, phone = room < 640, count = view.columns.length;
  const nameLength = Math.max(8, ...view.rows.map((r) => names[r][0].length + names[r][1].length));
  const sum = phone ? 0 : 14 + 7 * String(count).length;
  const head = Math.round(Math.min(nameLength * 7.25 + 24 + 3 * sum, room * (phone ? 0.38 : 0.36)));
  const each = Math.floor((room - head) / Math.max(count, 1)), roomy = each >= 66;
  const longest = Math.max(4, ...view.columns.map((c) => Math.min(kernels[c].label.length, 26)));
  const next = {
    roomy, phone, head, sum, cell: roomy ? Math.min(each, 168) : 26, row: roomy ? 40 : 26,
    top: (roomy ? (each < 110 ? 64 : 44) : Math.round(longest * 7.25) + 14) + 50,
  };
  if (next.roomy !== size.roomy || next.phone !== size.phone) grid.replaceChildren();
  size = next;
  for (const [name, value] of [["cw", size.cell], ["rh", size.row], ["hw", head], ["hh", size.top], ["sw", sum]]) grid.style.setProperty(`--${name}`, `${value}px`);
  grid.className = roomy ? (each < 90 ? "roomy tight" : "roomy") : "";
  const all = { width: head + count * size.cell, height: size.top + view.rows.length * size.row };
  grid.style.width = `${all.width}px`;
  grid.style.height = `${all.height}px`;
  grid.setAttribute("aria-rowcount", view.rows.length + 1);
  grid.setAttribute("aria-colcount", count + 1);
  // as high as the style sheet lets it be
  const width = Math.min(room, all.width), height = Math.min(Math.max(320, Math.min(736, innerHeight * 0.88)), all.height);
  draw({ scrollTop: Math.min(scrollTop, all.height - height), scrollLeft: Math.min(scrollLeft, all.width - width), clientHeight: height, clientWidth: width });
}

/** The indexes of `list` in view, and the active one wherever it is: it holds the focus. */
function inView(list, from, length, each, keep) {
  const first = Math.max(0, Math.floor(from / each) - 3), last = Math.ceil((from + length) / each) + 3;
  const seen = list.slice(first, last), at = keep === undefined ? -1 : keep;
  if (at >= 0 && at < first) seen.unshift(list[at]);
  if (at >= last) seen.push(list[at]);
  return [-1, ...seen];
}

/** Makes the children of an element those of `keys`, in their order, and leaves alone those that stay. */
function fill(parent, keys, create, place) {
  const stay = new Set(keys);
  for (const child of [...parent.children]) if (!stay.has(child.key)) child.remove();
  let next = parent.firstElementChild;
  for (const key of keys) {
    let child = next;
    if (child?.key === key) next = child.nextElementSibling;
    else {
      child = create(key);
      child.key = key;
      parent.insertBefore(child, next);
    }
    place(child, key);
  }
}

/** Draws what is in view; `box` says where that is. */
function draw(box = scroller) {
  const seenRows = inView(view.rows, box.scrollTop, box.clientHeight - size.top, size.row, view.rowAt.get(active.r));
  const seenColumns = inView(view.columns, box.scrollLeft, box.clientWidth - size.head, size.cell, view.columnAt.get(active.c));
  fill(grid, seenRows, (r) => make("div", { role: "row", class: r < 0 ? "top" : "" }), (line, r) => {
    const at = r < 0 ? -1 : view.rowAt.get(r);
    line.setAttribute("aria-rowindex", at + 2);
    if (r >= 0) {
      line.style.top = `${size.top + at * size.row}px`;
      line.classList.toggle("folder", at > 0 && names[r][0] !== names[view.rows[at - 1]][0]);
    }
    fill(line, seenColumns, (c) => (r < 0 ? columnHeader(c) : c < 0 ? rowHeader(r) : cell(r, c)), (one, c) => placeCell(one, r, c));
  });
}

function placeCell(one, r, c) {
  const at = c < 0 ? -1 : view.columnAt.get(c);
  if (one.at !== at || one.cell !== size.cell || one.head !== size.head) {
    Object.assign(one, { at, cell: size.cell, head: size.head });
    one.setAttribute("aria-colindex", at + 2);
    if (c >= 0) one.style.left = `${size.head + at * size.cell}px`;
  }
  if (r >= 0 && c >= 0) {
    one.classList.toggle("off", Boolean(view.matches) && !view.matches(r, c));
    if (open?.r === r && open.c === c) one.setAttribute("aria-selected", "true");
    else one.removeAttribute("aria-selected");
  } else if (r !== c && one.of !== view) {
    one.of = view;
    one.lastChild.replaceChildren(...sumsOf(r < 0 ? view.columnSums[c] : view.rowSums[r], r >= 0));
  }
  if (r >= 0 || c >= 0) one.tabIndex = r === active.r && c === active.c ? 0 : -1;
}

const sumsOf = (sums, marked) => [0, 1, 2].map((kind) =>
  make("span", sums[kind] ? {} : { class: marked ? "zero" : "" }, `${marked ? MARKS[kind] : ""}${sums[kind]}`));

function columnHeader(c) {
  if (c < 0) {
    const told = below ? `below ${below}` : "";
    const sums = [0, 1, 2].map((kind) => make("span", {}, `${["load", "refused", "unknown"][kind]} ${MARKS[kind]}`));
    return make("div", { role: "columnheader", class: "corner" }, make("span", { class: "below" }, "Module ", make("code", {}, told)),
      make("span", { class: "sums", "aria-hidden": "true" }, ...sums));
  }
  const { label, error } = kernels[c];
  const short = size.roomy || label.length <= 26 ? label : `${label.slice(0, 8)}…${label.slice(-17)}`;
  return make("div", { role: "columnheader", "aria-label": label + (error ? ", not judged" : ""), title: label, "data-r": -1, "data-c": c },
    make("span", { class: error ? "label broken" : "label" }, short), make("span", { class: "sums", "aria-hidden": "true" }));
}

function rowHeader(r) {
  const [folder, name] = names[r], error = rows[r][2] !== null;
  return make("div", { role: "rowheader", "aria-label": paths[r] + (error ? ", not judged" : ""), title: paths[r], "data-r": r, "data-c": -1 },
    make("span", { class: error ? "name broken" : "name" }, make("span", { class: "dir" }, size.phone ? "" : folder), make("span", {}, name)),
    make("span", { class: "sums", "aria-hidden": "true", ...(size.phone ? { hidden: "" } : {}) }));
}

function cell(r, c) {
  const verdict = verdicts[r * width + c], rule = ruleOf(reasonAt(r, c));
  const one = make("div", {
    role: "gridcell", class: KINDS[verdict], "data-r": r, "data-c": c,
    // the names too: not every screen reader finds the headers of a grid that is drawn in parts
    "aria-label": `${brief(r, c)}: ${names[r][1]} on ${kernels[c].label}`,
  }, size.roomy ? `${MARKS[verdict]}\u00a0${VERDICTS[verdict]}` : MARKS[verdict]);
  if (size.roomy && rule) one.append(" ", make("small", {}, rule));
  return one;
}

const elementAt = (r, c) => grid.querySelector(`[data-r="${r}"][data-c="${c}"]`);

/** Scrolls a cell out from under the headers and into view, and gives it the focus. */
function go(r, c, focus = true) {
  Object.assign(active, { r, c });
  const reveal = (start, shownLength, at, each) => Math.max(Math.min(start, at * each), (at + 1) * each - shownLength);
  if (r >= 0) scroller.scrollTop = reveal(scroller.scrollTop, scroller.clientHeight - size.top, view.rowAt.get(r), size.row);
  if (c >= 0) scroller.scrollLeft = reveal(scroller.scrollLeft, scroller.clientWidth - size.head, view.columnAt.get(c), size.cell);
  draw();
  const one = elementAt(r, c);
  if (focus) one?.focus({ preventScroll: true });
  // the grid itself may lie below what the window shows
  one?.scrollIntoView({ block: "nearest", inline: "nearest" });
  tell(r, c);
}

/** Says below the grid what the pointer or the focus is on, and lights its headers. */
function tell(r, c) {
  byId("told").textContent = r >= 0 && c >= 0 ? `${paths[r]} on ${kernels[c].label}: ${brief(r, c)}` : r >= 0 ? paths[r] : c >= 0 ? kernels[c].label : "";
  for (const one of grid.querySelectorAll(".lit")) one.classList.remove("lit");
  elementAt(r, -1)?.classList.add("lit");
  elementAt(-1, c)?.classList.add("lit");
}

function onKey(event) {
  if (event.altKey || event.metaKey || !event.target.dataset.c) return;
  const rowList = view.rows, columnList = view.columns, page = Math.max(1, Math.floor((scroller.clientHeight - size.top) / size.row) - 1);
  let r = view.rowAt.get(active.r) ?? -1, c = view.columnAt.get(active.c) ?? -1;
  const lastRow = rowList.length - 1, lastColumn = columnList.length - 1, far = event.ctrlKey;
  switch (event.key) {
    case "ArrowUp": r = far ? 0 : r - 1; break;
    case "ArrowDown": r = far ? lastRow : r + 1; break;
    case "ArrowLeft": c = far ? 0 : c - 1; break;
    case "ArrowRight": c = far ? lastColumn : c + 1; break;
    case "PageUp": r = Math.max(0, r - page); break;
    case "PageDown": r += page; break;
    case "Home": c = 0; if (far) r = 0; break;
    case "End": c = lastColumn; if (far) r = lastRow; break;
    case "Enter": case " ": event.preventDefault(); show(active.r, active.c); return;
    default: return;
  }
  event.preventDefault();
  r = Math.min(Math.max(r, -1), lastRow);
  c = Math.min(Math.max(c, -1), lastColumn);
  if (r >= 0 || c >= 0) go(r < 0 ? -1 : rowList[r], c < 0 ? -1 : columnList[c]);
}

// ---- the panel: all about a cell, a module or a kernel ----

const section = (title, ...parts) => (parts.length ? [make("h3", {}, title), ...parts] : []);
const code = (lines) => make("pre", {}, lines.map(shown).join("\n"));
const list = (pairs) => make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, shown(name)), make("dd", {}, shown(value))]));

/** A command line with a button that copies it. */
function command(words) {
  const line = make("pre", {}, words), button = make("button", { type: "button" }, "Copy"), said = make("span", { role: "status" });
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(words).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(line);
    said.textContent = copied ? "Copied" : "Selected: copy it with Ctrl+C";
  });
  return [line, make("div", { class: "copy" }, button, said)];
}

function aboutCell(r, c) {
  const row = rows[r], kernel = kernels[c], reason = reasons[reasonAt(r, c)];
  const line = ["modcheck", row[3], "--target", kernel.word, options].filter(Boolean).join(" ");
  const all = section("All of it", ...command(line));
  if (!reason) return [...section("Why not", ...[row[2], kernel.error].filter((one) => one !== null).map((one) => make("p", {}, shown(one)))), ...all];
  const [verdict, errno, message, insmod, rule, summary, log, lines, first, earlier, failedIn, open_] = reason;
  const say = (number) => shown(full(number, row, kernel) ?? "");
  const parts = [];
  if (errno !== null) {
    parts.push(make("p", {}, make("strong", {}, say(errno)), ` ${say(message)}`, insmod === null || insmod === message ? "" : `; insmod: ${say(insmod)}`));
  }
  if (rule !== null) {
    const [does, mend] = rules[texts[rule]] ?? [];
    parts.push(...section("Refused by", make("p", {}, make("code", {}, say(rule)), summary === null || !say(summary) ? "" : `: ${say(summary)}`)));
    if (failedIn !== null) parts.push(make("p", {}, "It is ", make("code", {}, say(failedIn)), " that is refused, which must be loaded first."));
    if (!first) parts.push(make("p", {}, `The kernel might stop earlier and with another line: ${earlier.map(say).join(", ") || "something"} could not be checked.`));
    if (does) parts.push(...section("The rule", prose(does)), ...section("To mend it", prose(mend)));
  } else if (summary !== null && say(summary)) parts.push(make("p", {}, say(summary)));
  const logged = log.map((one) => full(one, row, kernel));
  if (lines > log.length) logged.push(`… and ${lines - log.length} more`);
  parts.push(...section("Kernel log", lines ? code(logged) : make("p", {}, verdict === 1 ? "Nothing: the kernel refuses without a word." : "Nothing.")));
  const needs = new Map();
  for (const [name, need] of open_) needs.set(say(need), [...(needs.get(say(need)) ?? []), say(name)]);
  if (needs.size) parts.push(...section("Not decided, for want of", make("ul", {}, ...[...needs].map(([need, which]) => make("li", {}, `${need} (${which.join(", ")})`)))));
  return [...parts, ...all];
}

const sumList = (sums) => list(VERDICTS.map((name, kind) => [name, sums[kind].toLocaleString("en")]).filter((_, kind) => kind < 3 || sums[kind]));

function aboutRow(r) {
  const [path, name, error, word] = rows[r], sums = [0, 0, 0, 0];
  for (let c = 0; c < width; c++) sums[verdicts[r * width + c]]++;
  return [
    ...section("File", list([["path", path], ...(name ? [["name", name]] : [])])),
    ...(error === null ? [] : section("Not judged", make("p", {}, shown(error)))),
    ...section(`On all ${plural(width, "kernel")}`, sumList(sums)), ...section("What it declares", ...command(`modcheck show ${word}`)),
  ];
}

function aboutColumn(c) {
  const { target, error, word, facts } = kernels[c], sums = [0, 0, 0, 0];
  for (let r = 0; r < rows.length; r++) sums[verdicts[r * width + c]]++;
  return [
    ...(error === null ? [] : section("Not judged", make("p", {}, shown(error)))),
    ...section(`Of all ${plural(rows.length, "module")}`, sumList(sums)),
    ...section("Facts", list([["given as", target], ...facts])), ...section("All of it", ...command(`modcheck target ${word}`)),
  ];
}

function show(r, c, focus = true) {
  open = { r, c };
  const verdict = r >= 0 && c >= 0 ? verdicts[r * width + c] : -1;
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", hide);
  const what = r >= 0 && c >= 0 ? [paths[r], make("span", {}, " on "), kernels[c].label] : [r >= 0 ? paths[r] : kernels[c].label];
  panel.replaceChildren(
    make("div", { class: "head" }, make("span", {}, ...(verdict < 0 ? [r >= 0 ? "Module" : "Kernel"] : [mark(verdict), ` ${VERDICTS[verdict]}`])), close),
    make("h2", { id: "what" }, ...what),
    ...(verdict >= 0 ? aboutCell(r, c) : r >= 0 ? aboutRow(r) : aboutColumn(c)));
  panel.hidden = false;
  panel.scrollTop = 0;
  document.body.classList.add("open");
  layout();
  go(r, c, false);
  if (focus) panel.focus();
  save();
}

function hide() {
  open = null;
  panel.hidden = true;
  document.body.classList.remove("open");
  layout();
  go(active.r, active.c);
  save();
}

// ---- the state in the address, so that a link shows the same ----

let saving = 0;

function save() {
  clearTimeout(saving);
  saving = setTimeout(() => {
    const state = new URLSearchParams();
    for (const [name, value] of Object.entries(wanted())) if (value !== "" && value !== false && value !== null) state.set(name, value === true ? "1" : value);
    if (wanted().verdict === "") state.set("verdict", "none");
    if (open) state.set("at", `${open.r}.${open.c}`);
    // some browsers refuse it in a frame without an origin, and too many of them: the page works all the same
    try { history.replaceState(null, "", `#${state}`); } catch { /* the address stays as it was */ }
  }, 150);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1)), fields = form.elements;
  fields.module.value = state.get("module") ?? "";
  fields.kernel.value = state.get("kernel") ?? "";
  fields.reason.value = state.get("reason") ?? "";
  if (fields.reason.selectedIndex < 0) fields.reason.value = "";
  for (const box of form.querySelectorAll("[name=verdict]")) box.checked = !state.has("verdict") || state.get("verdict").includes(box.value);
  fields.same.checked = state.has("same");
  fields.fine.checked = state.has("fine");
  // on a phone the filters would fill the screen
  form.querySelector("details").open ||= innerWidth > 640 || [...state.keys()].some((name) => name !== "at");
  filter();
  const at = (state.get("at") ?? "").split(".").map(Number);
  const there = (index, places) => index === -1 || places.has(index);
  if (at.length === 2 && there(at[0], view.rowAt) && there(at[1], view.columnAt) && Math.max(...at) >= 0) show(...at, false);
  else if (open) hide();
}

// ---- the start ----

/** The reasons that can be chosen, with the number of their cells, the commonest first. */
function fillReasons() {
  const groups = { rule: new Map(), errno: new Map(), open: new Map() };
  const count = new Uint32Array(reasons.length);
  for (const reason of cells) if (reason >= 0) count[reason]++;
  reasons.forEach((reason, index) => {
    const add = (group, number) => {
      const name = shown(texts[number]);
      groups[group].set(name, (groups[group].get(name) ?? 0) + count[index]);
    };
    if (reason[4] !== null) add("rule", reason[4]);
    if (reason[1] !== null) add("errno", reason[1]);
    for (const rule of new Set(reason[11].map(([one]) => one))) add("open", rule);
  });
  for (const [group, title] of [["rule", "Refused by"], ["errno", "Errno"], ["open", "Not decided"]]) {
    const choices = [...groups[group]].sort((a, b) => b[1] - a[1]);
    if (choices.length) form.elements.reason.append(make("optgroup", { label: title },
      ...choices.map(([name, cellCount]) => make("option", { value: `${group}:${name}` }, `${name} (${cellCount.toLocaleString("en")})`))));
  }
}

fillReasons();
app.hidden = false;
form.addEventListener("input", () => { filter(); save(); });
form.addEventListener("submit", (event) => event.preventDefault());
// the fields are reset only after the event
form.addEventListener("reset", () => setTimeout(() => { filter(); save(); }));
grid.addEventListener("keydown", onKey);
const placeOf = (event) => event.target.closest("[data-c]");
grid.addEventListener("click", (event) => {
  const one = placeOf(event);
  if (one) show(Number(one.dataset.r), Number(one.dataset.c));
});
for (const kind of ["pointerover", "focusin"]) grid.addEventListener(kind, (event) => {
  const one = placeOf(event);
  if (one) tell(Number(one.dataset.r), Number(one.dataset.c));
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && open) hide(); });
let drawing = 0;
scroller.addEventListener("scroll", () => { drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); }); }, { passive: true });
new ResizeObserver(() => layout()).observe(app);
addEventListener("hashchange", restore);
// all of it goes to paper; browsers that know ::details-content need no help
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("article details")) one.open = true; });
restore();
