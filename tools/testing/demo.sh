#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo: boot the emulated host and run the lessons of tools/examples there. Each
# prints PASS at its end.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

"$VM_DIR/setup.sh"
say "booting the emulated host: one SMMUv3, two devices that do DMA behind it"
rc=0
"$VM_DIR/run.sh" --testdev 1 --edu 1 -- sh -c 'first-lesson && echo && table-lesson' || rc=$?
((rc == 0)) || die "FAIL: a lesson, or the host that it runs on, ended with status $rc"
