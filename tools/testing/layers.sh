#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The module has layers, and each layer uses only the layers below it. Print what uses
# something of a higher layer, and nothing if all is well:
#
#	layers.sh OBJECTS SOURCES
#
# OBJECTS is the folder with the module's objects, SOURCES the one with its sources.

set -euo pipefail
export LC_ALL=C

# The layers from the bottom. A layer is one or more objects, which may use each
# other.
layers=(
	'cmd batch ste strtab cdtab idr guest_mem reason'
	host_iommufd
	parent
	phys
	filter
	stream
	table
	cmdq
	debugfs
	vsmmu
	ioctl
	doorbell
	main
)
# Headers of the lowest layer, besides those of its objects: the architecture, the
# objects' structs, the interface of the host. Each other header has the name of its
# layer.
headers='arch compat host pure reason_names smmuv3-accel trace'
module=smmuv3-accel
nm=${CROSS_COMPILE-aarch64-linux-gnu-}nm

[ $# = 2 ] || { echo "usage: layers.sh OBJECTS SOURCES" >&2; exit 2; }
objects=$1 sources=$2

declare -A level definer
for ((i = 0; i < ${#layers[@]}; i++)); do
	for name in ${layers[i]}; do
		level[$name]=$i
	done
done
header_level() {
	case " $headers " in
	*" $1 "*) echo 0 ;;
	*) echo "${level[$1]-}" ;;
	esac
}

# kbuild lists the module's objects in this file.
mapfile -t members < <(sed 's|.*/||; s|\.o$||' "$objects/$module.mod")
((${#members[@]} > 1)) || { echo "no objects in $objects/$module.mod"; exit 1; }

for name in "${members[@]}"; do
	if [ -z "${level[$name]-}" ]; then
		echo "$name.o is in no layer"
		continue
	fi
	while read -r symbol; do
		definer[$symbol]=$name
	done < <("$nm" -g --defined-only --format=just-symbols "$objects/$name.o")
done

for name in "${members[@]}"; do
	[ -n "${level[$name]-}" ] || continue
	while read -r symbol; do
		other=${definer[$symbol]-}
		[ -n "$other" ] && ((level[$other] > level[$name])) || continue
		echo "$name.o -> $other.o: $symbol is of a higher layer"
	done < <("$nm" -u --format=just-symbols "$objects/$name.o")
done

# Check the headers that the sources include, and the headers that those include.
declare -A seen
includes() { # $1: file, $2: its layer
	local header upper
	while read -r header; do
		upper=$(header_level "${header%.h}")
		if [ -z "$upper" ]; then
			echo "$1 -> $header: the header is in no layer"
		elif ((upper > $2)); then
			echo "$1 -> $header: the header is of a higher layer"
		fi
		# A header that the build generates includes nothing.
		if [ -n "$upper" ] && [ -z "${seen[$header]-}" ] && [ -e "$sources/$header" ]; then
			seen[$header]=1
			includes "$header" "$upper"
		fi
	done < <(sed -n 's/^#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$sources/$1")
}
for name in "${members[@]}"; do
	[ -z "${level[$name]-}" ] || includes "$name.c" "${level[$name]}"
done
