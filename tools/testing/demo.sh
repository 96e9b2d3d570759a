#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo: boot the emulated host and run tools/examples/first-lesson.c there.
# It says PASS at last.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

"$VM_DIR/setup.sh"
say "booting the emulated host: one SMMUv3, two devices that do DMA behind it"
rc=0
"$VM_DIR/run.sh" --testdev 1 --edu 1 -- first-lesson || rc=$?
((rc == 0)) || die "FAIL: first-lesson, or the host that it runs on, ended with status $rc"
