# SPDX-License-Identifier: GPL-2.0
#
# Print each function that is longer than "max" lines, from its name to its closing
# brace. Kernel style is assumed: both braces stand alone in the first column.

!inside && /^[A-Za-z_]/ { head = $0; start = FNR }
/^\{$/ { inside = 1 }
/^\}/ && inside {
	inside = 0
	if (FNR - start + 1 > max) {
		match(head, /[A-Za-z0-9_]+\(/)
		printf "%s:%d: %s() has %d lines, more than %d\n", FILENAME, start,
			substr(head, RSTART, RLENGTH - 1), FNR - start + 1, max
	}
}
