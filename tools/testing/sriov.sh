#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-sriov: virtual functions of a network card, passed through in the emulated
# host. Two programs of DMA have one each, and so has a guest behind the reference VMM.
# The host removes them while they are in use. Prints TAP.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

here=$VM_DIR/..
tests=$here/selftests/smmuv3-accel
"$VM_DIR/setup.sh" default kernel-sriov
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{share,overlay}

aarch64-linux-gnu-gcc -O2 -Wall -Wextra -Werror -static -D_GNU_SOURCE -I"$tests" -I"$TOP_DIR/include/uapi" \
	-isystem "$CACHE/kernel-sriov/usr/include" -o "$work/share/vf-dma" \
	"$here/sriov/vf-dma.c" "$tests"/{guest,device}.c
mkdir "$work/overlay/bin"
aarch64-linux-gnu-gcc -O2 -Wall -Wextra -Werror -static -D_GNU_SOURCE -o "$work/overlay/bin/frames" "$here/sriov/frames.c"
cp "$work/overlay/bin/frames" "$work/share/"
install -m 755 "$here/demo-guest/guest" "$work/overlay/demo"
cp "$here/sriov/guest" "$work/overlay/functions"
(cd "$work/overlay" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/share/demo.cpio.gz"
cp "$CACHE/kernel-sriov/arch/arm64/boot/Image" "$here/sriov/host" "$here"/demo-guest/{lib,vmm}.sh "$work/share/"

say "booting the emulated host, and guests in it"
rc=0
"$VM_DIR/run.sh" --sriov --share "$work/share" --timeout 1800 -- sh host || rc=$?
echo "1..$(cat "$work/share/tests" 2>/dev/null || echo 0)"
exit "$rc"
