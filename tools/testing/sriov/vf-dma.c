// SPDX-License-Identifier: GPL-2.0
/*
 * vf-dma isolated VF VF       DMA of two functions obeys two stage 1s
 * vf-dma removed VF CONTROL   the host removes a function that is attached
 *
 * In the emulated host, for sriov.sh. VF: the PCI address of a virtual function of an
 * Intel 82576, bound to vfio-pci; its physical function has the driver igb and is up.
 * CONTROL: a file to which a 0 is written to remove it. Status 0 if all is right, else 1
 * after a line that says what is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <linux/vfio.h>

#include "guest.h"

#define PAGE		4096
#define IOVA		0x10000000ULL
#define VSID(i)		(8 + (i))
#define ASID(i)		(1 + (i))
#define WAIT_MS		20000

/* Registers of a virtual function: indexes of 32-bit words */
enum {
	REG_MEMORY = 0x800 / 4,
	REG_MAILBOX = 0xc40 / 4,
	REG_TX_BASE_LO = 0x3800 / 4,
	REG_TX_BASE_HI = 0x3804 / 4,
	REG_TX_LEN = 0x3808 / 4,
	REG_TX_HEAD = 0x3810 / 4,
	REG_TX_TAIL = 0x3818 / 4,
	REG_TX_CONTROL = 0x3828 / 4,
};

#define MAILBOX_REQ	0x01U
#define MAILBOX_ACK	0x02U
#define MAILBOX_VFU	0x04U	/* this function owns the memory */
#define MAILBOX_PFSTS	0x10U	/* a message of the physical function */
#define MSG_RESET	1U
#define MSG_ANSWERED	0xc0000000U	/* yes, or no: it has given no MAC address */
#define TX_ENABLE	(1U << 25)

/* A frame to send. The function writes status into it. */
struct descriptor {
	__u64 address;
	__u32 command;
	__u32 status;
};

#define DESCRIPTORS	8
#define FRAME_LEN	64
#define FRAME_OFFSET	2048	/* in the page of the ring */
/* End of frame, insert a checksum, report status, an advanced data descriptor */
#define COMMAND_SEND	(0x2b300000U | FRAME_LEN)
#define STATUS_DONE	1U

struct function {
	struct dma_dev dev;
	struct pgtable pt;
	__u64 gpa;	/* of the ring's page, which has the IOVA IOVA */
	unsigned int tail;
};

static struct guest guest;
static struct function function[2];

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static void need(int rc, const char *what)
{
	if (rc)
		fail("%s: %s", what, strerror(-rc));
}

/* Store @set, unless it is 0, until a load has one of @bits. */
static void mailbox_wait(volatile __u32 *bar, __u32 set, __u32 bits)
{
	const struct timespec wait = { .tv_nsec = 1000000 };
	int tries;

	for (tries = 0; tries < WAIT_MS; tries++) {
		if (set)
			bar[REG_MAILBOX] = set;
		if (bar[REG_MAILBOX] & bits)
			return;
		nanosleep(&wait, NULL);
	}
	fail("the physical function does not answer: %#x", bar[REG_MAILBOX]);
}

/* Ask the physical function to let this one send. */
static void mailbox_reset(volatile __u32 *bar)
{
	__u32 answer;

	mailbox_wait(bar, MAILBOX_VFU, MAILBOX_VFU);
	bar[REG_MEMORY] = MSG_RESET;
	bar[REG_MAILBOX] = MAILBOX_REQ;
	mailbox_wait(bar, 0, MAILBOX_PFSTS);
	mailbox_wait(bar, MAILBOX_VFU, MAILBOX_VFU);
	answer = bar[REG_MEMORY];
	bar[REG_MAILBOX] = MAILBOX_ACK;
	if ((answer & ~MSG_ANSWERED) != MSG_RESET || !(answer & MSG_ANSWERED))
		fail("the physical function's answer is %#x", answer);
}

static void ring_start(struct function *f)
{
	volatile __u32 *bar = f->dev.bar;

	mailbox_reset(bar);
	bar[REG_TX_CONTROL] = 0;
	bar[REG_TX_BASE_LO] = (__u32)IOVA;
	bar[REG_TX_BASE_HI] = IOVA >> 32;
	bar[REG_TX_LEN] = DESCRIPTORS * sizeof(struct descriptor);
	bar[REG_TX_HEAD] = 0;
	bar[REG_TX_TAIL] = 0;
	bar[REG_TX_CONTROL] = TX_ENABLE;
}

static void stage_1(int i)
{
	struct function *f = &function[i];
	__u32 reason;
	__u64 ste[8];

	ste_s1(ste, cd_new(&guest, &f->pt, ASID(i)));
	need(accel_install(&guest, VSID(i), ste, &reason), "install");
}

static void open_function(int i, const char *bdf)
{
	struct function *f = &function[i];

	snprintf(f->dev.bdf, sizeof(f->dev.bdf), "%.15s", bdf);
	f->dev.fd = dma_open_cdev(bdf);
	need(f->dev.fd < 0 ? f->dev.fd : 0, "open");
	need(dma_bind(&f->dev, guest.iommufd), "bind");
	need(accel_attach(&guest, f->dev.fd, VSID(i), NULL), "attach");
	need(dma_start(&f->dev), "start");
	pgtable_init(&f->pt, &guest, GRANULE_4K);
	f->gpa = guest_alloc(&guest, PAGE);
	pgtable_map(&f->pt, IOVA, f->gpa, PTE_NOT_GLOBAL);
	stage_1(i);
	ring_start(f);
}

/*
 * Let function @i send a frame, and see what that changes in memory. It has done that
 * when the store to its register ends.
 *
 * Return: whether it read the descriptor and wrote its status
 */
static bool sends(int i)
{
	struct function *f = &function[i];
	char *page = guest_ptr(&guest, f->gpa), *other = guest_ptr(&guest, function[!i].gpa);
	struct descriptor *d = (struct descriptor *)page + f->tail;
	char before[PAGE], before_other[PAGE];
	unsigned int head = f->tail;

	*d = (struct descriptor){
		.address = IOVA + FRAME_OFFSET,
		.command = COMMAND_SEND,
		.status = FRAME_LEN << 14,
	};
	memset(page + FRAME_OFFSET, 0xff, FRAME_LEN);
	memcpy(before, page, PAGE);
	if (function[!i].gpa)
		memcpy(before_other, other, PAGE);
	f->tail = (f->tail + 1) % DESCRIPTORS;
	f->dev.bar[REG_TX_TAIL] = f->tail;
	if (f->dev.bar[REG_TX_HEAD] != f->tail)
		fail("%s sends nothing: its head is %u of %u", f->dev.bdf,
		     f->dev.bar[REG_TX_HEAD], f->tail);
	if (function[!i].gpa && memcmp(before_other, other, PAGE))
		fail("%s has written into the page of %s", f->dev.bdf, function[!i].dev.bdf);
	if (!memcmp(before, page, PAGE))
		return false;
	if (!(d->status & STATUS_DONE))
		fail("%s has written %#x as status", f->dev.bdf, d->status);
	memcpy(before + head * sizeof(*d), d, sizeof(*d));
	if (memcmp(before, page, PAGE))
		fail("%s has written more than its status", f->dev.bdf);
	return true;
}

static void expect(int i, bool sent, const char *when)
{
	if (sends(i) != sent)
		fail("%s, %s: %s", function[i].dev.bdf, when, sent ? "no DMA" : "DMA");
}

static void invalidate(struct cmd cmd)
{
	struct cmd cmds[] = { cmd, cmd_sync() };
	struct smmuv3_accel_invalidate out;

	need(accel_invalidate(&guest, cmds, ARRAY_LEN(cmds), &out), "invalidate");
}

/* The IOVA is the same in both stage 1s. What is done to one does nothing to the other. */
static void isolated(char *bdf[2])
{
	__u64 abort[8];
	int i;

	ste_config(abort, STE_CFG_ABORT);
	for (i = 0; i < 2; i++)
		open_function(i, bdf[i]);
	for (i = 0; i < 2; i++) {
		expect(i, true, "both mapped");

		pgtable_unmap(&function[i].pt, IOVA);
		expect(i, true, "unmapped, not invalidated");
		invalidate(cmd_tlbi_va(ASID(i), IOVA, true));
		expect(i, false, "unmapped");
		expect(!i, true, "the other is unmapped");

		pgtable_map(&function[i].pt, IOVA, function[i].gpa, PTE_NOT_GLOBAL);
		need(accel_install(&guest, VSID(i), abort, NULL), "install");
		expect(i, false, "its STE says abort");
		expect(!i, true, "the other STE says abort");

		stage_1(i);
		expect(i, true, "mapped again");
	}
	need(accel_detach(&guest, VSID(0), NULL), "detach");
	expect(0, false, "detached");
	expect(1, true, "the other is detached");
}

static int request_fd(struct dma_dev *dev)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	if (arg.fd < 0 || ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &arg))
		fail("no eventfd for requests: %s", strerror(errno));
	return arg.fd;
}

/* The host asks for the device, and waits until it is detached and closed. */
static void removed(const char *bdf, const char *control)
{
	struct dma_dev *dev = &function[0].dev;
	struct pollfd request = { .events = POLLIN };
	struct smmuv3_accel_stream stream;
	int status, rc;
	pid_t child;

	open_function(0, bdf);
	expect(0, true, "before removal");
	request.fd = request_fd(dev);
	child = fork();
	if (!child) {
		/* Another program, because only the parent may hold the device. */
		execl("/bin/sh", "sh", "-c", "echo 0 >$0", control, NULL);
		_exit(127);
	}
	if (poll(&request, 1, WAIT_MS) != 1)
		fail("the host does not ask for %s", bdf);
	if (waitpid(child, &status, WNOHANG))
		fail("the host has removed %s, which is attached", bdf);
	need(accel_stream(&guest, VSID(0), &stream), "GET_STREAM of the attached function");
	need(accel_detach(&guest, VSID(0), NULL), "detach");
	dma_close(dev);
	if (waitpid(child, &status, 0) != child || status)
		fail("%s: status %#x", control, status);
	rc = dma_open_cdev(bdf);
	if (rc != -ENOENT)
		fail("%s is still there: %s", bdf, rc < 0 ? strerror(-rc) : "opened");
	rc = accel_stream(&guest, VSID(0), &stream);
	if (rc != -ENOENT)
		fail("the stream is still there: %s", strerror(-rc));
}

int main(int argc, char *argv[])
{
	if (argc != 4)
		fail("usage: vf-dma isolated VF VF | removed VF CONTROL");
	alarm(WAIT_MS / 1000 * 3);
	need(guest_open(&guest), "no virtual SMMU");
	if (!strcmp(argv[1], "isolated"))
		isolated(argv + 2);
	else
		removed(argv[2], argv[3]);
	guest_close(&guest);
	return 0;
}
