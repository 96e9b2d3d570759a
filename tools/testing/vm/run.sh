#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot the emulated host, run a command in it as root, and exit with its status.

. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<-'USAGE'
	usage: run.sh [options] -- COMMAND [ARGUMENT...]

	Boots an emulated arm64 host with a nesting SMMUv3, loads smmuv3-accel.ko,
	binds the test, edu and NVMe devices to vfio-pci and runs COMMAND there.
	Its output and exit status are COMMAND's; 124: time-out, 125: the emulated
	host could not be set up or died.

	  --smmus N      physical SMMUs, devices are dealt out in turn (1)
	  --testdev N    iommu-testdev devices (0)
	  --edu N        edu devices (0)
	  --grouped      two edu devices more, which share an IOMMU group
	  --bridged      an edu device more, which shares its IOMMU group with the PCI
	                 bridge that it is behind
	  --rmr          an edu device more, which the firmware wants mapped 1:1 (an
	                 RMR node in the IORT); with one SMMU
	  --sriov        an 82576 network card more, behind a root port, and a kernel
	                 that has its driver and that of its virtual functions; with one
	                 SMMU
	  --nvme FILE    an NVMe disk with FILE as its image; may be repeated
	  --smp N        CPUs (2)
	  --icount       a clock that advances by 1 ns with each instruction, so that
	                 times do not depend on how busy this machine is
  --no-mops      a kernel that does not use FEAT_MOPS, as on Grace and AmpereOne:
                 with it three instructions copy memory of any length
	  --mem SIZE     memory, as QEMU's -m (2G)
	  --kernel S     a host kernel of series S, such as 6.18, instead of the newest
	  --debug        the debug kernel (KASAN, lockdep, fault injection)
	  --debian       a kernel that Debian's programs run on
	  --gcov         a kernel that counts how often each line of the module runs
	  --kcsan        a kernel that finds data races, and does not panic on a warning
	  --no-canwbs    a host that does not offer nesting
	  --no-module    do not load the module
	  --share DIR    DIR appears as /mnt/share, the working directory
	  --timeout S    end the emulated host after S seconds (600)
	USAGE
}

number() { [[ $2 =~ ^[0-9]+$ ]] || die "$1 wants a number, not '$2'"; }

smmus=1 testdevs=0 edus=0 smp=2 mem=2G flavour=base canwbs=1 module=1 grouped=0 bridged=0 rmr=0 icount=0 sriov=0
share='' timeout=600 nvmes=() options=''
while (($#)); do
	case $1 in
	--smmus | --testdev | --edu | --smp | --timeout)
		(($# > 1)) || die "$1 wants a value"
		number "$1" "$2"
		case $1 in
		--smmus) smmus=$2 ;;
		--testdev) testdevs=$2 ;;
		--edu) edus=$2 ;;
		--smp) smp=$2 ;;
		--timeout) timeout=$2 ;;
		esac
		shift
		;;
	--nvme | --mem | --share | --kernel)
		(($# > 1)) || die "$1 wants a value"
		case $1 in
		--kernel)
			[[ $2 =~ ^[0-9]+\.[0-9]+$ ]] || die "--kernel wants a series such as 6.18, not '$2'"
			flavour=$2
			;;
		--nvme) nvmes+=("$2") ;;
		--mem) mem=$2 ;;
		--share) share=$2 ;;
		esac
		shift
		;;
	--grouped) grouped=1 ;;
	--bridged) bridged=1 ;;
	--rmr) rmr=1 ;;
	--sriov) sriov=1 ;;
	--icount) icount=1 ;;
	--no-mops) options=arm64.nomops ;;
	--debian | --debug | --gcov | --kcsan) flavour=${1#--} ;;
	--no-canwbs) canwbs=0 ;;
	--no-module) module=0 ;;
	--help | -h) usage; exit 0 ;;
	--) shift; break ;;
	*) usage >&2; die "unknown option '$1'" ;;
	esac
	shift
done
(($#)) || { usage >&2; die "no COMMAND"; }
((smmus >= 1 && smmus <= 4)) || die "--smmus: 1 to 4"
((testdevs + edus + ${#nvmes[@]} <= 28 * smmus)) || die "no more than $((28 * smmus)) devices on $smmus SMMUs"
((!rmr || (smmus == 1 && canwbs))) || die "--rmr: neither with more SMMUs nor with --no-canwbs"
if ((sriov)); then
	[[ $smmus = 1 && $flavour = base ]] || die "--sriov: neither with more SMMUs nor with another kernel"
	flavour=sriov
fi
[ -z "$share" ] || [ -d "$share" ] || die "--share: no folder '$share'"
for nvme in ${nvmes[@]+"${nvmes[@]}"}; do
	[ -r "$nvme" ] && [ -w "$nvme" ] || die "--nvme: cannot read and write '$nvme'"
done

# The newest series is that of the kernel "base".
[[ "$(make -s -C "$CACHE/linux" kernelversion 2>/dev/null)" != "$flavour".* ]] || flavour=base
parts=(default)
[ "$flavour" = base ] || parts+=("kernel-$flavour")
"$VM_DIR/setup.sh" "${parts[@]}" || exit 125
make -s -C "$TOP_DIR" "vm-$flavour" >&2 || { echo "run.sh: the module or its tests did not build" >&2; exit 125; }

run=$(mktemp -d)
qemu_pid='' watchdog_pid=''
end_watchdog() {
	[ -n "$watchdog_pid" ] || return 0
	kill "$watchdog_pid" 2>/dev/null || true
	wait "$watchdog_pid" 2>/dev/null || true
	watchdog_pid=''
}
cleanup() {
	[ -z "$qemu_pid" ] || kill "$qemu_pid" 2>/dev/null || true
	end_watchdog
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$CACHE/log"
console=$CACHE/log/console.$$.log

# Choose the bus of device number $1 of its kind, and set "bus". Devices of the first
# SMMU are on the root bus. A pxb-pcie takes only root ports, one for each device.
ports=0
next_bus() {
	local smmu=$(($1 % smmus))
	if ((smmu == 0)); then
		bus=pcie.0
		return
	fi
	bus=port$ports
	qemu+=(-device "pcie-root-port,id=$bus,bus=pcie.$smmu,chassis=$((++ports))")
}

qemu=(-M "virt,gic-version=3,virtualization=on" -cpu "max,pauth-impdef=on"
	-smp "$smp" -m "$mem" -nodefaults -no-reboot -display none -monitor none
	-bios "$CACHE/qemu/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
	-kernel "$CACHE/kernel-$flavour/arch/arm64/boot/Image"
	-device "arm-smmuv3,primary-bus=pcie.0,id=smmu0,stage=nested")
for ((i = 1; i < smmus; i++)); do
	qemu+=(-device "pxb-pcie,id=pcie.$i,bus_nr=$((i * 32)),bus=pcie.0,addr=$(printf %x $((31 - i)))"
		-device "arm-smmuv3,primary-bus=pcie.$i,id=smmu$i,stage=nested")
done

((!icount)) || qemu+=(-icount "shift=0")

devices=()
for ((i = 0; i < testdevs; i++)); do
	next_bus "$i"
	devices+=(-device "iommu-testdev,bus=$bus")
done
for ((i = 0; i < edus; i++)); do
	next_bus "$i"
	# The default of 28 address bits is too narrow for most guest addresses.
	devices+=(-device "edu,dma_mask=0xffffffffffff,bus=$bus")
done
for i in ${nvmes[@]+"${!nvmes[@]}"}; do
	next_bus "$i"
	devices+=(-drive "file=${nvmes[i]//,/,,},if=none,id=disk$i,format=raw"
		-device "nvme,drive=disk$i,serial=smmuv3-accel-$i,bus=$bus")
done
if ((grouped)); then
	devices+=(-device "edu,bus=pcie.0,addr=1c.0,multifunction=on" -device "edu,bus=pcie.0,addr=1c.1")
fi
if ((bridged)); then
	qemu+=(-device "pcie-pci-bridge,id=bridge,bus=pcie.0,addr=1a.0")
	devices+=(-device "edu,bus=bridge,addr=1")
fi
if ((sriov)); then
	# The hub has no other port.
	qemu+=(-device "pcie-root-port,id=sriov,bus=pcie.0,addr=19.0,chassis=100")
	devices+=(-netdev "hubport,id=net,hubid=0" -device "igb,bus=sriov,netdev=net")
fi
((!rmr)) || devices+=(-device "edu,bus=pcie.0,addr=1b.0")

# Boot with the arguments in "qemu" and $@, until power-off or time-out.
boot() {
	local rc=0
	qemu_from "$CACHE/qemu" "${qemu[@]}" -serial "file:$console" "$@" </dev/null 2>"$run/qemu.err" &
	qemu_pid=$!
	(
		sleep "$timeout" &
		trap 'kill $!' TERM
		wait $! && : >"$run/timeout" && kill "$qemu_pid"
	) &
	watchdog_pid=$!
	wait "$qemu_pid" || rc=$?
	qemu_pid=''
	end_watchdog
	return "$rc"
}

share_dir() { # $1: tag, $2: folder, $3: more
	qemu+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,${3:-multidevs=remap}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1,bus=pcie.0")
}

# Report a failure of the emulated host itself, not of COMMAND. $1: status, $2: why.
host_failed() {
	{
		echo "run.sh: $2"
		sed 's/^/    qemu: /' "$run/qemu.err" 2>/dev/null | head -n 10
		# Drop the escapes with which the firmware clears the screen.
		tail -n 25 "$console" 2>/dev/null | tr -d '\r' |
			sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g; s/^/    | /'
		echo "run.sh: the console is in $console"
	} >&2
	exit "$1"
}

initramfs() {
	local root=$run/root
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,mnt/share,opt,root,etc}
	cp "$CACHE/busybox/bin/busybox" "$root/bin/"
	cp "$VM_DIR/init" "$root/init"
	chmod 755 "$root/init" "$root/bin/busybox"
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1)
}

# The ACPI tables that are overridden depend on the SMMUs and bridges, but with one SMMU
# not on endpoints. Read them on a first boot.
tables=$CACHE/iort/$(cat "$CACHE/qemu/version")-$smmus-$ports
((!bridged)) || tables+=-bridged
((!rmr)) || tables+=-rmr
((!sriov)) || tables+=-sriov
iort=$tables.aml dsdt=$tables.dsdt.aml
if ((canwbs)) && [ ! -s "$iort" ]; then
	say "reading the ACPI tables of $smmus SMMU(s) from a first boot"
	mkdir -p "$run/vm" "$CACHE/iort"
	echo tables >"$run/vm/mode"
	initramfs >"$run/initrd"
	saved=("${qemu[@]}")
	share_dir vm "$run/vm"
	boot -initrd "$run/initrd" -append "console=ttyAMA0 panic=-1" || true
	[ -s "$run/vm/IORT" ] && [ -s "$run/vm/DSDT" ] ||
		host_failed 125 "the first boot did not deliver the ACPI tables"
	python3 "$VM_DIR/acpi.py" canwbs "$run/vm/IORT" "$iort.$$" || exit 125
	if ((rmr)); then
		# The device is in slot 1b of bus 0.
		python3 "$VM_DIR/acpi.py" rmr d8 "$iort.$$" "$iort.$$" &&
			python3 "$VM_DIR/acpi.py" preserve "$run/vm/DSDT" "$dsdt.$$" || exit 125
		mv "$dsdt.$$" "$dsdt"
	fi
	mv "$iort.$$" "$iort"
	rm -rf "$run/vm" "$run/root"
	qemu=("${saved[@]}")
fi

qemu+=("${devices[@]}")
mkdir "$run/vm"
echo run >"$run/vm/mode"
echo "$module" >"$run/vm/module"
for arg; do
	printf "'%s' " "${arg//\'/\'\\\'\'}"
done >"$run/vm/command"
share_dir vm "$run/vm"
share_dir opt "$TOP_DIR/build/vm/$flavour" "multidevs=remap,readonly=on"
[ -z "$share" ] || share_dir share "$share"

if ((canwbs)); then
	mkdir -p "$run/acpi/kernel/firmware/acpi"
	cp "$iort" "$run/acpi/kernel/firmware/acpi/iort.aml"
	((!rmr)) || cp "$dsdt" "$run/acpi/kernel/firmware/acpi/dsdt.aml"
	(cd "$run/acpi" && find kernel | cpio -o -H newc -R 0:0 --quiet) >"$run/initrd"
else
	: >"$run/initrd"
fi
initramfs >>"$run/initrd"

# COMMAND's output has two ports of its own, apart from the console.
exec {out}> >(exec cat)
out_pid=$!
exec {err}> >(exec cat >&2)
err_pid=$!
# A warning is a panic, except if init or run-tests has to look for those that matter: then
# the log must still have them in the end. A data race anywhere in the kernel is a warning,
# and Linux up to 6.18 warns of what any VMM can do.
case $flavour in
kcsan | 6.17 | 6.18) warnings=log_buf_len=16M ;;
*) warnings=panic_on_warn=1 ;;
esac
boot -initrd "$run/initrd" \
	-append "console=ttyAMA0 panic=-1 $warnings oops=panic loglevel=6 $options" \
	-device virtio-serial-pci,bus=pcie.0 \
	-add-fd "fd=$out,set=1" -chardev file,id=out,path=/dev/fdset/1,append=on -device virtserialport,chardev=out,name=out \
	-add-fd "fd=$err,set=2" -chardev file,id=err,path=/dev/fdset/2,append=on -device virtserialport,chardev=err,name=err \
	&& qemu_rc=0 || qemu_rc=$?
exec {out}>&- {err}>&-
wait "$out_pid" "$err_pid" || true

if [ -e "$run/timeout" ]; then
	host_failed 124 "ended after $timeout seconds (--timeout)"
fi
if [ ! -s "$run/vm/status" ]; then
	why="the emulated host died before COMMAND ended"
	[ ! -s "$run/vm/failure" ] || why="in the emulated host: $(cat "$run/vm/failure")"
	((qemu_rc == 0)) || why="$why; QEMU's status is $qemu_rc"
	host_failed 125 "$why"
fi
status=$(cat "$run/vm/status")
if ((status == 0)); then
	rm -f "$console"
else
	echo "run.sh: COMMAND's status is $status; the console is in $console" >&2
fi
exit "$status"
