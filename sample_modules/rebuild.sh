#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds every .ko below sample_modules/ again, with what describes its kernel, from Debian packages.
#
#   sample_modules/rebuild.sh WORK_DIR [KERNEL...]      (WORK_DIR: 5 GB, and half an hour on two cores)
#
# Runs on Debian 12 and needs: build-essential gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf flex bison bc libelf-dev
# libssl-dev rsync xz-utils python3. The kernels of Debian come from their headers packages; the small ones are built
# from the upstream tarball in Debian's source package, since Debian's own source carries patches to the loader.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
kernels=${*:-debian-6.1-amd64 debian-6.1-arm64 rk3588 rk3588-modversions sunxi}
packages=("$here/../tools/debian.py" "$work/cache" bookworm)
importers="sample_import sample_namespace"

# Kbuild folders: chrdevbase alone (so that kbuild writes an empty Module.symvers beside it), the exporter with those
# that import from it, and the two modules that modpost refuses to build as they are.
lay_sources() {
	rm -rf "$work/m"
	mkdir -p "$work"/m/{chrdevbase,samples,no_import,proprietary}
	cp "$here"/src/chrdevbase.c "$work/m/chrdevbase"
	cp "$here"/src/sample.h "$here"/src/sample_{export,import,namespace}.c "$work/m/samples"
	cp "$here"/src/sample.h "$here"/src/sample_no_import.c "$work/m/no_import"
	cp "$here"/src/sample_proprietary.c "$work/m/proprietary"
	echo "obj-m := chrdevbase.o" >"$work/m/chrdevbase/Kbuild"
	echo "obj-m := sample_export.o $(printf '%s.o ' $importers)" >"$work/m/samples/Kbuild"
	echo "obj-m := sample_no_import.o" >"$work/m/no_import/Kbuild"
	echo "obj-m := sample_proprietary.o" >"$work/m/proprietary/Kbuild"
}

# modules TREE ARCH CROSS DEST: all six modules against TREE, stripped of debug information, into DEST
modules() {
	local tree=$1 arch=$2 cross=$3 dest=$4
	lay_sources
	local build=(make -s -C "$tree" "ARCH=$arch" "CROSS_COMPILE=$cross")
	mkdir -p "$dest/own"
	"${build[@]}" "M=$work/m/chrdevbase" modules
	"${build[@]}" "M=$work/m/samples" modules
	cp "$work/m/chrdevbase/Module.symvers" "$dest/own/Module.symvers"
	# kbuild names modules outside the tree by their absolute path
	sed "s,$work/m/,/home/user/," "$work/m/samples/Module.symvers" >"$dest/Module.symvers"
	# modpost refuses a missing import and a proprietary user of a GPL-only symbol; tables without those words let
	# them pass, with the true CRCs
	sed 's/SAMPLE$//' "$work/m/samples/Module.symvers" >"$work/m/samples/no-namespace.symvers"
	"${build[@]}" "M=$work/m/no_import" "KBUILD_EXTRA_SYMBOLS=$work/m/samples/no-namespace.symvers" modules
	cp "$tree/Module.symvers" "$work/true.symvers"
	sed -i 's/EXPORT_SYMBOL_GPL/EXPORT_SYMBOL/' "$tree/Module.symvers"
	"${build[@]}" "M=$work/m/proprietary" modules || { cp "$work/true.symvers" "$tree/Module.symvers"; exit 1; }
	cp "$work/true.symvers" "$tree/Module.symvers"
	for ko in "$work"/m/*/*.ko; do
		"${cross}strip" --strip-debug -o "$dest/$(basename "$ko")" "$ko"
	done
}

# chrdevbase TREE ARCH CROSS DEST [MAKE_WORD]: chrdevbase alone
chrdevbase() {
	local tree=$1 arch=$2 cross=$3 dest=$4
	lay_sources
	make -s -C "$tree" "ARCH=$arch" "CROSS_COMPILE=$cross" "M=$work/m/chrdevbase" "${@:5}" modules
	mkdir -p "$dest"
	"${cross}strip" --strip-debug -o "$dest/chrdevbase.ko" "$work/m/chrdevbase/chrdevbase.ko"
}

# without_symvers TREE ARCH CROSS DEST: chrdevbase as a tree without Module.symvers makes it
without_symvers() {
	mv "$1/Module.symvers" "$work/true.symvers"
	chrdevbase "$1" "$2" "$3" "$4" KBUILD_MODPOST_WARN=1 || { mv "$work/true.symvers" "$1/Module.symvers"; exit 1; }
	mv "$work/true.symvers" "$1/Module.symvers"
}

# describe TREE DEST: what of a build tree tells modcheck about the kernel
describe() {
	mkdir -p "$2/include/generated" "$2/include/config"
	cp "$1/.config" "$1/Module.symvers" "$2"
	cp "$1/include/generated/utsrelease.h" "$2/include/generated"
	cp "$1/include/config/kernel.release" "$2/include/config"
	if [ -f "$1/.kernelvariables" ]; then cp "$1/.kernelvariables" "$2"; fi
}

# debian NAME ARCH CROSS: the headers package of Debian's newest 6.1 for ARCH
debian() {
	local name=$1 arch=$2 cross=$3 root="$work/$1"
	local headers
	headers=$(python3 "${packages[@]}" "$arch" names "linux-headers-6\\.1\\.0-[0-9]+-$arch" | tail -1)
	python3 "${packages[@]}" "$arch" unpack "$root" "$headers"
	# host programs and the common part are amd64's own, of the same version
	python3 "${packages[@]}" amd64 unpack "$root" "${headers%-"$arch"}-common" linux-kbuild-6.1
	local tree="$root/usr/src/$headers"
	sed -i "s,/usr/src/,$root/usr/src/," "$tree/Makefile"
	rm -rf "${here:?}/$name"
	modules "$tree" "$arch" "$cross" "$here/$name"
	without_symvers "$tree" "$arch" "$cross" "$here/$name/no-symvers"
	describe "$tree" "$here/$name/tree"
	xz -9 "$here/$name/tree/Module.symvers"
}

upstream_source() {
	[ -d "$work/linux" ] && return
	# not every version that is listed can still be had
	for version in $(apt_versions); do
		python3 "${packages[@]}" amd64 source "$work/source" "linux=$version" && break
	done
	mkdir "$work/linux.part"
	tar -xJf "$work"/source/linux_6.1.*.orig.tar.xz -C "$work/linux.part" --strip-components=1
	mv "$work/linux.part" "$work/linux"
}

# versions of the source package that the archive may still hold, newest first
apt_versions() {
	python3 "${packages[@]}" amd64 versions linux '6\.1\..*' | tac
}

# small NAME ARCH CROSS SUFFIX IMAGE [CONFIG_LINE...]: a kernel of a few megabytes whose release ends in SUFFIX
small() {
	local name=$1 arch=$2 cross=$3 suffix=$4 image=$5
	upstream_source
	local tree="$work/$name" build=(make -s -C "$work/linux" "O=$work/$name" "ARCH=$arch" "CROSS_COMPILE=$cross")
	mkdir -p "$tree"
	"${build[@]}" tinyconfig
	cat "$here/small.config" >>"$tree/.config"
	if [ "$arch" = arm ]; then cat "$here/small-arm.config" >>"$tree/.config"; fi
	printf '%s\n' "CONFIG_LOCALVERSION=\"$suffix\"" "# CONFIG_LOCALVERSION_AUTO is not set" "${@:6}" >>"$tree/.config"
	"${build[@]}" olddefconfig
	"${build[@]}" -j"$(nproc)" "$image" modules
	rm -rf "${here:?}/$name"
	modules "$tree" "$arch" "$cross" "$here/$name"
	describe "$tree" "$here/$name/tree"
	if grep -q '^CONFIG_MODVERSIONS=y' "$tree/.config"; then
		without_symvers "$tree" "$arch" "$cross" "$here/$name/no-symvers"
	fi
	variant "$name" "$arch" "$cross" no-suffix --set-str LOCALVERSION ""
	modules "$work/$name-no-suffix" "$arch" "$cross" "$here/$name/no-suffix"
	rm -r "$here/$name/no-suffix/own" "$here/$name/no-suffix/Module.symvers"
}

# variant NAME ARCH CROSS WORD OPTION...: NAME's tree with other options, prepared, its Module.symvers kept
variant() {
	local tree="$work/$1-$4"
	rm -rf "$tree"
	cp -a "$work/$1" "$tree"
	"$work/linux/scripts/config" --file "$tree/.config" "${@:5}"
	make -s -C "$work/linux" "O=$tree" "ARCH=$2" "CROSS_COMPILE=$3" olddefconfig modules_prepare
}

for kernel in $kernels; do
	echo "== $kernel"
	case $kernel in
	debian-6.1-amd64) debian "$kernel" amd64 "" ;;
	debian-6.1-arm64) debian "$kernel" arm64 aarch64-linux-gnu- ;;
	rk3588) small "$kernel" arm64 aarch64-linux-gnu- -rockchip-rk3588 Image ;;
	rk3588-modversions) small "$kernel" arm64 aarch64-linux-gnu- -rockchip-rk3588 Image CONFIG_MODVERSIONS=y ;;
	sunxi)
		small "$kernel" arm arm-linux-gnueabihf- -sunxi zImage
		variant "$kernel" arm arm-linux-gnueabihf- armv6 -d ARCH_MULTI_V7 -d THUMB2_KERNEL -e ARCH_MULTI_V6 -d NEON
		chrdevbase "$work/$kernel-armv6" arm arm-linux-gnueabihf- "$here/$kernel/armv6"
		;;
	*) echo "no such kernel: $kernel" >&2; exit 2 ;;
	esac
done
