"""The table of the symbols that options make, against what real kernels export and real modules import."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from conftest import SAMPLES

from modcheck.arch import ARCHES
from modcheck.module import read_module
from modcheck.target import read_config, read_symvers
from modcheck.target.kconfig import Config
from modcheck.target.made_symbols import SYMBOL_OPTIONS, TABLE, Made, options_of, rows_of

TREES = sorted(path.parent for path in SAMPLES.glob("*/tree/Module.symvers*"))

#: with these the condition is the same in all kernels of the samples
EXPORTED_BY_AN_OPTION = (
    "__stack_chk_fail", "__fentry__", "_mcount", "__gnu_mcount_nc", "__x86_return_thunk",
    "__x86_indirect_thunk_rax", "__check_object_size", "_raw_spin_lock", "_raw_spin_lock_irqsave", "_raw_spin_unlock",
    "_raw_spin_unlock_irq", "_raw_read_lock", "_raw_write_unlock", "_raw_write_unlock_irqrestore",
    "__raw_spin_lock_init", "mutex_lock", "mutex_lock_nested", "lock_acquire", "__might_sleep", "preempt_schedule",
    "__SCT__preempt_schedule", "preempt_count_add", "debug_smp_processor_id", "__rcu_read_lock", "trace_hardirqs_on",
    "__dynamic_pr_debug", "static_key_enable", "module_put", "kmemleak_alloc", "debug_object_init", "__per_cpu_offset",
    "__ubsan_handle_shift_out_of_bounds", "__sanitizer_cov_trace_pc", "__asan_load1_noabort", "__tsan_init",
    "stackleak_track_stack", "__aeabi_unwind_cpp_pr0", "trace_event_raw_init",
)  # fmt: skip


def holds(made: Made, config: Config) -> bool:
    """Whether a kernel of this configuration exports the symbols of the row."""

    def on(option: str) -> bool:
        return not config.on(option[1:]) if option.startswith("!") else option == "y" or config.on(option)

    return all(any(map(on, word.split("|"))) for word in made.exported.split())


@cache
def exports(tree: Path) -> frozenset[str]:
    return frozenset(row.name for row in read_symvers(next(tree.glob("Module.symvers*"))))


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.parent.name)
def test_what_a_kernel_exports_its_options_allow(tree: Path) -> None:
    config = read_config(tree / ".config")
    found = {(name, made) for name in exports(tree) for made in rows_of(name, config.arch)}
    assert len(found) > 20
    assert [(name, made.exported) for name, made in found if not holds(made, config)] == []


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.parent.name)
@pytest.mark.parametrize("symbol", EXPORTED_BY_AN_OPTION)
def test_a_kernel_exports_it_when_its_options_say_so(symbol: str, tree: Path) -> None:
    config = read_config(tree / ".config")
    rows = list(rows_of(symbol, config.arch))
    assert (symbol in exports(tree)) == any(holds(made, config) for made in rows)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.parent.name)
def test_what_a_module_imports_the_options_of_its_tree_allow(tree: Path) -> None:
    config = read_config(tree / ".config")
    made = [
        (symbol.name, row)
        for path in sorted(tree.parent.glob("*.ko"))
        for symbol in read_module(path).undefined
        for row in rows_of(symbol.name, config.arch)
    ]
    assert made or "rk3588" in str(tree)
    assert [(name, row.exported) for name, row in made if not holds(row, config)] == []


@pytest.mark.parametrize(
    ("symbol", "option"),
    [
        ("__sanitizer_cov_trace_pc", "KCOV"), ("__sanitizer_cov_trace_const_cmp4", "KCOV_ENABLE_COMPARISONS"),
        ("__asan_report_store8_noabort", "KASAN_INLINE"), ("__asan_loadN", "KASAN_GENERIC"),
        ("__hwasan_tag_mismatch", "KASAN_SW_TAGS"), ("kasan_flag_enabled", "KASAN_HW_TAGS"),
        ("__kasan_check_read", "KASAN"), ("__kcsan_check_access", "KCSAN"), ("__tsan_read4", "KCSAN"),
        ("__msan_warning", "KMSAN"), ("__ubsan_handle_type_mismatch_v1", "UBSAN_ALIGNMENT"),
        ("__ubsan_handle_out_of_bounds", "UBSAN_BOUNDS"), ("__cfi_slowpath_diag", "CFI_CLANG"),
        ("__kcfi_typeid_probe", "CFI"), ("__stack_chk_fail", "CC_STACKPROTECTOR_STRONG"),
        ("__stack_chk_guard", "STACKPROTECTOR_PER_TASK"), ("__ref_stack_chk_guard", "STACKPROTECTOR"),
        ("mcount", "FUNCTION_TRACER"), ("_mcount", "FUNCTION_TRACER"), ("__gnu_mcount_nc", "FUNCTION_TRACER"),
        ("__fentry__", "FUNCTION_TRACER"), ("__x86_return_thunk", "MITIGATION_RETHUNK"),
        ("__x86_indirect_thunk_r11", "RETPOLINE"), ("__x86_indirect_call_thunk_rax", "MITIGATION_CALL_DEPTH_TRACKING"),
        ("__check_object_size", "HARDENED_USERCOPY"), ("fortify_panic", "FORTIFY_SOURCE"),
        ("__gcov_init", "GCOV_PROFILE_ALL"), ("llvm_gcda_end_file", "GCOV_KERNEL"),
        ("__sanitizer_cov_stack_depth", "KSTACK_ERASE"), ("ftrace_likely_update", "PROFILE_ANNOTATED_BRANCHES"),
        ("_raw_spin_lock_bh", "INLINE_SPIN_LOCK_BH"), ("_spin_unlock_irqrestore", "INLINE_SPIN_UNLOCK_IRQRESTORE"),
        ("_raw_spin_unlock", "UNINLINE_SPIN_UNLOCK"), ("_raw_read_lock", "PREEMPT_RT"), ("rt_spin_lock", "PREEMPT_RT"),
        ("lockdep_init_map_type", "LOCKDEP"), ("mutex_lock_interruptible_nested", "DEBUG_LOCK_ALLOC"),
        ("___preempt_schedule_notrace", "PREEMPT"), ("__SCT__might_resched", "PREEMPT_DYNAMIC"),
        ("__cond_resched", "PREEMPTION"), ("___might_sleep", "DEBUG_ATOMIC_SLEEP"), ("pv_ops", "PARAVIRT"),
        ("trace_hardirqs_off", "TRACE_IRQFLAGS"), ("__dynamic_dev_dbg", "DYNAMIC_DEBUG"),
        ("_shared_alloc_tag", "MEM_ALLOC_PROFILING"), ("__list_add_valid_or_report", "LIST_HARDENED"),
        ("__pv_phys_pfn_offset", "ARM_PATCH_PHYS_VIRT"), ("__aeabi_uidiv", "AEABI"),
        ("__tracepoint_xdp_exception", "TRACEPOINTS"),
    ],
)  # fmt: skip
def test_a_symbol_tells_its_options(symbol: str, option: str) -> None:
    assert option in options_of(symbol)
    assert option in SYMBOL_OPTIONS


@pytest.mark.parametrize(
    "symbol",
    [
        "printk",
        "_printk",
        "kmalloc",
        "kfree",
        "usb_register_driver",
        "module_layout",
        "memcpy",
        "cfi_udelay",
        "jiffies",
    ],
)
def test_an_ordinary_symbol_has_none(symbol: str) -> None:
    assert options_of(symbol) == ()


def test_an_architecture_has_its_own_conditions() -> None:
    assert "STACKPROTECTOR_PER_TASK" in options_of("__stack_chk_guard", "arm64")
    assert "STACKPROTECTOR_PER_TASK" not in options_of("__stack_chk_guard", "mips64")
    assert options_of("__stack_chk_guard", "ppc64") == ()
    assert options_of("__x86_return_thunk", "arm64") == ()
    assert options_of("_mcount", "x86_64") == ()


def test_the_stack_of_each_task_needs_no_symbol() -> None:
    (row,) = rows_of("__stack_chk_guard", "arm64")
    header = "# Linux/arm64 6.1.0 Kernel Configuration\nCONFIG_STACKPROTECTOR=y\n"
    assert holds(row, Config(header, "test"))
    assert not holds(row, Config(header + "CONFIG_STACKPROTECTOR_PER_TASK=y\n", "test"))


def test_rows_are_of_known_architectures_and_real_options() -> None:
    for made in TABLE:
        assert set(made.arches.split()) <= ARCHES.keys()
        assert re.compile(made.symbols)
        assert made.options
        assert re.fullmatch(r"(!?[A-Z]\w+(\|!?[A-Z]\w+)*( |$))+|y", made.exported), made
        assert re.search(r"\.[chS] \d+\.\d+|/ \d+\.\d+", made.source), made
    assert all(option == option.upper() for option in SYMBOL_OPTIONS)
