SYMBOL_OPTIONS = frozenset(("KCOV", "KASAN", "UBSAN", "CFI_CLANG", "STACKPROTECTOR", "FUNCTION_TRACER"))


def options_of(symbol: str, arch: str | None = None) -> tuple[str, ...]:
    return ("KCOV",) if symbol.startswith("__sanitizer_cov_") else ()
