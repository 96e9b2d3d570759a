// SPDX-License-Identifier: GPL-2.0
/*
 *	cmdq-fault
 *
 * Give the SMMU a command that it does not know, and let Linux's driver recover. The
 * driver's own queue is in memory that no program may write. So turn the queue off, let
 * it be a page of this program for a while, and then give the driver its own back. No
 * disk may be busy meanwhile, because the driver would issue commands. Linux wants the
 * option iomem=relaxed for this.
 *
 * Print what CMDQ_CONS says of the command.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#define SMMU_PAGE	0x10000
#define CR0		0x20
#define CR0ACK		0x24
#define CR0_CMDQEN	(1 << 3)
#define GERROR		0x60
#define GERRORN		0x64
#define GERROR_CMDQ	(1 << 0)
#define CMDQ_BASE	0x90
#define CMDQ_PROD	0x98
#define CMDQ_CONS	0x9c
#define CONS_INDEX	0xfffff
#define CONS_ERR(cons)	((cons) >> 24 & 0x7f)

#define CMD_SYNC	0x46
#define CMD_UNKNOWN	0xff
#define QUEUE_LOG2	4

#define TRIES		10000

struct smmu {
	volatile uint8_t *page;
	volatile uint64_t *queue;
	uint64_t queue_addr;
};

struct queue_regs {
	uint64_t base;
	uint32_t prod, cons;
};

static uint32_t get(struct smmu *s, unsigned int reg)
{
	return *(volatile uint32_t *)(s->page + reg);
}

static void set(struct smmu *s, unsigned int reg, uint32_t value)
{
	*(volatile uint32_t *)(s->page + reg) = value;
}

/* The driver's region has the device's name. */
static uint64_t smmu_address(void)
{
	char line[256], name[128];
	uint64_t address = 0;
	const char *device;
	glob_t devices;
	FILE *file;

	if (glob("/sys/bus/platform/drivers/arm-smmu-v3/*.*", 0, NULL, &devices) ||
	    devices.gl_pathc != 1)
		error(1, 0, "there is not one SMMU");
	device = strrchr(devices.gl_pathv[0], '/') + 1;
	file = fopen("/proc/iomem", "r");
	if (!file)
		error(1, errno, "/proc/iomem");
	while (fgets(line, sizeof(line), file)) {
		unsigned long long start;

		if (sscanf(line, " %llx-%*x : %127[^\n]", &start, name) == 2 &&
		    !strcmp(name, device))
			address = start;
	}
	fclose(file);
	if (!address)
		error(1, 0, "%s has no registers in /proc/iomem", device);
	return address;
}

static uint64_t physical(const void *page)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (uintptr_t)page / getpagesize() *
			    sizeof(entry)) != sizeof(entry))
		error(1, errno, "/proc/self/pagemap");
	close(fd);
	if (!(entry >> 63))
		error(1, 0, "the queue is not in memory");
	return (entry & ((1ULL << 55) - 1)) * getpagesize();
}

static void open_smmu(struct smmu *s)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	void *page;

	if (fd < 0)
		error(1, errno, "/dev/mem");
	page = mmap(NULL, SMMU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, smmu_address());
	if (page == MAP_FAILED)
		error(1, errno, "the SMMU's registers (iomem=relaxed?)");
	s->page = page;
	page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || mlock(page, getpagesize()))
		error(1, errno, "no memory");
	memset(page, 0, getpagesize());
	s->queue = page;
	s->queue_addr = physical(page);
}

/* Wait until a register has a value in some bits. */
static bool reaches(struct smmu *s, unsigned int reg, uint32_t mask, uint32_t value)
{
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if ((get(s, reg) & mask) == value)
			return true;
		usleep(1000);
	}
	return false;
}

/* Exchange the queue for another. */
static void use_queue(struct smmu *s, const struct queue_regs *regs)
{
	uint32_t cr0 = get(s, CR0);

	set(s, CR0, cr0 & ~CR0_CMDQEN);
	if (!reaches(s, CR0ACK, CR0_CMDQEN, 0))
		error(1, 0, "the queue cannot be turned off");
	*(volatile uint64_t *)(s->page + CMDQ_BASE) = regs->base;
	set(s, CMDQ_PROD, regs->prod);
	set(s, CMDQ_CONS, regs->cons);
	set(s, CR0, cr0);
	if (!reaches(s, CR0ACK, CR0_CMDQEN, CR0_CMDQEN))
		error(1, 0, "the queue cannot be turned on");
}

/*
 * The driver acknowledges each error, upon which the SMMU takes the command again. So
 * interrupts keep one CPU busy until the command is replaced: CPU 0, unless somebody
 * told them another one.
 */
static void leave_cpu0(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		error(1, errno, "there is no CPU 1");
}

/*
 * Run the command, and replace it once it has failed.
 *
 * Return: what is wrong, or NULL
 */
static const char *run_unknown(struct smmu *s, uint32_t *cons)
{
	int tries;

	s->queue[0] = CMD_UNKNOWN;
	__sync_synchronize();
	set(s, CMDQ_PROD, 1);
	*cons = get(s, CMDQ_CONS);
	for (tries = 0; tries < TRIES && !CONS_ERR(*cons); tries++) {
		usleep(1000);
		*cons = get(s, CMDQ_CONS);
	}
	s->queue[0] = CMD_SYNC;
	__sync_synchronize();
	if (!CONS_ERR(*cons))
		return "the command has not failed";
	if (!reaches(s, CMDQ_CONS, CONS_INDEX, 1))
		return "the queue is not continued";
	if ((get(s, GERROR) ^ get(s, GERRORN)) & GERROR_CMDQ)
		return "the error is still active";
	return NULL;
}

int main(void)
{
	struct queue_regs drivers, own;
	const char *wrong;
	struct smmu s;
	uint32_t cons;

	leave_cpu0();
	open_smmu(&s);
	own = (struct queue_regs){ .base = s.queue_addr | QUEUE_LOG2 };
	drivers.base = *(volatile uint64_t *)(s.page + CMDQ_BASE);
	drivers.prod = get(&s, CMDQ_PROD);
	drivers.cons = get(&s, CMDQ_CONS);
	if (drivers.prod != drivers.cons)
		error(1, 0, "the driver's queue is busy");
	use_queue(&s, &own);
	wrong = run_unknown(&s, &cons);
	use_queue(&s, &drivers);
	if (wrong)
		error(1, 0, "%s (CMDQ_CONS %#x)", wrong, get(&s, CMDQ_CONS));
	printf("index=%u error=%u\n", cons & CONS_INDEX, CONS_ERR(cons));
	return 0;
}
