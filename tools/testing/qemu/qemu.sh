# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# In the emulated host: functions that run a guest behind QEMU, whose SMMUv3 is on
# /dev/smmuv3-accel. For scripts that source this. Set what lib.sh wants, and "image", the
# kernel.

# shellcheck source=tools/testing/demo-guest/lib.sh
. ./lib.sh
side=qemu qmp_out=5 events=''

# Use the QEMU in the working directory, which is of a series such as 10.2. Read it once,
# not page by page over 9p.
use_qemu() {
	series=$1 qemu=/tmp/qemu-system-aarch64
	cp qemu-system-aarch64 $qemu
}

# Choose the machine. Sets "machine" and "smmu", QEMU's options. $1: the PCI bus that the
# SMMU is for, $2: its properties. QEMU 10.0 has one SMMU, that of the machine, for all
# buses.
use_smmu() {
	machine=virt,gic-version=3
	if [ "$series" = 10.0 ]; then
		machine=$machine,iommu=smmuv3 smmu=''
		for property in $(echo "$2" | tr , ' '); do
			smmu="$smmu -global arm-smmuv3.$property"
		done
	else
		smmu="-device arm-smmuv3,primary-bus=$1,id=smmu0,$2"
	fi
}

# Become QEMU. $@: devices, and what else there is.
run_qemu() {
	# shellcheck disable=SC2086 # several words
	exec $qemu -accel kvm -M "$machine" -cpu host -smp 2 -m 512M -nodefaults -display none \
		-object iommufd,id=iommufd0 $pxb $smmu "$@"
}

# $1: the kernel's options, rest: QEMU's
start() {
	append="console=ttyAMA0 loglevel=1 rdinit=/demo $1"
	shift
	rm -f /tmp/qmp.in /tmp/qmp.out /tmp/qmp.log
	mkfifo /tmp/qmp.in /tmp/qmp.out
	eval "exec $qmp_out<>/tmp/qmp.out"
	# shellcheck disable=SC2086 # several words
	begin_vmm run_qemu -monitor none -serial stdio $firmware -kernel "$image" -initrd "$initramfs" -append "$append" \
		-chardev pipe,id=qmp,path=/tmp/qmp -mon chardev=qmp,mode=control "$@" &&
		hear "guest: up" && qmp qmp_capabilities
}

# Read QEMU's monitor up to a line with $1 in it, and keep all in "events".
monitor_line() {
	side=qmp guest_out=$out out=$qmp_out found=''
	while expect '{"'; do
		events=$events$line$nl
		case $line in *"$1"*) found=1; break ;; esac
		case $line in '{"return"'* | '{"error"'*) break ;; esac
	done
	side=qemu out=$guest_out
	[ -n "$found" ]
}

qmp() { # $1: a command, rest: its arguments, NAME=STRING or NAME=true
	command=$1 arguments=''
	shift
	for argument; do
		value=${argument#*=}
		[ "$value" = true ] || value="\"$value\""
		arguments="$arguments${arguments:+, }\"${argument%%=*}\": $value"
	done
	events=''
	side=qmp
	tell "{\"execute\": \"$command\", \"arguments\": {$arguments}}"
	side=qemu
	monitor_line '{"return"' || { why=${why:-$line}; false; }
}

# Unplug a device, and wait until the guest has let it go.
unplug() {
	qmp device_del "id=$1" || return 1
	gone="\"DEVICE_DELETED\", \"data\": {\"device\": \"$1\""
	case $events in *"$gone"*) return 0 ;; esac
	monitor_line "$gone"
}

# Plug a device that is passed through. $1: its PCI address, $2: its name, $3: the bus
plug() { qmp device_add driver=vfio-pci "host=$1" "id=$2" iommufd=iommufd0 "bus=$3"; }

stop() { qmp quit && end_vmm 60; }

# QEMU refuses these options, with the words $1.
refuses() {
	words=$1
	shift
	(run_qemu -S "$@") >/tmp/refusal 2>&1 &
	pid=$!
	tries=0
	while [ -e "/proc/$pid/exe" ] && [ $tries -lt 600 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	if [ -e "/proc/$pid/exe" ]; then
		kill -KILL $pid
		why="QEMU runs"
	fi
	wait $pid
	status=$?
	sed 's/^/#   | /' /tmp/refusal
	[ $status = 1 ] && grep -q "$words" /tmp/refusal
}
