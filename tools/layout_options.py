"""Which options change the layout of which common structures, read out of kernel headers: modcheck/target/layout.tsv.

    python3 tools/layout_options.py SOURCE_TREE... > modcheck/target/layout.tsv   (15 seconds per tree)

Of each tree it reads include/linux, include/net, include/asm-generic and every arch/*/include/asm; what it prints is
the union over all. An option is held to change a structure where its name is

- in a condition (#if, #ifdef, #ifndef, #elif) inside the structure's braces that members depend on;
- in a condition of which two branches define the structure, or typedef the name, in different words;
- in an array's length.

In place of CONFIG_X there may be a macro that is defined by it or on condition of it, or an enumerator behind others
that are there on condition of it. No #include is followed, no type looked up: a structure that embeds a changed one is
not named for it, nor one whose member's type has a file of its own per option. The well-known of those are in `EXTRA`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

TITLE = "option, common structures whose layout it changes (the most used ones)"
FOLDERS = ("include/linux", "include/net", "include/asm-generic", "arch/*/include/asm")
NAMED = 6
"""structures that a row has by name"""
COMMON = 50
"""a structure that the headers of a tree name less often is left out"""
FIRST = ("task_struct", "device", "module", "page", "inode", "sk_buff", "net_device")
"""those that come before the others, which are ranked by how often the headers name them"""
DEPTH = 3
"""macros that are followed from a structure to an option: more brings what only arithmetic in theory depends on"""

#: the well-known that no single header tells: options, and structures that they change
EXTRA = (
    # kernel/bounds.c makes MAX_NR_ZONES of mmzone.h's enum zone_type: node_zones[], lowmem_reserve[], lru_zone_size[]
    ("ZONE_DMA ZONE_DMA32 ZONE_DEVICE HIGHMEM", "pglist_data zone mem_cgroup_per_node zonelist"),
    # nodes in page flags, or beside them: NODES_WIDTH of page-flags-layout.h; nodemask_t is mems_allowed
    ("NODES_SHIFT", "task_struct page"),
    # cpumask_var_t is a pointer or the mask itself
    ("CPUMASK_OFFSTACK", "irq_common_data irq_desc workqueue_attrs"),
    # cgroup_subsys.h is included into the enum that CGROUP_SUBSYS_COUNT ends: subsys[], e_csets[], e_cset_node[]
    (
        "CPUSETS CGROUP_SCHED CGROUP_CPUACCT BLK_CGROUP MEMCG CGROUP_DEVICE CGROUP_FREEZER CGROUP_NET_CLASSID "
        "CGROUP_PERF CGROUP_NET_PRIO CGROUP_HUGETLB CGROUP_PIDS CGROUP_RDMA CGROUP_MISC CGROUP_DEBUG CGROUP_DMEM",
        "cgroup css_set",
    ),
    # spinlock_types_up.h: arch_spinlock_t is empty without SMP and DEBUG_SPINLOCK
    ("SMP", "arch_spinlock_t raw_spinlock spinlock device net_device"),
    # the locks are members of nearly everything
    ("DEBUG_SPINLOCK DEBUG_LOCK_ALLOC PREEMPT_RT", "spinlock task_struct device module inode net_device file"),
    ("DEBUG_MUTEXES MUTEX_SPIN_ON_OWNER", "device module net_device"),
    ("RWSEM_SPIN_ON_OWNER DEBUG_RWSEMS", "inode"),
    ("LOCKDEP LOCK_STAT", "raw_spinlock mutex device module"),
    # members by value: kobject, dev_pm_info, dev_msi_info; mod_arch_specific; sched_entity and its like
    ("DEBUG_KOBJECT_RELEASE", "device module net_device"),
    ("PM PM_SLEEP GENERIC_MSI_IRQ", "device net_device"),
    ("UNWINDER_ORC ARM_UNWIND ARM_MODULE_PLTS", "module"),
    ("FAIR_GROUP_SCHED RT_GROUP_SCHED SCHEDSTATS SCHED_INFO", "task_struct"),
    # __randomize_layout and randomized_struct_fields_start
    (
        "RANDSTRUCT RANDSTRUCT_FULL RANDSTRUCT_PERFORMANCE GCC_PLUGIN_RANDSTRUCT GCC_PLUGIN_RANDSTRUCT_PERFORMANCE",
        "task_struct module inode file dentry cred mm_struct vm_area_struct super_block file_operations path",
    ),
    # L1_CACHE_BYTES, to which ____cacheline_aligned aligns
    (
        "X86_L1_CACHE_SHIFT ARM_L1_CACHE_SHIFT MIPS_L1_CACHE_SHIFT ARC_CACHE_LINE_SHIFT",
        "module netdev_queue zone pglist_data irq_desc inode_operations dentry_operations",
    ),
    ("X86_INTERNODE_CACHE_SHIFT", "irq_desc zone pglist_data"),
    # what PAGE_SIZE decides: MAX_SKB_FRAGS, the width of offsets, buffers of a page
    (
        "ARM64_4K_PAGES ARM64_16K_PAGES ARM64_64K_PAGES PPC_4K_PAGES PPC_16K_PAGES PPC_64K_PAGES PPC_256K_PAGES",
        "skb_shared_info page_frag_cache svc_rqst trace_seq",
    ),
    # files of their own for two and three levels
    ("X86_PAE ARM_LPAE", "pte_t pmd_t pgd_t"),
    # resource_size_t, dma_addr_t
    ("PHYS_ADDR_T_64BIT", "resource pci_dev"),
    ("ARCH_DMA_ADDR_T_64BIT", "scatterlist urb"),
    # possible_net_t is empty without it
    ("NET_NS", "net_device sock_common sock"),
    # slab_def.h or slub_def.h, until 6.7
    ("SLAB SLUB", "kmem_cache"),
)

_NO_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n]){1,4}')""", re.DOTALL)
_DIRECTIVE = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif|define)\b(.*)")
_OPTION = re.compile(r"\bCONFIG_(\w+)")
_MACRO = re.compile(r"\s+(\w+)(?!\()(?:\s+(.*))?")
_CONSTANT = re.compile(r"\b(?!CONFIG_)[A-Z_][A-Z0-9_]+\b")
# conditions on which there are no structures: assembly, C++, what is left out
_DEAD = re.compile(r"\s*(!?)\s*(?:defined)?\s*\(?\s*(?:0|__ASSEMBLY__|__ASSEMBLER__|__cplusplus)\s*\)?\s*")
_ATTRIBUTE = re.compile(
    r"__\w+\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\b(?:__packed|____cacheline_\w+|__(?:no_)?randomize_layout)\b"
)
_AGGREGATE = re.compile(r"\b(struct|union|enum)\b((?:(?!\b(?:struct|union|enum)\b).)*)$", re.DOTALL)
_TYPEDEF = re.compile(r"\s*typedef\b[^(){}]*?\b(\w+)\s*(?:\[[^\]]*\]\s*)?")
_LENGTH = re.compile(r"\[([^\]]+)\]|\bDECLARE_BITMAP\s*\(\s*\w+\s*,([^;]+)\)")
_ENUMERATOR = re.compile(r"\b([A-Z_]\w+)\s*(?:=[^,}]*)?(?:[,}]|$)")


@dataclass(eq=False)
class Chain:
    """One #if to its #endif: the options and other macros of its conditions, and what was open at its #if."""

    open: tuple[Body, ...]
    tail: str
    options: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    branch: int = 0
    first: tuple[tuple[Body, ...], str] | None = None
    code: bool = False
    dead: bool = False
    else_dead: bool = False


Place = tuple[tuple[Chain, int], ...]
"""the branches that a definition stands in, outermost first"""


@dataclass(eq=False)
class Body:
    """What a pair of braces holds: of a struct (or union), an enum, or anything else ("")."""

    kind: str
    name: str
    place: Place
    chains: list[Chain] = field(default_factory=list)
    lengths: set[str] = field(default_factory=set)
    options: set[str] = field(default_factory=set)
    words: str = ""
    typedef: str = ""


@dataclass(eq=False)
class Definition:
    """A macro or a typedef; an enumerator has the conditions before it in `chains`."""

    place: Place
    words: str
    chains: list[Chain] = field(default_factory=list)


class Header:
    """One file, read line by line: comments, strings and continued lines are gone from `text`."""

    def __init__(self, text: str) -> None:
        self.structures: list[Body] = []
        self.typedefs: dict[str, list[Definition]] = defaultdict(list)
        self.constants: dict[str, list[Definition]] = defaultdict(list)
        self._open: tuple[Body, ...] = ()
        self._tail = ""  # the statement so far
        self._closed: Body | None = None
        self._chains: list[Chain] = []
        for line in text.split("\n"):
            if not line or line.isspace():
                continue
            directive = _DIRECTIVE.match(line)
            if directive and directive[1] != "define":
                self._condition(directive[1], directive[2])
            elif any(chain.dead for chain in self._chains):
                pass
            elif directive:
                if macro := _MACRO.fullmatch(directive[2]):
                    self.constants[macro[1]].append(Definition(self._place(), macro[2] or ""))
            elif not line.lstrip().startswith("#"):
                for chain in self._chains:
                    chain.code = True
                self._code(line)
        self.balanced = not self._open

    def _place(self) -> Place:
        return tuple((chain, chain.branch) for chain in self._chains)

    def _condition(self, word: str, text: str) -> None:
        if word.startswith("if"):
            chain = Chain(self._open, self._tail)
            if dead := _DEAD.fullmatch(text):
                chain.else_dead = bool(dead[1]) or word == "ifndef"
                chain.dead = not chain.else_dead
            self._chains.append(chain)
        elif not self._chains:
            return
        chain = self._chains[-1]
        chain.options |= _options(text)
        chain.names |= set(_CONSTANT.findall(text))
        if word.startswith("if"):
            return
        # what the first branch has opened or closed is what the lines behind #endif go on with
        if chain.first is None and not chain.dead:
            chain.first = (self._open, self._tail)
        if word != "endif":
            chain.branch += 1
            chain.dead = word == "else" and chain.else_dead
            self._open, self._tail = chain.open, chain.tail
            return
        self._chains.pop()
        self._open, self._tail = chain.first or (chain.open, chain.tail)
        if chain.code and chain.open and chain.open[-1].kind == "enum":
            chain.open[-1].chains.append(chain)
        if chain.code and chain.open and all(body.kind == "struct" for body in chain.open):
            for body in chain.open:
                body.chains.append(chain)

    def _code(self, line: str) -> None:
        if self._open and self._open[-1].kind == "enum":
            self._enumerators(line)
        in_structure = all(body.kind == "struct" for body in self._open)
        for part in re.split(r"([{};])", line):
            if part == "{":
                self._begin()
                in_structure = in_structure and all(body.kind == "struct" for body in self._open)
            elif part == "}":
                if len(self._open) == 1 and self._open[0].kind == "struct":
                    self._closed = self._open[0]
                self._open, self._tail = self._open[:-1], ""
            elif part == ";":
                self._end()
            else:
                self._tail += part + " "
            if self._open and in_structure:
                self._open[0].words += part
                if part not in "{};":
                    lengths = " ".join(map("".join, _LENGTH.findall(part)))
                    for body in self._open:
                        body.options |= _options(part)
                        body.lengths |= set(_CONSTANT.findall(lengths))

    def _begin(self) -> None:
        head = _AGGREGATE.search(_ATTRIBUTE.sub("", self._tail))
        tail, self._tail = self._tail, ""
        if head is None or not re.fullmatch(r"\s*\w*\s*", head[2]):
            if not re.search(r'\bextern\s+""\s*$', tail):
                self._open += (Body("", "", ()),)
            return
        body = Body("enum" if head[1] == "enum" else "struct", head[2].strip(), self._place())
        if body.kind == "struct" and all(outer.kind == "struct" for outer in self._open):
            self.structures.append(body)
        self._open += (body,)

    def _end(self) -> None:
        """At a semicolon."""
        tail, self._tail = self._tail, ""
        closed, self._closed = self._closed, None
        if self._open:
            return
        if closed:
            if names := re.findall(r"\b[a-z]\w*", _ATTRIBUTE.sub("", tail)):
                closed.typedef = names[0]
        elif found := _TYPEDEF.fullmatch(tail):
            self.typedefs[found[1]].append(Definition(self._place(), " ".join(tail.split())))

    def _enumerators(self, line: str) -> None:
        body = self._open[-1]
        inside = [chain for chain in self._chains if chain.open == self._open]
        for name in _ENUMERATOR.findall(line):
            self.constants[name].append(Definition(self._place(), "", [*body.chains, *inside]))


def _options(text: str) -> set[str]:
    found = set(_OPTION.findall(text))
    return {name for name in found if not (name.endswith("_MODULE") and name.removesuffix("_MODULE") in found)}


class Tree:
    """One source tree: `options` of each structure."""

    def __init__(self, root: Path) -> None:
        made = dict(re.findall(r"^([A-Z]+) = ?(\S*)$", (root / "Makefile").read_text(), re.MULTILINE))
        self.version = "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}{EXTRAVERSION}".format_map(made)
        self.words: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.options: dict[str, set[str]] = defaultdict(set)
        self.aliases: dict[str, str] = {}
        self.headers: list[tuple[str, Header]] = []
        self._known: dict[tuple[str, str, bool, int], set[str]] = {}
        self._constants: dict[str, list[tuple[str, list[Definition]]]] = defaultdict(list)
        for path in _headers(root):
            text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
            text = _NO_CODE.sub(lambda found: '""' if found[1] else " ", text)
            self.words.update(re.findall(r"\w+", text))
            self.tags.update(re.findall(r"\b(?:struct|union)\s+(\w+)", text))
            parts = path.relative_to(root).parts
            area = parts[1] if parts[0] == "arch" else ""
            header = Header(text)
            self.headers.append((area, header))
            for name, definitions in header.constants.items():
                self._constants[name].append((area, definitions))
            if not header.balanced:
                print(f"{path}: braces do not match", file=sys.stderr)
        for area, header in self.headers:
            self._collect(area, header)

    def _collect(self, area: str, header: Header) -> None:
        defined: dict[str, list[Definition]] = header.typedefs
        for body in header.structures:
            name = body.name or body.typedef
            if not name:
                continue
            if body.typedef:
                self.aliases[body.typedef] = name
            found = set(body.options)
            for chain in body.chains:
                found |= self._of_chain(area, chain)
            for constant in body.lengths:
                found |= self._of_constant(area, constant, False)
            self.options[name] |= found
            defined[name].append(Definition(body.place, body.words))
        for name, definitions in defined.items():
            self.options[name] |= self._of_choice(area, definitions)

    def _of_chain(self, area: str, chain: Chain, depth: int = 0) -> set[str]:
        return chain.options.union(*(self._of_constant(area, name, True, depth) for name in chain.names))

    def _of_choice(self, area: str, definitions: list[Definition], depth: int = 0) -> set[str]:
        """The options that choose between several definitions of one name."""
        found: set[str] = set()
        for one, other in combinations(definitions, 2):
            if one.words == other.words:
                continue
            same = _common(one.place, other.place)
            chains, other_chains = ([chain for chain, _ in each.place[same:]] for each in (one, other))
            if chains and other_chains and chains[0] is other_chains[0]:
                found |= self._of_chain(area, chains[0], depth)
            else:  # #ifdef CONFIG_X ... #endif, and #ifndef CONFIG_X ... #endif elsewhere
                found |= self._of_chains(area, chains, depth) & self._of_chains(area, other_chains, depth)
        return found

    def _of_chains(self, area: str, chains: list[Chain], depth: int) -> set[str]:
        return set().union(*(self._of_chain(area, chain, depth) for chain in chains))

    def _of_constant(self, area: str, name: str, existence: bool, depth: int = 0) -> set[str]:
        """The options that the value of a macro or enumerator depends on; with `existence`, also whether there is one.

        An architecture's headers see their own definitions and the general ones, the general headers see all.
        """
        key = (area, name, existence, depth)
        if key in self._known:
            return self._known[key]
        found = self._known[key] = set()
        if depth == DEPTH:
            return found
        for where, definitions in self._constants.get(name, ()):
            if area and where and where != area:
                continue
            found |= self._of_choice(where, definitions, depth + 1)
            for definition in definitions:
                chains = definition.chains + [chain for chain, _ in definition.place if existence]
                found |= self._of_chains(where, chains, depth + 1) | _options(definition.words)
                for constant in _CONSTANT.findall(definition.words):
                    found |= self._of_constant(where, constant, existence, depth + 1)
        return found


def _common(one: Place, other: Place) -> int:
    """How many of the outer branches two places share."""
    pairs = [this[0] is that[0] and this[1] == that[1] for this, that in zip(one, other)]
    return pairs.index(False) if False in pairs else len(pairs)


def _headers(root: Path) -> list[Path]:
    folders = [folder for pattern in FOLDERS for folder in root.glob(pattern)]
    return sorted(path for folder in folders for path in folder.rglob("*.h"))


def main(roots: Iterable[str]) -> None:
    trees = [Tree(Path(root)) for root in roots]
    weights: Counter[str] = Counter()
    changed: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        weights.update(tree.tags)
        weights.update({name: tree.words[name] for name in tree.options.keys() - tree.tags.keys()})
        weights.update({name: tree.words[alias] for alias, name in tree.aliases.items() if alias != name})
        for name, options in tree.options.items():
            for option in options:
                changed[option].add(name)
    for some, structures in EXTRA:
        for option in some.split():
            changed[option].update(structures.split())
    versions = ", ".join(tree.version for tree in trees)
    print(f"# {TITLE}, made by tools/layout_options.py from the headers of Linux {versions}")
    for option in sorted(changed):
        common = {name for name in changed[option] if weights[name] >= COMMON * len(trees) or name in FIRST}
        first = [name for name in FIRST if name in common]
        ranked = first + sorted(common.difference(first), key=lambda name: (-weights[name], name))
        if ranked:
            print(option, " ".join(ranked[:NAMED]), sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])
