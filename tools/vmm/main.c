// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm.h"

struct config config = {
	.append = "",
	.mem = MIB(512),
	.cpus = 1,
};

/* Options */

static void usage(FILE *out)
{
	fputs("usage: vmm --kernel IMAGE [options]\n"
	      "       vmm --monitor PATH --send COMMAND\n"
	      "\n"
	      "  --kernel IMAGE        an arm64 Image, also compressed by gzip or as EFI zboot\n"
	      "  --initrd FILE         an initramfs\n"
	      "  --append TEXT         the kernel's command line\n"
	      "  --mem SIZE            RAM, with suffix K, M or G (512M)\n"
	      "  --cpus N              vCPUs, 1 to 16 (1)\n"
	      "  --vsmmu [OPTIONS]     a virtual SMMUv3; may be repeated. Comma-separated:\n"
	      "                        id=N   its number, 0 to 2 (the next one)\n"
	      "                        ril=off  do not offer range invalidation\n"
	      "                        msi=on   offer MSIs; the guest's driver can wait for a\n"
	      "                                 CMD_SYNC in memory\n"
	      "                        poll   take doorbells from memory while there are many;\n"
	      "                                 for one vSMMU\n"
	      "                        no-global  the guest maps nothing global for DMA, as\n"
	      "                                 Linux; any other guest may see stale mappings\n"
	      "                        trap   loads of registers exit, too, for comparisons\n"
	      "  --device BDF[,vsmmu=N|none][,slot=S]\n"
	      "                        pass a PCI function through, bound to vfio-pci, behind\n"
	      "                        the first vSMMU if there is any. Slots 8 to 15 are those\n"
	      "                        of vSMMU 0, 16 to 23 of 1, 24 to 31 of 2, 0 to 7 are\n"
	      "                        behind none; may be repeated\n"
	      "  --monitor PATH        take commands on a unix socket: help, plug, unplug,\n"
	      "                        powerdown, reset, stats, quit\n"
	      "  --send COMMAND        send it to a VMM that runs, print the answer\n"
	      "  --stats FILE          counters as JSON, at exit\n"
	      "  --help\n", out);
}

static uint64_t parse_number(const char *option, const char *text,
			     const char *suffixes, uint64_t max)
{
	uint64_t value;

	if (!number_parse(text, suffixes, max, &value) || !value)
		die("--%s: '%s' is no number from 1 to %llu", option, text,
		    (unsigned long long)max);
	return value;
}

static const char *devices[PCI_SLOTS], *monitor, *send;
static unsigned int device_num;

enum { KERNEL, INITRD, APPEND, MEM, CPUS, VSMMU, DEVICE, MONITOR, SEND, STATS, HELP };
static const struct option options[] = {
	{ "kernel", required_argument, NULL, KERNEL },
	{ "initrd", required_argument, NULL, INITRD },
	{ "append", required_argument, NULL, APPEND },
	{ "mem", required_argument, NULL, MEM },
	{ "cpus", required_argument, NULL, CPUS },
	{ "vsmmu", optional_argument, NULL, VSMMU },
	{ "device", required_argument, NULL, DEVICE },
	{ "monitor", required_argument, NULL, MONITOR },
	{ "send", required_argument, NULL, SEND },
	{ "stats", required_argument, NULL, STATS },
	{ "help", no_argument, NULL, HELP },
	{}
};

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case KERNEL:
			config.kernel = optarg;
			break;
		case INITRD:
			config.initrd = optarg;
			break;
		case APPEND:
			config.append = optarg;
			break;
		case MEM:
			config.mem = ALIGN_UP(parse_number("mem", optarg, "KMG", RAM_MAX), MIB(2));
			break;
		case CPUS:
			config.cpus = parse_number("cpus", optarg, "", CPUS_MAX);
			break;
		case VSMMU:
			/* "--vsmmu OPTIONS" and "--vsmmu=OPTIONS" are the same. */
			if (!optarg && optind < argc && argv[optind][0] != '-')
				optarg = argv[optind++];
			if (smmu_option(optarg ? optarg : ""))
				die("--vsmmu: %s", failure());
			break;
		case DEVICE:
			if (device_num == PCI_SLOTS)
				die("--device: no more than %u", PCI_SLOTS);
			devices[device_num++] = optarg;
			break;
		case MONITOR:
			monitor = optarg;
			break;
		case SEND:
			send = optarg;
			break;
		case STATS:
			config.stats = optarg;
			break;
		case HELP:
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc)
		die("'%s' is no option", argv[optind]);
	if (send && !monitor)
		die("--send wants --monitor");
	if (!config.kernel && !send)
		die("--kernel is missing; --help says what there is");
}

/* Add the devices before the vSMMUs start: they decide what the guest is offered. */
static void add_devices(void)
{
	int slot[PCI_SLOTS];
	unsigned int i;

	for (i = 0; i < device_num; i++) {
		slot[i] = pci_add(devices[i]);
		if (slot[i] < 0)
			die("--device: %s", failure());
	}
	smmu_start();
	for (i = 0; i < device_num; i++)
		if (pci_connect(slot[i]))
			die("--device: %s", failure());
}

static void write_stats(void)
{
	/* O_NONBLOCK: waiting for a FIFO's reader would keep the devices open. */
	int fd = open(config.stats, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (!out)
		die("%s: %s", config.stats, strerror(errno));
	stats_print(out);
	if (fclose(out))
		die("%s: %s", config.stats, strerror(errno));
}

static void end(int sig)
{
	(void)sig;
	vm_request(VM_STOP);
}

int main(int argc, char **argv)
{
	uint64_t entry, dtb;

	signal(SIGPIPE, SIG_IGN);
	/* Reading the terminal from the background must not stop the VMM. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	parse_options(argc, argv);
	if (send)
		return monitor_send(monitor, send);
	output_start(STDOUT_FILENO, STDERR_FILENO);
	event_init();
	boot_alloc_ram();
	iommu_init();
	vm_create();
	smmu_create();
	add_devices();
	uart_init();
	if (monitor)
		monitor_init(monitor);
	for (;;) {
		smmu_vm_create();
		boot_load(&entry, &dtb);
		vm_start(entry, dtb);
		signal(SIGINT, end);
		signal(SIGTERM, end);
		event_serve();
		vm_interrupt();
		/*
		 * A reset ends the run of a queue. Without it, vm_stop() would
		 * wait for the queue's end.
		 */
		smmu_reset();
		vm_stop();
		poll_stop();
		if (!vm_begin_reset())
			break;
		pci_reset();
		smmu_reset();
		uart_reset();
		vm_destroy();
		vm_create();
	}
	if (config.stats)
		write_stats();
	output_flush();
	return vm_requested() == VM_CRASH;
}
