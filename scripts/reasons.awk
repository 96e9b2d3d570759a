# SPDX-License-Identifier: GPL-2.0
#
# Turn the kernel-doc of enum smmuv3_accel_reason into lines of C:
#
#   awk -f scripts/reasons.awk include/uapi/linux/smmuv3_accel.h
#
# prints REASON(NAME, "text") for each reason, in the order of the comment. NAME
# lacks SMMUV3_ACCEL_REASON_. The file that includes the lines defines REASON.
# -v enum=vsmmu_reason -v prefix=VSMMU_REASON_ does the same for the library's.
#
# The exit status is 1, with a message, if the comment and the enum do not name
# the same reasons. The caller then discards the output.

function fail(what)
{
	print FILENAME ": " what >"/dev/stderr"
	failed = 1
}

BEGIN {
	if (enum == "") {
		enum = "smmuv3_accel_reason"
		prefix = "SMMUV3_ACCEL_REASON_"
	}
}

# Strip the prefix of a reason's name
function short(long_name)
{
	return substr(long_name, length(prefix) + 1)
}

index($0, " * enum " enum " - ") == 1 {
	in_doc = 1
	next
}

in_doc && /^ \*(\/|$)/ {
	in_doc = 0
	next
}

in_doc && index($2, "@" prefix) == 1 {
	name = short(substr($2, 2, length($2) - 2))
	order[++num] = name
	if (name in text)
		fail(name " is described twice")
	text[name] = ""
	$1 = $2 = ""
}

# The rest of the line above, or a continuation line
in_doc && num {
	sub(/^ \*/, "")
	for (i = 1; i <= NF; i++)
		text[name] = text[name] (text[name] == "" ? "" : " ") $i
	next
}

index($0, "enum " enum " {") == 1 {
	in_enum = 1
	next
}

in_enum && /^\};/ {
	in_enum = 0
	next
}

in_enum && index($1, prefix) == 1 {
	known[short($1)] = 1
	values++
}

END {
	for (i = 1; i <= num; i++) {
		name = order[i]
		if (!(name in known))
			fail(name " is described, but not in the enum")
		if (text[name] == "")
			fail(name " has no text")
		if (text[name] ~ /["\\]/)
			fail(name " has a quote or a backslash in its text")
		printf "REASON(%s, \"%s\")\n", name, text[name]
	}
	for (name in known)
		if (!(name in text))
			fail(name " is in the enum, but not described")
	if (!num || !values)
		fail("there is no enum " enum)
	exit failed
}
