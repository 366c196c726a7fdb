#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds what is below tests/data/types again: three kernels that differ in one header, and chrdevbase.ko for each.
#
#   tests/data/types/rebuild.sh WORK_DIR LINUX_SOURCE      (WORK_DIR: 3 GB, and 20 minutes on two cores)
#
# LINUX_SOURCE is a clean upstream tree, as linux-6.1.176; it is copied, not changed. Runs on Debian 12 and needs:
# build-essential gcc-aarch64-linux-gnu flex bison bc cpio libelf-dev libssl-dev dwarves xz-utils. Beside what goes
# here, WORK_DIR/VARIANT keeps the whole vmlinux, Image and every .symtypes.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
samples="$here/../../../sample_modules"
mkdir -p "$1"
work=$(cd "$1" && pwd)
source=$2
cross=aarch64-linux-gnu-
headers="include/linux/cdev.h include/linux/kobject.h"
# where chrdevbase's imports and module_layout are defined: their .symtypes are kept
definers="fs/char_dev fs/libfs drivers/base/class drivers/base/core kernel/printk/printk kernel/module/version"
definers="$definers arch/arm64/lib/memset arch/arm64/lib/copy_from_user"
# those of them that make up the stand-in for vmlinux
linked="fs/char_dev drivers/base/class kernel/module/version arch/arm64/lib/memset arch/arm64/lib/copy_from_user"

# build VARIANT TARGET...: with the same words each time, or kbuild compiles everything again. The kernel's own
# flags for pahole 1.24 have -j too, with which the order of types is another one in each run.
build() {
	make -s -C "$work/linux" "O=$work/build-$1" ARCH=arm64 "CROSS_COMPILE=$cross" KBUILD_SYMTYPES=1 \
		KBUILD_BUILD_USER=modcheck KBUILD_BUILD_HOST=modcheck "KBUILD_BUILD_TIMESTAMP=Thu Jan 1 00:00:00 UTC 1970" \
		"KCFLAGS=-fdebug-prefix-map=$work=/usr/src" "KAFLAGS=-fdebug-prefix-map=$work=/usr/src" \
		"PAHOLE_FLAGS=--btf_gen_floats --lang_exclude=rust" -j"$(nproc)" "${@:2}"
}

# the copy of the source as it came; with its old time stamps, so that a copy of plain's objects is up to date
restore() {
	for header in $headers; do
		cp -p "$source/$header" "$work/linux/$header"
	done
}

# insert HEADER LINE NEW: NEW as a line before LINE
insert() {
	grep -q "^$2\$" "$work/linux/$1"
	sed -i "s,^$2\$,$3\n&," "$work/linux/$1"
}

configure() {
	mkdir -p "$work/build-plain"
	build plain tinyconfig
	cat "$samples/small.config" - >>"$work/build-plain/.config" <<-END
		CONFIG_LOCALVERSION="-types"
		# CONFIG_LOCALVERSION_AUTO is not set
		CONFIG_MODVERSIONS=y
		CONFIG_BPF_SYSCALL=y
		CONFIG_DEBUG_KERNEL=y
		CONFIG_DEBUG_INFO_DWARF5=y
		CONFIG_DEBUG_INFO_BTF=y
	END
	build plain olddefconfig
	grep -q '^CONFIG_DEBUG_INFO_BTF_MODULES=y' "$work/build-plain/.config"
}

# module VARIANT: chrdevbase.ko, with its debug information
module() {
	rm -rf "$work/m"
	mkdir "$work/m"
	cp "$samples/src/chrdevbase.c" "$work/m"
	echo "obj-m := chrdevbase.o" >"$work/m/Kbuild"
	build "$1" "M=$work/m" modules
	cp "$work/m/chrdevbase.ko" "$work/$1"
}

# keep VARIANT: what a variant is asked about, in WORK_DIR/VARIANT
keep() {
	local tree="$work/build-$1"
	cp "$tree/vmlinux" "$tree/Module.symvers" "$tree/.config" "$tree/arch/arm64/boot/Image" "$work/$1"
	(cd "$tree" && find . -name '*.symtypes' -print0 | cpio -0pdm --quiet "$work/$1/symtypes")
}

# put FILE DEST: compressed, unless it is small
put() {
	mkdir -p "$(dirname "$2")"
	if [ "$(stat -c %s "$1")" -gt 4096 ]; then
		xz -9e -T1 -c "$1" >"$2.xz"
	else
		cp "$1" "$2"
	fi
}

# stand_in VARIANT DEST: a vmlinux of a few objects only, with the addresses of all else as in the real one
stand_in() {
	local tree="$work/build-$1" objects=() word
	for word in $linked; do
		objects+=("$tree/$word.o")
	done
	"${cross}ld" -r -o "$work/linked.o" "${objects[@]}"
	"${cross}nm" "$tree/vmlinux" | awk '{ print $3, $1 }' | sort -k 1,1 -u >"$work/addresses"
	"${cross}nm" -u "$work/linked.o" | awk '{ print $2 }' | sort | join - "$work/addresses" |
		sed 's/\(.*\) \(.*\)/\1 = 0x\2;/' >"$work/addresses.ld"
	"${cross}ld" -Ttext="0x$(sed -n 's/^_stext //p' "$work/addresses")" -e 0 -o "$2" "${objects[@]}" "$work/addresses.ld"
}

# ship VARIANT: what of it goes here
ship() {
	local dest="$here/$1" word
	rm -rf "$dest"
	"${cross}objcopy" --dump-section ".BTF=$work/btf" "$work/$1/vmlinux" /dev/null
	put "$work/btf" "$dest/btf"
	stand_in "$1" "$work/stand-in"
	put "$work/stand-in" "$dest/vmlinux"
	put "$work/$1/Module.symvers" "$dest/Module.symvers"
	put "$work/$1/chrdevbase.ko" "$dest/chrdevbase.ko"
	for word in $definers; do
		put "$work/$1/symtypes/$word.symtypes" "$dest/symtypes/$word.symtypes"
	done
}

export LC_ALL=C
for variant in plain cdev kobject; do
	echo "== $variant"
	[ -d "$work/linux" ] || { cp -a --reflink=auto "$source" "$work/linux.part" && mv "$work/linux.part" "$work/linux"; }
	restore
	rm -rf "${work:?}/$variant"
	mkdir "$work/$variant"
	if [ "$variant" = plain ]; then
		configure
	else
		rm -rf "$work/build-$variant"
		cp -a "$work/build-plain" "$work/build-$variant"
	fi
	case $variant in
	cdev) insert include/linux/cdev.h $'\tdev_t dev;' $'\tunsigned int board_flags;' ;;
	kobject) insert include/linux/kobject.h $'\tstruct kref\t\tkref;' $'\tunsigned long\t\tboard_cookie;' ;;
	esac
	build "$variant" Image modules
	module "$variant"
	keep "$variant"
	cmp "$work/plain/.config" "$work/$variant/.config"
	ship "$variant"
done
put "$work/plain/.config" "$here/config"
restore
