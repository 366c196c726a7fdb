#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What describes the kernel of this machine, as one tar on standard output:
#
#     ssh root@board sh < capture.sh > board.tar       or, on the board:   sh capture.sh DIR     (DIR/board.tar)
#
# Needs a POSIX shell and busybox; reads what the user may read, as root more; writes no file but that one. What could
# not be taken is told on standard error and in the member modcheck/missing, which comes last: a tar without it is cut
# off. No host name is taken. It is several tars in a row (for Python: ignore_zeros=True, for tar: -i).
# ROOT, in the environment, is put before each path: for tests, and for the root file system of another machine.

set -u
export LC_ALL=C # characters are bytes, messages English
ROOT=${ROOT-}
MOST=268435456 # bytes of one member
missing='' list='' listed=0
nl='
'
# what member names are made of, and all between, in the order of their codes, which begin with 43
chars='+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~'
nul='\0\0\0\0\0\0\0\0\0\0' # for printf
nul100=$nul$nul$nul$nul$nul$nul$nul$nul$nul$nul
nul247=$nul100$nul100$nul$nul$nul$nul'\0\0\0\0\0\0\0'

die() { echo "capture: $*" >&2; exit 1; }
note() { echo "capture: not taken: $1: $2" >&2; missing="$missing$1: $2$nl"; } # PATH REASON

# NAME SIZE: a member, its content on standard input; it gets SIZE bytes whatever comes, or all after it would be lost
member() {
	sum=3037 # the checksum: first what is in all headers
	rest=$1 pad=$nul100
	while [ -n "$rest" ]; do
		tail=${rest#?}
		before=${chars%%"${rest%"$tail"}"*}
		sum=$((sum + 43 + ${#before}))
		rest=$tail pad=${pad#??}
	done
	rest=$2
	while [ "$rest" -gt 0 ]; do
		sum=$((sum + rest % 8))
		rest=$((rest / 8))
	done
	printf "%s$pad%s\0%s\0%s\0%011o\0%s\0%06o\0 %s${nul100}ustar\0%s$nul247" \
		"$1" 0000644 0000000 0000000 "$2" 00000000000 "$sum" 0 00 &&
		{ cat; cat /dev/zero; } 2>/dev/null | head -c $((($2 + 511) / 512 * 512))
}

# NAME CONTENT: what is made here
text() { printf %s "$2" | member "$1" "$(printf %s "$2" | wc -c)" || die "cannot write"; }

# NAME: a file of text, which may change from one read to the next
text_file() {
	if content=$(cat "$ROOT/$1" 2>/dev/null && echo .); then # the dot keeps the line ends before it
		text "$1" "${content%.}"
	elif [ -e "$ROOT/$1" ]; then
		note "$1" "cannot be read"
	else
		note "$1" "not there"
	fi
}

# NAME PATH: any other file, or device
file() {
	case $1 in *[!0-9A-Za-z_.,:=@+/~-]*) note "$1" "has such a name" && return 1 ;; esac
	[ ${#1} -le 100 ] || { note "$1" "has a long name" && return 1; }
	[ -e "$2" ] || { note "$1" "not there" && return 1; }
	bytes=$(($(head -c $((MOST + 1)) "$2" 2>/dev/null | wc -c)))
	[ $bytes -gt 0 ] || head -c 1 "$2" >/dev/null 2>&1 || { note "$1" "cannot be read" && return 1; }
	[ $bytes -le $MOST ] || { note "$1" "larger than $MOST bytes" && return 1; }
	cat "$2" 2>/dev/null | member "$1" $bytes || die "cannot write"
}

# The kernel image: what has the release in its name, or all that may be it; fails where there is none.
images() {
	for name in boot/vmlinuz-$rel boot/vmlinux-$rel boot/Image-$rel boot/zImage-$rel boot/uImage-$rel \
		boot/kernel-$rel lib/modules/$rel/vmlinuz lib/modules/$rel/vmlinux; do
		[ -e "$ROOT/$name" ] && file "$name" "$ROOT/$name" && return
	done
	found=1
	for path in "$ROOT"/boot/vmlinuz "$ROOT"/boot/vmlinux "$ROOT"/boot/Image "$ROOT"/boot/Image.gz "$ROOT"/boot/zImage \
		"$ROOT"/boot/uImage "$ROOT"/boot/*.itb "$ROOT"/boot/fitImage "$ROOT"/boot/kernel*.img \
		"$ROOT"/boot/firmware/kernel*.img "$ROOT"/boot/firmware/vmlinuz "$ROOT"/boot/efi/EFI/Linux/*.efi; do
		[ -e "$path" ] && file "${path#"$ROOT"/}" "$path" && found=0
	done
	[ $found -eq 0 ] && return
	mtd=$(sed -n 's/^\(mtd[0-9]*\):.* "kernel"$/\1/p' "$ROOT/proc/mtd" 2>/dev/null | head -n 1)
	for path in "$ROOT/dev/$mtd" "$ROOT/dev/block/by-name/boot" "$ROOT/dev/disk/by-partlabel/boot"; do
		[ -e "$path" ] && [ ! -d "$path" ] && file modcheck/image "$path" && return
	done
	note boot "no kernel image that can be read"
	return 1
}

# SYMBOL: its address, unless it is hidden from this user
address() { echo "$symbols" | sed -n "s/^\([0-9a-f]*[1-9a-f][0-9a-f]*\) [A-Za-z] $1\$/\1/p" | head -n 1; }

# AT BYTES: $v, the number that stands there in kcore's headers
number() {
	digits=
	for byte in $(od -An -v -tx1 -j "$1" -N "$2" "$ROOT/proc/kcore" 2>/dev/null); do
		if [ $order = 01 ]; then digits=$byte$digits; else digits=$digits$byte; fi
	done
	value "${digits:-0}"
}

# HEX: $v. Addresses of kernels are above a shell's largest number and become negative; their differences are right.
value() {
	if [ ${#1} -lt 16 ]; then
		v=$((0x$1))
	else
		v=$(((0x${1%????????} << 32) + 0x${1#????????})) # of all 16 digits dash would make its largest number
	fi
}

# The kernel as it lies in memory, in place of an image: from its first byte to the end of what is never written. After
# that come no parts of an image, but the kernel's data and memory that it has given to others.
kcore() {
	order=00 # as they come
	number 0 4
	[ "$digits" = 7f454c46 ] || { note modcheck/kcore "/proc/kcore cannot be read, or there is no od" && return; }
	[ "$((1 << 32))" = 4294967296 ] || { note modcheck/kcore "this shell's numbers have 32 bits" && return; }
	symbols=$(grep -F -e ' _text' -e ' _stext' -e ' __end_rodata' -e ' _end' "$ROOT/proc/kallsyms" 2>/dev/null)
	first=$(address _text)
	[ -n "$first" ] || first=$(address _stext)
	[ -n "$first" ] || { note modcheck/kcore "/proc/kallsyms has no address of _text" && return; }
	last=$(address __end_rodata)
	[ -n "$last" ] || last=$(address _end)
	value "$first"
	text=$v
	start=$((text & -4096))
	bytes=67108864
	if [ -n "$last" ]; then
		value "$last" && bytes=$((v - start))
	else # without CONFIG_KALLSYMS_ALL: the length that code, data and bss have together
		low=''
		for address in $(sed -n 's/^ *\([0-9a-f]*\)-\([0-9a-f]*\) : Kernel .*/\1 \2/p' "$ROOT/proc/iomem" 2>/dev/null); do
			value "$address"
			low=${low:-$v}
			bytes=$((v - low + 1))
		done
	fi
	[ $bytes -le 134217728 ] || bytes=134217728

	number 4 1 && class=$v
	number 5 1 && order=$digits
	# table of segments: where the headers have its place and length; an entry's length, and its first offset
	if [ $class = 2 ]; then set -- 32 56 56 8 8; else set -- 28 44 32 4 4; fi
	word=$5
	number $1 $word && at=$v
	number $2 2 && end=$((at + v * $3))
	while [ $at -lt $end ]; do
		number $at 4 && type=$v
		number $((at + $4)) $word && skip=$v
		number $((at + $4 + word)) $word && base=$v
		number $((at + $4 + 3 * word)) $word # the length; the physical address stands before it
		[ $type -eq 1 ] && [ $((text - base)) -ge 0 ] && [ $((text - base)) -lt $v ] && break
		at=$((at + $3))
	done
	[ $at -lt $end ] || { note modcheck/kcore "/proc/kcore has no segment with _text" && return; }
	[ $bytes -le $((base + v - start)) ] || bytes=$((base + v - start))
	skip=$((skip + start - base))
	set -- if="$ROOT/proc/kcore" bs=4096 skip=$((skip / 4096)) # of one byte each, it would take an hour
	if [ $((skip % 4096)) -ne 0 ] || [ $bytes -le 0 ] || [ "$(dd "$@" count=1 2>/dev/null | wc -c)" -eq 0 ]; then
		note modcheck/kcore "/proc/kcore has nothing at $first" && return
	fi
	dd "$@" count=$(((bytes + 4095) / 4096)) 2>/dev/null | member modcheck/kcore $bytes || die "cannot write"
}

# What is listed goes through tar, which is much faster than member.
pack() {
	set -f && IFS=$nl # what is not quoted is split at line ends alone, and holds no patterns
	[ $listed -eq 0 ] || said=$({ tar -cf - -h -C "$ROOT/" $list | cat >&3; } 2>&1) || die "cannot write: $said"
	for line in $(printf '%s\n' "${said-}" | sed -e '/ exit /d' -e '/Exiting/d' -e 's/^[^ ]*tar: //'); do
		note "${line%: *}" "${line##*: }"
	done
	set +f && unset IFS
	list='' listed=0 said=''
}

# FOLDER: lists its modules and those below. No folders go to tar: GNU tar -h would go round in links without end, and
# here too links to folders are only followed at the top.
walk() {
	[ -r "$1" ] && [ -x "$1" ] || { note "${1#"$ROOT"/}" "cannot be read" && return; }
	for path in "$1"/*; do
		[ -e "$path" ] || [ -h "$path" ] || continue # the pattern itself: nothing is there
		case ${path##*/} in
		build | source | vmlinu[xz] | System.map | initr*) continue ;; # what depmod skips, what images has taken
		*.ko | *.ko.*) ;;
		*) [ "$1" = "$modules" ] || [ -d "$path" ] || continue ;;
		esac
		if [ -h "$path" ] && [ -d "$path" ] && [ "$1" != "$modules" ]; then
			note "${path#"$ROOT"/}" "link to a folder"
		elif [ -d "$path" ]; then
			walk "$path"
		elif [ -f "$path" ] && [ -r "$path" ]; then
			list=$list${path#"$ROOT"/}$nl
			listed=$((listed + 1))
			[ $listed -lt 400 ] || pack # before it is too much for one command
		else
			note "${path#"$ROOT"/}" "cannot be read"
		fi
	done
}

# The names of what the kernel exports; those of modules have a tab and [the module] behind them. They are no variable
# as a printf that is not the shell's own takes 128 KiB at most. grep -F first is ten times as fast as sed alone.
exports() {
	grep -F ' __ksymtab_' "$ROOT/proc/kallsyms" 2>/dev/null | sed -n 's/^[^_]* __ksymtab_\([^[:space:]]*\)$/\1/p'
}

main() {
	case $#${1-} in
	0) [ ! -t 1 ] || die "standard output is a terminal: sh capture.sh > board.tar" ;;
	1 | 1-* | [!1]*) die "usage: sh capture.sh > board.tar, or sh capture.sh DIR" ;;
	*) exec >"$1/board.tar" || die "cannot write" ;;
	esac
	exec 3>&1
	[ "$(head -c 3 /dev/zero | wc -c)" -eq 3 ] || die "needs head -c and /dev/zero"
	rel=$(cat "$ROOT/proc/sys/kernel/osrelease" 2>/dev/null) || rel=$(uname -r)
	modules=$ROOT/lib/modules/$rel

	text modcheck/capture "modcheck capture 1$nl"
	text modcheck/uname "$rel$nl$(uname -m)$nl$(uname -v)$nl"
	for name in proc/version proc/cmdline proc/modules proc/keys proc/sys/kernel/osrelease \
		proc/sys/kernel/modules_disabled proc/sys/kernel/tainted sys/kernel/security/lockdown \
		sys/module/module/parameters/sig_enforce; do
		text_file $name
	done
	for name in proc/config.gz sys/kernel/notes sys/kernel/btf/vmlinux; do
		file $name "$ROOT/$name"
	done
	names=$(ls "$ROOT/sys/module" 2>/dev/null) && text modcheck/sys-module "$names$nl" || note sys/module "not there"
	bytes=$(exports | wc -c)
	if [ "$bytes" -gt 0 ]; then
		exports | member modcheck/kallsyms "$bytes" || die "cannot write"
	else
		note proc/kallsyms "has no exports, or cannot be read"
	fi
	images || kcore
	for path in "$ROOT/boot/config-$rel" "$ROOT"/etc/modprobe.conf "$ROOT"/etc/modprobe.d/* "$ROOT"/etc/depmod.d/* \
		"$ROOT"/lib/modprobe.d/* "$ROOT"/usr/lib/modprobe.d/* "$ROOT"/usr/local/lib/modprobe.d/* \
		"$ROOT"/run/modprobe.d/* "$ROOT"/lib/depmod.d/* "$ROOT"/usr/lib/depmod.d/* "$ROOT"/run/depmod.d/*; do
		[ ! -e "$path" ] || [ -d "$path" ] || file "${path#"$ROOT"/}" "$path"
	done
	if [ -d "$modules" ]; then walk "$modules"; else note "lib/modules/$rel" "not there"; fi
	pack
	text modcheck/missing "$missing"
	head -c 1024 /dev/zero || die "cannot write" # the end of a tar
}

# All of it is read before it runs, and no command takes the rest of the script for its input.
main "$@" </dev/null
