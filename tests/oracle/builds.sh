#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds kernels that are nearly the same, and the modules of tests/data/builds/src against each of them.
#
#   tests/oracle/builds.sh WORK_DIR [BUILD...]                  small arm64 kernels, from the upstream tarball
#   tests/oracle/builds.sh WORK_DIR --modules BUILD...          their modules alone, and what describes their trees
#   tests/oracle/builds.sh WORK_DIR --debian SUITE RELEASE...   the same for headers packages of Debian
#
# Leaves images and build trees in WORK_DIR, and below tests/data/builds/BUILD what describes the tree, and the modules.
# Runs on Debian 12; needs what sample_modules/rebuild.sh needs, and mmdebstrap. No time stamp is set: each kernel has a banner of its own.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/builds
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
version=6.1.176
packages=("$here/../../tools/debian.py" "$work/packages" bookworm amd64)
export KBUILD_BUILD_USER=user KBUILD_BUILD_HOST=host

# upstream SOURCE [SED FILE]...: a copy of the upstream source, files of it changed
upstream() {
	if [ ! -d "$work/linux" ]; then
		python3 "${packages[@]}" source "$work/source" "linux=$version-1"
		mkdir "$work/linux.part"
		tar -xJf "$work"/source/linux_$version.orig.tar.xz -C "$work/linux.part" --strip-components=1
		mv "$work/linux.part" "$work/linux"
	fi
	[ -d "$work/$1" ] && return
	# hard links: sed -i writes new files
	cp -al "$work/linux" "$work/$1.part"
	local source=$1
	shift
	while [ $# -gt 0 ]; do
		sed -i "$1" "$work/$source.part/$2"
		if cmp -s "$work/linux/$2" "$work/$source.part/$2"; then echo "$2: not changed" >&2; exit 1; fi
		shift 2
	done
	mv "$work/$source.part" "$work/$source"
}

# modules TABLE STRIP DEST FOLDER MAKE...: the modules of src/, and chrdevbase as `plain`, stripped of debug information;
# FOLDER is what MAKE has as M
modules() {
	local table=$1 strip=$2 dest=$3/modules m=$4
	rm -rf "$m"
	mkdir -p "$m" "$dest"
	rm -f "$dest"/*.ko
	cp "$data"/src/*.c "$m"
	cp "$here/../../sample_modules/src/chrdevbase.c" "$m/plain.c"
	# modpost refuses to build what imports a symbol that is gone
	if ! grep -qw memparse "$table"; then rm "$m/uses_gone.c"; fi
	(cd "$m" && printf 'obj-m += %s\n' *.c | sed 's/c$/o/' >Kbuild)
	"${@:5}" modules
	for ko in "$m"/*.ko; do
		"$strip" --strip-debug -o "$dest/$(basename "$ko")" "$ko"
	done
}

# describe TREE DEST: what of a build tree tells modcheck about the kernel
describe() {
	rm -rf "$2/tree"
	mkdir -p "$2/tree"
	local name
	for name in .config Module.symvers .kernelvariables include/config/kernel.release \
		include/generated/{utsrelease,utsversion,compile}.h; do
		if [ -f "$1/$name" ]; then install -m 644 -D "$1/$name" "$2/tree/$name"; fi
	done
	xz -9e "$2/tree/Module.symvers"
}

# small BUILD SOURCE [CONFIG_LINE...]: a kernel as sample_modules/rebuild.sh makes rk3588, with /proc/config.gz
small() {
	local tree="$work/$1" build=(make -s -C "$2" "O=$work/$1" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
	mkdir -p "$tree"
	"${build[@]}" tinyconfig
	cat "$here/../../sample_modules/small.config" >>"$tree/.config"
	printf '%s\n' 'CONFIG_LOCALVERSION="-rockchip-rk3588"' '# CONFIG_LOCALVERSION_AUTO is not set' \
		CONFIG_IKCONFIG=y CONFIG_IKCONFIG_PROC=y "${@:3}" >>"$tree/.config"
	"${build[@]}" olddefconfig
	"${build[@]}" -j2 Image modules
	finish "$1"
}

finish() {
	mkdir -p "$data/$1"
	describe "$work/$1" "$data/$1"
	modules "$work/$1/Module.symvers" aarch64-linux-gnu-strip "$data/$1" "$work/m-$1" \
		make -s -C "$work/$1" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- "M=$work/m-$1"
}

# debian SUITE RELEASE...: modules against headers packages; in the suite itself, for the compiler and kbuild of its own
debian() {
	local root=$work/roots/$1 release tree
	if [ ! -d "$root" ]; then
		mkdir -p "$work/roots"
		mmdebstrap --variant=apt --include="make,$(printf 'linux-headers-%s,' "${@:2}")" "$1" "$root.part" \
			"$work/packages/$1-amd64/sources.list"
		mv "$root.part" "$root"
	fi
	for release in "${@:2}"; do
		echo "== debian-$release"
		tree=/usr/src/linux-headers-$release
		mkdir -p "$data/debian-$release"
		describe "$root$tree" "$data/debian-$release"
		modules "$root$tree/Module.symvers" strip "$data/debian-$release" "$root/m" \
			chroot "$root" make -s -C "$tree" M=/m
	done
}

case ${1-} in
--debian)
	debian "${@:2}"
	exit
	;;
--modules)
	for build in "${@:2}"; do finish "$build"; done
	exit
	;;
esac

# What a vendor's tree may do from one release to the next: the type of a parameter changes, and thereby one CRC; a struct
# that drivers use gets a member, and 160 functions that can see it get other CRCs, chrdevbase's cdev_init among them; an
# export goes.
gone=('/^EXPORT_SYMBOL(memparse);$/d' lib/cmdline.c)
parameter='/\<hex2bin(/s/size_t count/unsigned int count/'
upstream linux
upstream linux-source "${gone[@]}" "$parameter" lib/hexdump.c "$parameter" include/linux/kernel.h
upstream linux-struct "${gone[@]}" 's/^\tvoid\t\t\*data;$/&\n\tunsigned int\tflags;/' include/linux/kfifo.h

crcs=CONFIG_MODVERSIONS=y
kcov="CONFIG_DEBUG_FS=y CONFIG_KCOV=y"
for build in ${*:-rk3588-modversions rk3588-modversions-source rk3588-modversions-option rk3588 rk3588-source \
	rk3588-modversions-kcov rk3588-kcov rk3588-modversions-struct}; do
	echo "== $build"
	case $build in
	rk3588) small "$build" "$work/linux" ;;
	rk3588-source) small "$build" "$work/linux-source" ;;
	rk3588-kcov) small "$build" "$work/linux" $kcov ;;
	rk3588-modversions) small "$build" "$work/linux" $crcs ;;
	rk3588-modversions-source) small "$build" "$work/linux-source" $crcs ;;
	rk3588-modversions-struct) small "$build" "$work/linux-struct" $crcs ;;
	rk3588-modversions-kcov) small "$build" "$work/linux" $crcs $kcov ;;
	# made again in a copy of the first one's folder, as one does: its banner has #2
	rk3588-modversions-option)
		rm -rf "$work/$build"
		cp -a "$work/rk3588-modversions" "$work/$build"
		sed -i 's/^CONFIG_LOG_BUF_SHIFT=.*/CONFIG_LOG_BUF_SHIFT=15/' "$work/$build/.config"
		make -s -C "$work/linux" "O=$work/$build" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- -j2 olddefconfig Image modules
		finish "$build"
		;;
	*) echo "no such build: $build" >&2; exit 2 ;;
	esac
done
