# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For tests that print TAP, on the build machine or in the emulated host: the variables
#
#   number  how many tests there were
#   failed  how many of them failed
#   said    a file for what a test says

number=0 failed=0 said=/tmp/said

# Run a test. $1: name, rest: a command that says why if it fails
t() {
	tap_name=$1
	shift
	number=$((number + 1))
	if "$@" >"$said" 2>&1; then
		echo "ok $number - $tap_name"
	else
		failed=$((failed + 1))
		sed 's/^/# /' "$said"
		echo "not ok $number - $tap_name"
	fi
}

# End after the last test.
finish() {
	echo "1..$number"
	exit $((failed > 0))
}

# Try a command until it succeeds, for a minute or more.
soon() {
	tap_tries=600
	until "$@" 2>/dev/null; do
		tap_tries=$((tap_tries - 1))
		[ "$tap_tries" -gt 0 ] || { echo "not within a minute: $*"; return 1; }
		sleep 0.1
	done
}
