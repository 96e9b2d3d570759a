# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For scripts that start VMMs in the emulated host, and read their guests' consoles. The
# functions are about one VMM, the one that these variables name:
#
#   side      its name, which its files in /tmp begin with: $side.in and $side.out are
#             FIFOs, $side.log has what came from the console and what the VMM says
#   out       the file descriptor of $side.out, chosen by the caller
#   pid       the VMM's process, a child of this shell; begin_vmm sets it
#   patience  for how many seconds to wait for a line
#   nap       for how many seconds without output not to look at the time, nor whether the
#             VMM has ended
#
# A function that fails says why in "why".

side='' out='' patience=300 nap=1 why=''
cr=$(printf '\r') nl='
'

now() { read -r now _ </proc/uptime && now=${now%.*}; }

# Start a VMM: $@, a command or function that becomes it by exec. No open of a FIFO
# waits for the other end.
begin_vmm() {
	rm -f "/tmp/$side.in" "/tmp/$side.out" "/tmp/$side.log"
	mkfifo "/tmp/$side.in" "/tmp/$side.out" || { why="cannot make the FIFOs of '$side'"; return 1; }
	eval "exec $out<>/tmp/$side.out"
	"$@" <>"/tmp/$side.in" >"/tmp/$side.out" 2>>"/tmp/$side.log" &
	pid=$!
}

# Check that the VMM has ended with all its threads, so that waiting for it takes no time.
# While it runs it has a program: that check costs no process, which a benchmark would see.
vmm_ended() {
	[ ! -e "/proc/$pid/exe" ] || return 1
	[ ! -e "/proc/$pid" ] ||
		[ "$(grep -c -e '^State:.Z' -e '^Threads:.1$' "/proc/$pid/status")" = 2 ]
}

# Send a line to the guest. This does not wait, even if the VMM has ended.
tell() { echo "$*" 1<>"/tmp/$side.in"; }

# Set "line" to the console's next line, or to the first 4096 characters of a longer one.
# Fail once the VMM has ended and all is read, or at "deadline".
#
# busybox's read forgets the beginning of a line when a signal arrives or its time is
# over, and a child sends SIGCHLD when it ends, stops or continues. So read one character
# at a time: then there is nothing to forget.
read_line() {
	line='' ended=''
	! vmm_ended || ended=1
	# shellcheck disable=SC3045 # busybox has these options
	while [ -z "$ended" ] || read -r -t 0 -n 1 <&"$out"; do
		if IFS= read -r -t "$nap" -n 1 char <&"$out"; then
			[ -n "$char" ] || return 0
			line=$line$char
			[ ${#line} -lt 4096 ] || return 0
			continue
		fi
		! vmm_ended || ended=1
		now
		[ "$now" -lt "$deadline" ] || return 1
	done
	return 1
}

# Read the console up to a line that begins with $1. Sets "line" to that line, and "said"
# to the text before it.
expect() {
	said=''
	now
	deadline=$((now + patience))
	while read_line; do
		line=${line%"$cr"}
		[ -z "$line" ] || echo "$line" >>"/tmp/$side.log"
		case $line in "$1"*) return 0 ;; esac
		said=$said$line$nl
		now
		[ "$now" -lt "$deadline" ] || break
	done
	if vmm_ended; then
		wait "$pid"
		why="the VMM '$side' ended with status $? when '$1' was expected"
	else
		why="the guest behind '$side' did not print '$1' within $patience seconds"
	fi
	[ -z "$line" ] || why="$why; its last line: $(printf %.60s "$line")"
	return 1
}

# Kill the VMM, and wait until it has ended. An ioctl that does not return keeps it: do not
# wait for that.
kill_vmm() {
	kill -KILL "$pid"
	tries=0
	until vmm_ended; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || { why="$why; it did not end after SIGKILL either"; return; }
		sleep 0.1
	done
	wait "$pid"
}

# Wait for the VMM to end by itself with status 0, and read its console meanwhile: a full
# FIFO would keep it from ending. Kill it after $1 seconds.
end_vmm() {
	now
	deadline=$((now + $1))
	cat <&"$out" >>"/tmp/$side.log" &
	reader=$!
	until vmm_ended || [ "$now" -ge "$deadline" ]; do
		sleep 0.1
		now
	done
	if ! vmm_ended; then
		why="the VMM '$side' did not end within $1 seconds"
		kill_vmm
		kill "$reader"
		return 1
	fi
	# shellcheck disable=SC3045 # busybox has these options
	while [ -e "/proc/$reader/exe" ] && read -r -t 0 -n 1 <&"$out"; do :; done
	kill "$reader"
	wait "$pid" || { why="the VMM '$side' ended with status $?"; return 1; }
}
