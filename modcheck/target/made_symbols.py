"""Symbols that modules import though no line of their source names them, and the options that make them do so.

The compiler puts them there (its instrumentation, and the helpers of its runtime), or inline functions and macros of
the kernel's headers that come down to another helper as an option is on or off. Where a kernel lacks such a symbol, the
module was built in a tree where one of its options is otherwise.

Read from Linux 5.10, 6.1, 6.12 and 7.2: where a symbol is exported, on which condition, and what its file is built for;
names of before from the kernels that had them. What no option decides is not here: the 64-bit divisions that a 32-bit
kernel exports to nobody, floating point, `_GLOBAL_OFFSET_TABLE_`, `__this_fixmap_does_not_exist`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Made(NamedTuple):
    """Some symbols, and the options that they come from."""

    symbols: str
    """a regular expression of their whole names"""
    exported: str
    """when the kernel exports them: all of the words hold, of those with `|` between them one, `!` is before an option
    that is off; `y`: in any case, and the options tell but whether modules import them"""
    source: str
    """what says so, in the newest of the kernels that have it"""
    also: str = ""
    """further options that decide whether modules import them, and what earlier kernels call the options"""
    arches: str = ""
    """the architectures where it is so; none: all"""

    @property
    def options(self) -> tuple[str, ...]:
        """Names without CONFIG_, those that decide the export first."""
        words = re.findall(r"\w\w+", f"{self.exported} {self.also}")
        return tuple(dict.fromkeys(words))


_X86 = "x86_64 i386"

#: the locks that kernel/Kconfig.locks inlines one by one, as the part of their names that the options share
_LOCKS = (
    *("spin_trylock", "spin_trylock_bh", "spin_lock", "spin_lock_bh", "spin_lock_irq", "spin_lock_irqsave"),
    *("spin_unlock_bh", "spin_unlock_irq", "spin_unlock_irqrestore"),
    *("read_trylock", "read_lock", "read_lock_bh", "read_lock_irq", "read_lock_irqsave"),
    *("read_unlock", "read_unlock_bh", "read_unlock_irq", "read_unlock_irqrestore"),
    *("write_trylock", "write_lock", "write_lock_bh", "write_lock_irq", "write_lock_irqsave"),
    *("write_unlock", "write_unlock_bh", "write_unlock_irq", "write_unlock_irqrestore"),
)


def _lock(name: str) -> Made:
    """A lock of `_LOCKS`. Without SMP and debugging locks are macros, with PREEMPT_RT those of readers are rt_read_lock
    and the like; before 2.6.33 the names are without `raw_`."""
    sleeps = "" if name.startswith("spin") else " !PREEMPT_RT"
    condition = f"!INLINE_{name.upper()} SMP|DEBUG_SPINLOCK|PROVE_LOCKING{sleeps}"
    return Made(f"_(raw_)?{name}", condition, "kernel/locking/spinlock.c 7.2", "GENERIC_LOCKBREAK PREEMPTION PREEMPT")


def _ubsan(handlers: str, checks: str) -> Made:
    """What UBSAN calls where a check fails; `checks`: the options that compile the check in."""
    return Made(f"__ubsan_handle_({handlers})", "UBSAN !UBSAN_TRAP", "lib/ubsan.c 7.2", f"{checks} UBSAN_SANITIZE_ALL")


TABLE: tuple[Made, ...] = (
    # instrumentation by the compiler: coverage
    Made(r"__sanitizer_cov_trace_pc", "KCOV", "kernel/kcov.c 7.2", "KCOV_INSTRUMENT_ALL"),
    Made(r"__sanitizer_cov_trace_((const_)?cmp[1248]|switch)", "KCOV", "kernel/kcov.c 7.2",
        "KCOV_ENABLE_COMPARISONS KCOV_INSTRUMENT_ALL"),
    Made(r"kcov_(common_handle|remote_start|remote_stop)", "KCOV", "include/linux/kcov.h 7.2"),
    Made(r"__gcov_\w+|llvm_gc(ov|da)_\w+", "GCOV_KERNEL", "kernel/gcov/gcc_base.c 7.2", "GCOV_PROFILE_ALL"),
    Made(r"ftrace_likely_update", "TRACE_BRANCH_PROFILING", "kernel/trace/trace_branch.c 7.2",
        "PROFILE_ANNOTATED_BRANCHES PROFILE_ALL_BRANCHES"),
    # memory and data races
    Made(r"__asan_\w+", "KASAN", "mm/kasan/generic.c 7.2, mm/kasan/shadow.c 7.2",
        "KASAN_GENERIC KASAN_SW_TAGS KASAN_INLINE KASAN_OUTLINE KASAN_STACK KASAN_STACK_ENABLE"),
    Made(r"__hwasan_\w+", "KASAN_SW_TAGS", "mm/kasan/sw_tags.c 7.2, arch/arm64/lib/kasan_sw_tags.S 7.2",
        "KASAN_INLINE KASAN_OUTLINE KASAN_STACK KASAN_STACK_ENABLE"),
    Made(r"kasan_(flag_\w+|mode|enable_(tagging|hw_tags)|write_only_enabled)", "KASAN_HW_TAGS|ARCH_DEFER_KASAN",
        "mm/kasan/hw_tags.c 7.2"),
    Made(r"__kasan_\w+|kasan_(?!flag_|mode|enable_(tagging|hw_tags)|write_only_enabled)\w+", "KASAN",
        "include/linux/kasan.h 7.2, mm/kasan/shadow.c 7.2", "KASAN_GENERIC KASAN_SW_TAGS KASAN_HW_TAGS KASAN_VMALLOC"),
    Made(r"__(kcsan|tsan)_\w+|kcsan_\w+", "KCSAN", "kernel/kcsan/core.c 7.2"),
    Made(r"__msan_\w+|kmsan_\w+", "KMSAN", "mm/kmsan/instrumentation.c 7.2, mm/kmsan/hooks.c 7.2"),
    Made(r"__kfence_pool", "KFENCE", "include/linux/kfence.h 7.2"),
    # undefined behaviour: with UBSAN_TRAP it calls nobody
    _ubsan("out_of_bounds(_abort)?", "UBSAN_BOUNDS UBSAN_ARRAY_BOUNDS UBSAN_BOUNDS_STRICT UBSAN_LOCAL_BOUNDS"),
    _ubsan("shift_out_of_bounds(_abort)?", "UBSAN_SHIFT UBSAN_MISC"),
    _ubsan("divrem_overflow(_abort)?", "UBSAN_DIV_ZERO UBSAN_MISC"),
    _ubsan("builtin_unreachable", "UBSAN_UNREACHABLE UBSAN_MISC"),
    _ubsan("load_invalid_value(_abort)?", "UBSAN_BOOL UBSAN_ENUM UBSAN_MISC"),
    _ubsan("(type_mismatch|alignment_assumption)\\w*", "UBSAN_ALIGNMENT UBSAN_OBJECT_SIZE UBSAN_NULL UBSAN_MISC"),
    _ubsan("(add|sub|mul|negate)_overflow(_abort)?|implicit_conversion(_abort)?",
        "UBSAN_INTEGER_WRAP UBSAN_SIGNED_WRAP UBSAN_SIGNED_OVERFLOW UBSAN_UNSIGNED_OVERFLOW UBSAN_MISC"),
    _ubsan("(vla_bound|nonnull|returns)\\w*", ""),
    # where control may go, and the stack
    Made(r"__k?cfi_\w+|__ubsan_handle_cfi_\w+", "CFI_CLANG|CFI", "kernel/cfi.c 5.15",
        "CFI_CLANG_SHADOW CFI_PERMISSIVE"),
    Made(r"__stack_chk_fail", "STACKPROTECTOR|CC_STACKPROTECTOR", "kernel/panic.c 7.2",
        "STACKPROTECTOR_STRONG CC_STACKPROTECTOR_STRONG CC_STACKPROTECTOR_REGULAR CC_STACKPROTECTOR_AUTO"
        " CC_STACKPROTECTOR_ALL"),
    Made(r"__stack_chk_guard", "STACKPROTECTOR|CC_STACKPROTECTOR !STACKPROTECTOR_PER_TASK",
        "arch/arm64/kernel/process.c 7.2, and arm and riscv alike", "GCC_PLUGIN_ARM_SSP_PER_TASK",
        "arm arm64 riscv64 riscv32"),
    Made(r"__stack_chk_guard|__ref_stack_chk_guard", "STACKPROTECTOR",
        "arch/x86/kernel/cpu/common.c 7.2, arch/x86/entry/entry.S 7.2", "SMP", _X86),
    Made(r"__stack_chk_guard", "STACKPROTECTOR|CC_STACKPROTECTOR",
        "arch/mips/kernel/process.c 7.2, and the others alike", "",
        "mips mips64 loongarch32 loongarch64 s390x sh csky xtensa"),
    Made(r"stackleak_track_stack", "GCC_PLUGIN_STACKLEAK", "kernel/stackleak.c 6.12"),
    Made(r"__sanitizer_cov_stack_depth", "KSTACK_ERASE", "kernel/kstack_erase.c 7.2"),
    Made(r"latent_entropy", "GCC_PLUGIN_LATENT_ENTROPY", "mm/page_alloc.c 7.2"),
    # the function tracer
    Made(r"__fentry__", "FUNCTION_TRACER", "arch/x86/kernel/ftrace_64.S 7.2", "HAVE_FENTRY", _X86),
    Made(r"mcount", "FUNCTION_TRACER", "arch/x86/kernel/ftrace_64.S 4.18", "HAVE_FENTRY", _X86),
    Made(r"__gnu_mcount_nc|mcount", "FUNCTION_TRACER", "arch/arm/kernel/armksyms.c 7.2", "OLD_MCOUNT", "arm"),
    Made(r"_mcount", "FUNCTION_TRACER !DYNAMIC_FTRACE_WITH_REGS !DYNAMIC_FTRACE_WITH_ARGS",
        "arch/arm64/kernel/entry-ftrace.S 7.2", "", "arm64"),
    Made(r"_mcount", "FUNCTION_TRACER !ARCH_USING_PATCHABLE_FUNCTION_ENTRY",
        "arch/powerpc/kernel/trace/ftrace_entry.S 7.2", "", "ppc ppc64"),
    Made(r"_mcount", "FUNCTION_TRACER", "arch/riscv/kernel/mcount.S 7.2, arch/loongarch/kernel/mcount.S 7.2",
        "DYNAMIC_FTRACE", "riscv32 riscv64 loongarch32 loongarch64"),
    Made(r"_mcount", "FUNCTION_TRACER", "arch/mips/kernel/mcount.S 7.2, and the others alike", "",
        "mips mips64 s390x s390 parisc parisc64 csky microblaze xtensa ia64"),
    Made(r"_?mcount", "y", "arch/sparc/lib/mcount.S 7.2", "FUNCTION_TRACER", "sparc64"),
    Made(r"mcount", "MCOUNT", "arch/sh/kernel/sh_ksyms_32.c 7.2", "FUNCTION_TRACER", "sh"),
    # speculation; MITIGATION_ is before the names since 6.9
    Made(r"__x86_(indirect_thunk|retpoline)_\w+", "RETPOLINE|MITIGATION_RETPOLINE", "arch/x86/lib/retpoline.S 7.2", "",
        _X86),
    Made(r"__x86_indirect_(call|jump)_thunk_\w+", "CALL_DEPTH_TRACKING|MITIGATION_CALL_DEPTH_TRACKING",
        "arch/x86/lib/retpoline.S 7.2", "", _X86),
    Made(r"__x86_return_thunk", "RETHUNK|MITIGATION_RETHUNK", "arch/x86/lib/retpoline.S 7.2", "", _X86),
    Made(r"__x86_(call|ret|stuffs|ctxsw)_count", "CALL_THUNKS_DEBUG", "arch/x86/kernel/callthunks.c 7.2", "", _X86),
    # copies that are checked
    Made(r"__check_object_size|validate_usercopy_range", "HARDENED_USERCOPY", "mm/usercopy.c 7.2"),
    Made(r"fortify_panic", "y", "lib/string_helpers.c 6.1", "FORTIFY_SOURCE"),
    Made(r"__fortify_(panic|report)", "FORTIFY_SOURCE", "lib/string_helpers.c 7.2"),
    # spin locks
    *map(_lock, _LOCKS),
    Made(r"_(raw_)?spin_unlock", "UNINLINE_SPIN_UNLOCK SMP|DEBUG_SPINLOCK|PROVE_LOCKING",
        "kernel/locking/spinlock.c 7.2; before 3.4 inline by an option as the others",
        "INLINE_SPIN_UNLOCK PREEMPTION PREEMPT"),
    Made(r"_raw_write_lock_nested", "!INLINE_WRITE_LOCK !PREEMPT_RT", "kernel/locking/spinlock.c 7.2"),
    Made(r"__raw_spin_lock_init|__spin_lock_init", "DEBUG_SPINLOCK", "kernel/locking/spinlock_debug.c 7.2"),
    Made(r"__rwlock_init", "DEBUG_SPINLOCK !PREEMPT_RT", "kernel/locking/spinlock_debug.c 7.2"),
    Made(r"queued_spin_lock_slowpath", "QUEUED_SPINLOCKS|PPC_QUEUED_SPINLOCKS", "kernel/locking/qspinlock.c 7.2"),
    Made(r"queued_(read|write)_lock_slowpath", "QUEUED_RWLOCKS", "kernel/locking/qrwlock.c 7.2"),
    Made(r"__mmiowb_state", "MMIOWB", "include/asm-generic/mmiowb.h 7.2"),
    Made(r"rt_(spin|read|write)_(lock|unlock|trylock|lock_unlock|trylock_bh)", "PREEMPT_RT|PREEMPT_RT_FULL",
        "kernel/locking/spinlock_rt.c 7.2"),
    Made(r"rt_mutex_base_init", "RT_MUTEXES", "include/linux/spinlock_rt.h 7.2", "PREEMPT_RT"),
    Made(r"__rt_(spin_lock|rwlock)_init", "PREEMPT_RT DEBUG_LOCK_ALLOC", "kernel/locking/spinlock_rt.c 7.2"),
    # mutexes and semaphores
    Made(r"(rt_)?mutex_lock|mutex_lock_(interruptible|killable|io)", "!DEBUG_LOCK_ALLOC", "kernel/locking/mutex.c 7.2"),
    Made(r"mutex_trylock", "y", "kernel/locking/mutex.c 7.2; in 6.12 it is always there", "DEBUG_LOCK_ALLOC"),
    Made(r"__mutex_init", "!PREEMPT_RT", "kernel/locking/mutex.c 6.12"),
    Made(r"__mutex_rt_init", "PREEMPT_RT", "kernel/locking/rtmutex_api.c 6.12"),
    Made(r"mutex_init_generic", "!DEBUG_LOCK_ALLOC !PREEMPT_RT", "kernel/locking/mutex.c 7.2"),
    Made(r"mutex_init_lockdep", "DEBUG_LOCK_ALLOC !PREEMPT_RT", "kernel/locking/mutex.c 7.2"),
    Made(r"mutex_rt_init_generic", "PREEMPT_RT !DEBUG_LOCK_ALLOC", "kernel/locking/rtmutex_api.c 7.2"),
    Made(r"mutex_rt_init_lockdep", "PREEMPT_RT DEBUG_LOCK_ALLOC", "kernel/locking/rtmutex_api.c 7.2"),
    Made(r"mutex_destroy|__devm_mutex_init", "DEBUG_MUTEXES", "kernel/locking/mutex-debug.c 7.2"),
    Made(r"_raw_spin_lock(_irqsave)?_nested|_raw_spin_lock_nest_lock|rt_(spin|write|mutex)_lock_nested"
        r"|_?rt_(spin|mutex)_lock_nest_lock"
        r"|mutex_lock(_interruptible|_killable|_io)?_nested|_mutex_(lock|trylock)_nest_lock|_mutex_lock_killable"
        r"|down_(read|write)(_killable)?_nested|_down_write_nest_lock|(down|up)_read_non_owner", "DEBUG_LOCK_ALLOC",
        "kernel/locking/mutex.c 7.2, kernel/locking/rwsem.c 7.2, kernel/locking/spinlock.c 7.2"),
    # the lock validator
    Made(r"lock_(acquire|release|sync|downgrade|set_class|is_held|is_held_type|pin_lock|repin_lock|unpin_lock)"
        r"|lockdep_(init_map|init_map_type|init_map_waits|rcu_suspicious|recursion|(un)?register_key)"
        r"|__lockdep_no_(validate|track)__|debug_check_no_locks_(freed|held)", "LOCKDEP",
        "kernel/locking/lockdep.c 7.2", "PROVE_LOCKING DEBUG_LOCK_ALLOC LOCK_STAT"),
    Made(r"lock_(contended|acquired)", "LOCK_STAT", "kernel/locking/lockdep.c 7.2"),
    Made(r"lockdep_hardirqs_\w+|lockdep_set_lock_cmp_fn", "PROVE_LOCKING", "kernel/locking/lockdep.c 7.2"),
    Made(r"lockdep_\w+_is_held", "PROVE_LOCKING|PROVE_RCU", "net/core/rtnetlink.c 7.2, lib/rhashtable.c 7.2"),
    Made(r"debug_lockdep_rcu_enabled|rcu_((bh|sched)_)?lock_map|rcu_(callback|trace_lock)_map"
        r"|rcu_read_lock_((any|bh|sched)_)?held", "DEBUG_LOCK_ALLOC", "kernel/rcu/update.c 7.2", "PROVE_RCU"),
    Made(r"__might_fault|might_fault", "PROVE_LOCKING|DEBUG_ATOMIC_SLEEP", "mm/memory.c 7.2"),
    Made(r"_?__might_sleep|__might_resched|__cant_(sleep|migrate)", "DEBUG_ATOMIC_SLEEP|DEBUG_SPINLOCK_SLEEP",
        "kernel/sched/core.c 7.2"),
    # interrupts, preemption, RCU
    Made(r"trace_hardirqs_(on|off)(_caller|_prepare|_finish)?|hardirqs_enabled|hardirq_context", "TRACE_IRQFLAGS",
        "kernel/trace/trace_preemptirq.c 7.2, kernel/softirq.c 7.2", "PROVE_LOCKING IRQSOFF_TRACER"),
    Made(r"warn_bogus_irq_restore", "DEBUG_IRQFLAGS", "kernel/locking/irqflag-debug.c 7.2"),
    Made(r"(start|stop)_critical_timings", "IRQSOFF_TRACER|PREEMPT_TRACER", "kernel/trace/trace_irqsoff.c 7.2"),
    Made(r"__local_bh_disable_ip", "TRACE_IRQFLAGS|PREEMPT_RT", "include/linux/bottom_half.h 7.2"),
    Made(r"(___)?preempt_schedule(_notrace|_context)?(_thunk)?", "PREEMPTION|PREEMPT",
        "kernel/sched/core.c 7.2, arch/x86/entry/thunk.S 7.2", "PREEMPT_DYNAMIC PREEMPT_RT PREEMPT_LAZY"),
    Made(r"__SC[KT]__(preempt_schedule(_notrace)?|cond_resched|might_resched)", "PREEMPT_DYNAMIC",
        "kernel/sched/core.c 7.2, where HAVE_PREEMPT_DYNAMIC_CALL"),
    Made(r"(sk_)?dynamic_(preempt_schedule(_notrace)?|cond_resched|might_resched)", "PREEMPT_DYNAMIC",
        "kernel/sched/core.c 7.2, where HAVE_PREEMPT_DYNAMIC_KEY"),
    Made(r"__?cond_resched", "!PREEMPTION|PREEMPT_DYNAMIC", "kernel/sched/core.c 7.2",
        "PREEMPT PREEMPT_VOLUNTARY PREEMPT_LAZY DEBUG_ATOMIC_SLEEP"),
    Made(r"preempt_count_(add|sub)|(add|sub)_preempt_count", "DEBUG_PREEMPT|TRACE_PREEMPT_TOGGLE|PREEMPT_TRACER",
        "kernel/sched/core.c 7.2"),
    Made(r"debug_smp_processor_id|__this_cpu_preempt_check", "DEBUG_PREEMPT", "lib/smp_processor_id.c 7.2"),
    Made(r"__rcu_read_(un)?lock", "PREEMPT_RCU|TREE_PREEMPT_RCU|TINY_PREEMPT_RCU", "kernel/rcu/tree_plugin.h 7.2"),
    Made(r"rcu_read_unlock_strict", "!PREEMPT_RCU", "kernel/rcu/tree_plugin.h 7.2",
        "PREEMPT_COUNT RCU_STRICT_GRACE_PERIOD"),
    # counters, lists, objects
    Made(r"refcount_(inc|add|dec|sub)(_not_zero|_and_test)?(_checked)?", "y", "lib/refcount.c 4.11 to 5.4",
        "REFCOUNT_FULL"),
    Made(r"__list_(add|del_entry)_valid|__list_add|__list_del_entry|list_del", "DEBUG_LIST", "lib/list_debug.c 6.1"),
    Made(r"__list_(add|del_entry)_valid_or_report", "LIST_HARDENED", "lib/list_debug.c 7.2", "DEBUG_LIST"),
    Made(r"debug_object_\w+", "DEBUG_OBJECTS", "lib/debugobjects.c 7.2"),
    Made(r"__init_work|destroy_(delayed_)?work_on_stack", "DEBUG_OBJECTS_WORK", "kernel/workqueue.c 7.2"),
    Made(r"destroy_(hr)?timer_on_stack|timer_destroy_on_stack|init_timer_on_stack_key|timer_init_key_on_stack"
        r"|hrtimer_init_(sleeper_)?on_stack", "DEBUG_OBJECTS_TIMERS",
        "kernel/time/timer.c 7.2, kernel/time/hrtimer.c 7.2"),
    Made(r"(init|destroy)_rcu_head(_on_stack)?", "DEBUG_OBJECTS_RCU_HEAD", "kernel/rcu/update.c 7.2"),
    Made(r"kmemleak_\w+", "DEBUG_KMEMLEAK", "mm/kmemleak.c 7.2"),
    Made(r"try_module_get|__module_get|module_put|module_refcount", "MODULE_UNLOAD", "kernel/module/main.c 7.2"),
    # messages, jump labels, trace points
    Made(r"__dynamic_(pr_debug|dev_dbg|netdev_dbg|ibdev_dbg)", "DYNAMIC_DEBUG|DYNAMIC_DEBUG_CORE",
        "lib/dynamic_debug.c 7.2"),
    Made(r"warn_slowpath_\w+|__warn_printk", "y", "kernel/panic.c 7.2; in 6.1 they are always there", "BUG"),
    Made(r"static_key_(enable|disable)(_cpuslocked)?|static_key_(count|slow_inc|slow_dec|fast_inc_not_disabled)"
        r"|__static_key_\w+|jump_label_(rate_limit|update_timeout)", "JUMP_LABEL", "kernel/jump_label.c 7.2"),
    Made(r"__static_call_(update|return0)|arch_static_call_transform", "HAVE_STATIC_CALL",
        "kernel/static_call.c 7.2, kernel/static_call_inline.c 7.2", "HAVE_STATIC_CALL_INLINE"),
    Made(r"__(tracepoint|traceiter|SC[KT]__tp_func)_\w+|tracepoint_srcu|__trace_set_current_state", "TRACEPOINTS",
        "include/linux/tracepoint.h 7.2"),
    Made(r"trace_event_(buffer_commit|buffer_lock_reserve|printf)|trace_raw_output_prep|trace_handle_return"
        r"|trace_print_\w+_seq(_u64)?|__trace_(b?printk|b?puts|array_puts)|trace_printk_init_buffers"
        r"|__mmap_lock_do_trace_\w+", "TRACING",
        "include/trace/stages/ 7.2, kernel/trace/trace_output.c 7.2, mm/mmap_lock.c 7.2"),
    Made(r"trace_event_(raw_init|reg|buffer_reserve|ignore_this_pid)|event_triggers_(post_)?call"
        r"|__trace_trigger_soft_disabled|perf_trace_(run_bpf_submit|buf_alloc)|perf_tp_event", "EVENT_TRACING",
        "include/trace/stages/ 7.2, kernel/trace/trace_events.c 7.2", "PERF_EVENTS"),
    Made(r"bpf_trace_run\d+", "BPF_EVENTS", "kernel/trace/bpf_trace.c 7.2"),
    # allocations and pages
    Made(r"kmem_cache_alloc(_node)?_trace|kmalloc_order_trace", "TRACING|KMEMTRACE", "mm/slub.c 5.10"),
    Made(r"kmalloc_caches|kmalloc(_node)?_trace", "!SLOB", "mm/slab_common.c 6.1", "SLAB SLUB"),
    Made(r"random_kmalloc_seed", "RANDOM_KMALLOC_CACHES|KMALLOC_PARTITION_RANDOM", "mm/slab_common.c 7.2"),
    Made(r"_shared_alloc_tag|mem_alloc_profiling_key|page_alloc_tagging_ops", "MEM_ALLOC_PROFILING",
        "lib/alloc_tag.c 7.2"),
    Made(r"__page_ref_\w+", "DEBUG_PAGE_REF", "mm/debug_page_ref.c 7.2"),
    Made(r"_?page_poisoning_enabled(_early)?", "PAGE_POISONING", "mm/page_poison.c 7.2"),
    Made(r"_debug_pagealloc_enabled(_early)?", "DEBUG_PAGEALLOC", "mm/debug_page_alloc.c 7.2"),
    Made(r"__phys_addr(_symbol)?|__virt_to_phys", "DEBUG_VIRTUAL", "arch/x86/mm/physaddr.c 7.2, and the others alike"),
    Made(r"kmap_high|kunmap_high|(__)?kmap_to_page|page_address", "HIGHMEM", "mm/highmem.c 7.2"),
    Made(r"k(un)?map|__k(un)?map_atomic|kmap_atomic_(high_)?prot|kunmap_atomic_high", "HIGHMEM", "mm/highmem.c 5.10"),
    Made(r"__kmap_local_(page|pfn)_prot|kunmap_local_indexed", "KMAP_LOCAL", "mm/highmem.c 7.2", "HIGHMEM"),
    Made(r"__per_cpu_offset", "SMP", "mm/percpu.c 7.2"),
    Made(r"mem_map", "!NUMA !DISCONTIGMEM", "mm/mm_init.c 7.2", "FLATMEM SPARSEMEM"),
    Made(r"contig_page_data", "!NUMA !DISCONTIGMEM", "mm/memblock.c 7.2"),
    Made(r"node_data", "NUMA|DISCONTIGMEM", "mm/numa.c 7.2"),
    Made(r"alloc_pages_current", "NUMA", "mm/mempolicy.c 5.10"),
    Made(r"numa_node", "USE_PERCPU_NUMA_NODE_ID", "mm/page_alloc.c 7.2", "NUMA"),
    Made(r"_numa_mem_", "HAVE_MEMORYLESS_NODES", "mm/page_alloc.c 7.2", "NUMA"),
    Made(r"mem_section", "SPARSEMEM", "mm/sparse.c 7.2", "SPARSEMEM_VMEMMAP"),
    # x86
    Made(r"pv_(ops|info|ops_lock|(cpu|irq|mmu|lock|time|apic|init)_ops)", "PARAVIRT", "arch/x86/kernel/paravirt.c 7.2",
        "PARAVIRT_XXL PARAVIRT_SPINLOCKS", "x86_64 i386 arm arm64 ia64"),
    Made(r"(page_offset|vmalloc|vmemmap)_base", "y", "arch/x86/kernel/head64.c 6.12",
        "DYNAMIC_MEMORY_LAYOUT RANDOMIZE_MEMORY", "x86_64"),
    Made(r"pgdir_shift|ptrs_per_p4d|__pgtable_l5_enabled", "y", "arch/x86/kernel/head64.c 6.12", "X86_5LEVEL",
        "x86_64"),
    Made(r"sme_me_mask", "AMD_MEM_ENCRYPT", "arch/x86/mm/mem_encrypt_amd.c 7.2", "", "x86_64"),
    Made(r"physical_mask", "DYNAMIC_PHYSICAL_MASK", "arch/x86/mm/pgtable.c 7.2", "AMD_MEM_ENCRYPT", _X86),
    # arm, arm64
    Made(r"__aeabi_unwind_cpp_pr[0-2]", "ARM_UNWIND", "arch/arm/kernel/unwind.c 7.2", "", "arm"),
    Made(r"__aeabi_(u?idiv(mod)?|lasr|llsl|llsr|lmul|ulcmp)", "AEABI", "arch/arm/kernel/armksyms.c 7.2", "", "arm"),
    Made(r"__pv_(offset|phys_offset|phys_pfn_offset)", "ARM_PATCH_PHYS_VIRT", "arch/arm/kernel/armksyms.c 7.2", "",
        "arm"),
    Made(r"arm_heavy_mb", "ARM_HEAVY_MB", "arch/arm/mm/flush.c 7.2", "", "arm"),
    Made(r"outer_cache", "OUTER_CACHE", "arch/arm/kernel/setup.c 7.2", "", "arm"),
    Made(r"__ll_sc_\w+", "ARM64_LSE_ATOMICS", "arch/arm64/lib/atomic_ll_sc.c 5.3", "", "arm64"),
    Made(r"gic_nonsecure_priorities", "ARM_GIC_V3", "drivers/irqchip/irq-gic-v3.c 5.10", "ARM64_PSEUDO_NMI", "arm64"),
    # powerpc, riscv, loongarch
    Made(r"__pv_queued_spin_unlock", "PARAVIRT_SPINLOCKS", "arch/powerpc/include/asm/qspinlock.h 6.1", "", "ppc64"),
    Made(r"shared_processor", "PPC_PSERIES", "arch/powerpc/platforms/pseries/setup.c 7.2", "PPC_SPLPAR", "ppc64"),
    Made(r"(mmu|cpu)_feature_keys", "JUMP_LABEL_FEATURE_CHECKS", "arch/powerpc/kernel/cputable.c 7.2", "", "ppc ppc64"),
    Made(r"eeh_(check_failure|subsystem_flags)", "EEH", "arch/powerpc/kernel/eeh.c 7.2", "", "ppc64"),
    Made(r"ppc_pci_io", "PPC_INDIRECT_PIO|PPC_INDIRECT_MMIO", "arch/powerpc/kernel/setup_64.c 7.2", "", "ppc64"),
    Made(r"default_amr", "PPC_PKEY|PPC_MEM_KEYS", "arch/powerpc/mm/book3s64/pkeys.c 7.2", "PPC_KUAP", "ppc64"),
    Made(r"vmemmap", "PPC_BOOK3S_64", "arch/powerpc/mm/pgtable_64.c 7.2", "SPARSEMEM_VMEMMAP", "ppc64"),
    Made(r"vmemmap_start_pfn", "SPARSEMEM_VMEMMAP", "arch/riscv/mm/init.c 7.2", "", "riscv64 riscv32"),
)  # fmt: skip

SYMBOL_OPTIONS: frozenset[str] = frozenset(option for made in TABLE for option in made.options)
"""All options of the table: two configurations that differ in one of them are of two builds."""


def rows_of(symbol: str, arch: str | None = None) -> Iterator[Made]:
    """The rows that `symbol` is in, on the architecture that modcheck calls `arch`; None: on any."""
    for made in TABLE:
        if (arch is None or not made.arches or arch in made.arches.split()) and re.fullmatch(made.symbols, symbol):
            yield made


def options_of(symbol: str, arch: str | None = None) -> tuple[str, ...]:
    """The options, without CONFIG_, that make modules import `symbol`; none: an ordinary one, named in some source."""
    return tuple(dict.fromkeys(option for made in rows_of(symbol, arch) for option in made.options))
