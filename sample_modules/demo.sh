#!/bin/sh
# The main job on the samples, as `make demo` runs it: each call, what it prints, and its exit status.
cd "$(dirname "$0")" || exit
failed=0

# try STATUS TITLE WORD...: run modcheck on the words and expect this exit status
try() {
	expected=$1
	printf '\n=== %s\n$ modcheck' "$2"
	shift 2
	printf ' %s' "$@"
	printf '\n\n'
	modcheck "$@"
	status=$?
	printf '(exit status %s)\n' $status
	[ $status = "$expected" ] || { failed=1; echo "demo: expected exit status $expected" >&2; }
}

try 0 "A driver on the kernel it was built for: RK3588, arm64" \
	rk3588/chrdevbase.ko --symvers rk3588/tree/Module.symvers --strict
try 1 "The same driver from a tree where the suffix was forgotten" \
	rk3588/no-suffix/chrdevbase.ko --symvers rk3588/tree/Module.symvers --strict
try 0 "Forgotten as well, but both sides have CRCs: the kernel does not look at the release" \
	rk3588-modversions/no-suffix/chrdevbase.ko --symvers rk3588-modversions/tree/Module.symvers --strict
try 1 "Built against another kernel's Module.symvers" \
	rk3588-modversions/chrdevbase.ko --target debian-6.1-arm64/tree --strict
try 1 "Built in a tree without Module.symvers, for Debian" \
	debian-6.1-amd64/no-symvers/chrdevbase.ko --target debian-6.1-amd64/tree
try 1 "ARMv6 code for an ARMv7 kernel" sunxi/armv6/chrdevbase.ko --target sunxi/tree
try 0 "A module that needs another one of the set" \
	sunxi/sample_import.ko sunxi/sample_export.ko --target sunxi/tree --strict
try 3 "Only the release and the running kernel's .config are known" \
	rk3588/chrdevbase.ko --release 6.1.176-rockchip-rk3588 --config rk3588/tree/.config --strict
try 1 "An update of the kernel that turns CONFIG_MODVERSIONS on" \
	diff rk3588/tree rk3588-modversions/tree rk3588/chrdevbase.ko
try 2 "The module's own, empty Module.symvers given by mistake" rk3588/chrdevbase.ko --symvers rk3588/own/Module.symvers

echo
[ $failed = 0 ] && echo "demo: all as expected"
exit $failed
