#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Check that the man pages have the functions of vsmmu.h with their prototypes, each
# once, and that man prints no warning for them.

set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A prototype a line, without the comments, as "int vsmmu_kick(struct vsmmu *v)"
awk '
	/^\/\*/ { comment = 1 }
	comment { if (/\*\//) comment = 0; next }
	/^[a-z].*vsmmu_[a-z_]*\(/ { text = "" ; open = 1 }
	open {
		gsub(/\t+/, text == "" ? "" : " ")
		text = text $0
		if (/\)[;]?$/) {
			sub(/;$/, "", text)
			sub(/^static inline /, "", text)
			gsub(/  +/, " ", text)
			print text
			open = 0
		}
	}' ../vsmmu.h | sort >"$work/header"

awk '
	{ argument = $0; sub(/^\.[A-Z][a-z] /, "", argument); gsub(/"/, "", argument) }
	/^\.Ft / { type = argument (argument ~ /\*$/ ? "" : " ") }
	/^\.Fo / { text = type argument "("; between = "" }
	/^\.Fa / && text != "" { text = text between argument; between = ", " }
	/^\.Fc/ { print text ")"; text = "" }' ./*.3 | sort >"$work/pages"

awk '
	/^\.Sh / { name = $2 == "NAME" }
	name && /^\.Nm / { print $2 }' ./*.3 | sort >"$work/named"
sed 's/(.*//; s/.*[ *]//' "$work/header" | sort >"$work/functions"

rc=0
[ -s "$work/header" ] || { echo "vsmmu.h has no prototypes"; rc=1; }
diff "$work/header" "$work/pages" || { echo "< vsmmu.h, > the man pages' SYNOPSIS"; rc=1; }
diff "$work/functions" "$work/named" || { echo "< vsmmu.h, > the man pages' NAME"; rc=1; }
if command -v man >/dev/null; then
	for page in ./*.[37]; do
		LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" \
			2>&1 >/dev/null | sed "s|^|$page: |"
	done >"$work/warnings"
	[ ! -s "$work/warnings" ] || { cat "$work/warnings"; rc=1; }
fi
exit $rc
