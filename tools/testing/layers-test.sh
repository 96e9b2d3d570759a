#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Test layers.sh and functions.awk on a small module that this script makes. Prints
# what is wrong, and nothing if all is well.

set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CROSS_COMPILE-aarch64-linux-gnu-}gcc

# Make a module of $@, words "NAME:C" with what is in NAME.c besides its own function
make_module() {
	local part name
	rm -rf "$work/module"
	mkdir "$work/module"
	for name in arch stream cmdq; do
		: >"$work/module/$name.h"
	done
	for part; do
		name=${part%%:*}
		{
			printf '%b\n' "${part#*:}"
			echo "void ${name}_own(void); void ${name}_own(void) {}"
		} >"$work/module/$name.c"
		"$cc" -c -o "$work/module/$name.o" "$work/module/$name.c"
		echo "some/folder/$name.o" >>"$work/module/smmuv3-accel.mod"
	done
}

# Compare layers.sh's output. $1: the expected output, rest: the module, as for make
says() {
	local said
	make_module "${@:2}"
	said=$(./layers.sh "$work/module" "$work/module" 2>&1)
	[ "$said" = "$1" ] || printf 'layers.sh says:\n%s\nand not:\n%s\n' "$said" "$1"
}

down='void phys_own(void); void cmdq_calls(void) { phys_own(); }'
up='void cmdq_own(void); void phys_calls(void) { cmdq_own(); }'
beside='void cmd_own(void); void batch_calls(void) { cmd_own(); }'
says '' phys:'#include "arch.h"' cmdq:"#include \"cmdq.h\"\n#include \"stream.h\"\n$down"
says '' batch:"$beside" cmd:
says 'phys.o -> cmdq.o: cmdq_own is of a higher layer' phys:"$up" cmdq:
says 'phys.c -> cmdq.h: the header is of a higher layer' phys:'#include "cmdq.h"' cmdq:
says 'other.o is in no layer' phys: other:
says 'phys.c -> other.h: the header is in no layer' 'phys:#if 0\n#include "other.h"\n#endif' cmdq:

# A permitted header that includes a header of a higher layer
make_module stream:'#include "stream.h"' cmdq:
echo '#include "cmdq.h"' >"$work/module/stream.h"
[ "$(./layers.sh "$work/module" "$work/module")" = \
	'stream.h -> cmdq.h: the header is of a higher layer' ] || echo "layers.sh misses a header's include"

# Print a function of $1 lines; its arguments take two of them
function_of() {
	local i
	printf 'struct s {\n\tint a;\n};\n\nstatic int long_one(int a,\n\t\t    int b)\n{\n'
	for ((i = 4; i < $1; i++)); do
		echo 'out:'
	done
	printf '}\n\nint short_one(void)\n{\n}\n'
}
function_of 60 >"$work/60.c"
function_of 61 >"$work/61.c"
said=$(awk -v max=60 -f functions.awk "$work/60.c" "$work/61.c")
[ "$said" = "$work/61.c:5: long_one() has 61 lines, more than 60" ] ||
	printf 'functions.awk says:\n%s\n' "$said"
