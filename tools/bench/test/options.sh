#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# options.sh PROGRAM: smmuv3-accel-bench refuses wrong command lines; no SMMU is needed.

set -euo pipefail
tool=$1

fails() { # $1: what it says, rest: arguments
	local rc=0 said
	said=$("$tool" "${@:2}" 2>&1) || rc=$?
	[ $rc = 2 ] && [[ $said == *"$1"* ]] || { echo "status $rc for '${*:2}': $said"; exit 1; }
}
fails "no --device"
fails "there is no PCI device '0000:ff:1f.7'" --device 0000:ff:1f.7
fails "there is no PCI device '../../../etc'" --device ../../../etc
fails "there is no PCI device ''" --device ''
fails "there is no part 'all'" --only all
fails "--repetitions wants 1 to 999, not '0'" --repetitions 0
fails "--repetitions wants 1 to 999, not '1000'" --repetitions 1000
fails "--repetitions wants 1 to 999, not '-1'" --repetitions -1
fails "'extra' is no option" extra
fails "unrecognized option" --unknown
[[ "$("$tool" --help)" == usage:* ]]
[[ "$("$tool" --version)" == "smmuv3-accel-bench "* ]]
for part in $("$tool" --help | sed -n 's/^parts: //p'); do
	fails "no --device" --only "$part"
done
