// SPDX-License-Identifier: GPL-2.0
/*
 *	edu-fault IOVA
 *
 * Let QEMU's edu device (1234:11e8) write to an unmapped IOVA, and wait for the
 * kernel to log the SMMU's event. Print its StreamID.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#define EDU_BAR_SIZE	0x100000
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_START	1
#define EDU_DMA_TO_RAM	2
#define EDU_BUFFER	0x40000

#define EVENT_TRANSLATION	0x10

#define PCI_COMMAND		4
#define PCI_COMMAND_MEMORY	2
#define PCI_COMMAND_MASTER	4

static bool is_edu(const char *dir)
{
	uint16_t id[2];
	char path[256];
	bool edu;
	int fd;

	snprintf(path, sizeof(path), "%s/config", dir);
	fd = open(path, O_RDONLY);
	edu = fd >= 0 && read(fd, id, sizeof(id)) == sizeof(id) &&
	      id[0] == 0x1234 && id[1] == 0x11e8;
	close(fd);
	return edu;
}

/* Map its BAR, and enable its DMA */
static volatile uint64_t *edu_open(void)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	char path[256], *dir = NULL;
	glob_t devices;
	size_t i;
	void *bar;
	int fd;

	glob("/sys/bus/pci/devices/*", 0, NULL, &devices);
	for (i = 0; i < devices.gl_pathc && !dir; i++)
		if (is_edu(devices.gl_pathv[i]))
			dir = devices.gl_pathv[i];
	if (!dir)
		error(1, 0, "no edu device");

	snprintf(path, sizeof(path), "%s/config", dir);
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, &command, sizeof(command), PCI_COMMAND) !=
			      sizeof(command))
		error(1, errno, "%s", path);
	close(fd);

	snprintf(path, sizeof(path), "%s/resource0", dir);
	fd = open(path, O_RDWR);
	if (fd < 0)
		error(1, errno, "%s", path);
	bar = mmap(NULL, EDU_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		error(1, errno, "%s", path);
	return bar;
}

static void edu_write_ram(volatile uint64_t *bar, uint64_t iova)
{
	bar[EDU_DMA_SRC / 8] = EDU_BUFFER;
	bar[EDU_DMA_DST / 8] = iova;
	bar[EDU_DMA_COUNT / 8] = 4;
	bar[EDU_DMA_CMD / 8] = EDU_DMA_START | EDU_DMA_TO_RAM;
	while (bar[EDU_DMA_CMD / 8] & EDU_DMA_START)
		usleep(10000);
}

/* Open the kernel log, and skip the records that it has. Each read returns one record. */
static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		error(1, errno, "/dev/kmsg");
	return fd;
}

struct event {
	unsigned int type;
	unsigned int sid;
	uint64_t iova;
	unsigned int words;	/* of an older kernel: how many have been seen */
};

/*
 * Read from one record of the log. Linux 6.14 and later names the fields. Earlier
 * ones log "event 0x10 received:" and then four 64-bit words, each in a record of
 * its own.
 *
 * Return: whether this completes an event
 */
static bool event_parse(const char *record, struct event *e)
{
	const char *named = strstr(record, "event: F_TRANSLATION ");
	const char *sid = named ? strstr(named, " sid: ") : NULL;
	const char *iova = named ? strstr(named, " iova: ") : NULL;
	/* /dev/kmsg writes a tab so. */
	const char *hex = strstr(record, ": \\x090x");
	uint64_t word;

	if (sid && iova) {
		e->type = EVENT_TRANSLATION;
		e->sid = strtoul(sid + 6, NULL, 16);
		e->iova = strtoull(iova + 7, NULL, 16);
		return true;
	}
	if (strstr(record, " received:")) {
		e->words = 0;
		return false;
	}
	if (e->words == 4 || !hex || !strstr(record, "arm-smmu-v3 "))
		return false;
	word = strtoull(hex + 6, NULL, 16);
	switch (e->words++) {
	case 0:
		e->type = word & 0xff;
		e->sid = word >> 32;
		break;
	case 2:
		e->iova = word;
		break;
	}
	return e->words == 4;
}

/* Look for a translation fault at @iova among the new records. */
static bool kmsg_has(int fd, uint64_t iova, struct event *e)
{
	char record[8192];
	ssize_t len;

	while ((len = read(fd, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		/* What follows a record's line belongs to it. */
		record[strcspn(record, "\n")] = '\0';
		if (event_parse(record, e) && e->type == EVENT_TRANSLATION && e->iova == iova)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct event e = { .words = 4 };
	uint64_t iova;
	int kmsg, tries;

	if (argc != 2)
		error(2, 0, "usage: edu-fault IOVA");
	iova = strtoull(argv[1], NULL, 0);
	kmsg = kmsg_open();
	edu_write_ram(edu_open(), iova);
	for (tries = 0; tries < 100; tries++) {
		if (kmsg_has(kmsg, iova, &e)) {
			printf("event=F_TRANSLATION iova=%#llx sid=%#x\n",
			       (unsigned long long)iova, e.sid);
			return 0;
		}
		usleep(50000);
	}
	error(1, 0, "no F_TRANSLATION at %#llx was logged", (unsigned long long)iova);
}
