// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The event queue (7.2 to 7.4), and the vEVENTQs that fill it.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* An event is lost: toggle OVFLG, if the guest has acknowledged earlier losses. */
static void eventq_overflow(struct vsmmu *v)
{
	uint64_t prod = v->reg[REG_EVENTQ_PROD];

	if (!(v->reg[REG_CR0] & CR0_EVENTQEN) ||
	    ((prod ^ v->reg[REG_EVENTQ_CONS]) & QUEUE_OVFLG))
		return;
	vsmmu__reg_set(v, REG_EVENTQ_PROD, prod ^ QUEUE_OVFLG);
}

/*
 * Put an event into the queue. If there is no memory, or memory that the guest can
 * only read, the event is lost, and the library writes no other one until the guest
 * acknowledges EVENTQ_ABT_ERR (6.3.17).
 */
void vsmmu__eventq_put(struct vsmmu *v, const void *event)
{
	uint32_t mask = vsmmu__eventq_mask(v);
	uint64_t prod = v->reg[REG_EVENTQ_PROD], used;

	if (!(v->reg[REG_CR0] & CR0_EVENTQEN) ||
	    (active_errors(v) & GERROR_EVENTQ_ABT_ERR))
		return;
	used = (prod - v->reg[REG_EVENTQ_CONS]) & mask;
	if (used > mask / 2) {
		eventq_overflow(v);
		return;
	}
	if (!vsmmu__memory_write(v, queue_entry(v->reg[REG_EVENTQ_BASE], mask,
						EVENT_SIZE, prod),
				 event, EVENT_SIZE)) {
		vsmmu__raise_gerror(v, GERROR_EVENTQ_ABT_ERR);
		return;
	}
	vsmmu__reg_set(v, REG_EVENTQ_PROD, ((prod + 1) & mask) |
					   (prod & QUEUE_OVFLG));
	if (!used && (v->reg[REG_IRQ_CTRL] & IRQ_CTRL_EVENTQ))
		vsmmu__signal(v, VSMMU_IRQ_EVENTQ, REG_EVENTQ_IRQ_CFG0,
			      GERROR_MSI_EVENTQ_ABT_ERR);
}

/* A vEVENTQ's index in the list; the list's length if it is not there */
static unsigned int find_veventq(struct vsmmu *v, int fd)
{
	unsigned int i;

	for (i = 0; i < v->veventq_num; i++)
		if (v->veventq[i].fd == fd)
			break;
	return i;
}

static int add_veventq(struct vsmmu *v, int fd)
{
	int rc = vsmmu__check_fd(v, fd, VSMMU_FD_VEVENTQ,
				 VSMMU_REASON_NOT_VEVENTQ);

	if (rc)
		return rc;
	if (find_veventq(v, fd) < v->veventq_num)
		return vsmmu__refuse(v, -EEXIST, VSMMU_REASON_VEVENTQ_TWICE);
	if (v->veventq_num == ARRAY_SIZE(v->veventq))
		return vsmmu__refuse(v, -ENOSPC,
				     VSMMU_REASON_TOO_MANY_VEVENTQS);
	v->veventq[v->veventq_num++] = (struct veventq){ .fd = fd };
	return 0;
}

int vsmmu_add_veventq(struct vsmmu *v, int fd)
{
	int rc;

	vsmmu__lock_state(v);
	rc = add_veventq(v, fd);
	vsmmu__unlock_state(v);
	return rc;
}

int vsmmu_remove_veventq(struct vsmmu *v, int fd)
{
	unsigned int i;
	int rc = 0;

	vsmmu__lock_state(v);
	i = find_veventq(v, fd);
	if (i < v->veventq_num)
		v->veventq[i] = v->veventq[--v->veventq_num];
	else
		rc = vsmmu__refuse(v, -ENOENT, VSMMU_REASON_NO_VEVENTQ);
	vsmmu__unlock_state(v);
	return rc;
}

/*
 * A record of a vEVENTQ: struct iommufd_vevent_header and, unless that has
 * IOMMU_VEVENTQ_FLAG_LOST_EVENTS, struct iommu_vevent_arm_smmuv3. They are defined
 * again here, because the system's linux/iommufd.h may be too old to have them.
 */
struct vevent_header {
	uint32_t flags;
	uint32_t sequence;
};

#define VEVENT_LOST	(1U << 0)
#define VEVENT_SEQUENCE	0x7fffffffU
#define VEVENT_SIZE	(sizeof(struct vevent_header) + EVENT_SIZE)

/* The most records of a read, and the most reads from a vEVENTQ in one call */
#define READ_EVENTS	64
#define READ_TIMES	16

/* Take one record. Returns its length, or 0 if it is not complete. */
static size_t take_record(struct vsmmu *v, struct veventq *q, const char *buf,
			  size_t len)
{
	struct vevent_header header;
	bool lost;

	if (len < sizeof(header))
		return 0;
	memcpy(&header, buf, sizeof(header));
	lost = header.flags & VEVENT_LOST;
	if (!lost && len < VEVENT_SIZE)
		return 0;

	/* If records were lost between others, only the sequence shows it. */
	if (lost || (q->seen && ((header.sequence - q->sequence) &
				 VEVENT_SEQUENCE) != 1))
		eventq_overflow(v);
	q->seen = true;
	q->sequence = header.sequence;
	if (lost)
		return sizeof(header);
	vsmmu__eventq_put(v, buf + sizeof(header));
	return VEVENT_SIZE;
}

/* Returns how many records were taken, or a negative errno. */
static int veventq_drain(struct vsmmu *v, struct veventq *q)
{
	char buf[READ_EVENTS * VEVENT_SIZE];
	int times, taken = 0;
	ssize_t n, at;
	size_t len;

	for (times = 0; times < READ_TIMES; times++) {
		n = v->kernel->read(v->kernel_data, q->fd, buf, sizeof(buf));
		if (!n || n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0)
			return n;
		for (at = 0; at < n; at += len) {
			len = take_record(v, q, buf + at, n - at);
			if (!len) {
				/* The rest of the read is gone. */
				eventq_overflow(v);
				return -EPROTO;
			}
			taken++;
		}
	}
	return taken;
}

int vsmmu__drain_all(struct vsmmu *v)
{
	int taken = 0, first = 0, rc;
	unsigned int i;

	for (i = 0; i < v->veventq_num; i++) {
		rc = veventq_drain(v, &v->veventq[i]);
		if (rc >= 0)
			taken += rc;
		else if (!first)
			first = vsmmu__fail(v, &(struct vsmmu_error){
				.error = rc,
				.reason = rc == -EPROTO ?
					  VSMMU_REASON_EVENT_RECORD :
					  VSMMU_REASON_VEVENTQ_READ,
				.fd = v->veventq[i].fd,
			});
	}
	return first ? first : taken;
}

int vsmmu_poll_events(struct vsmmu *v)
{
	int rc;

	vsmmu__lock_state(v);
	rc = vsmmu__drain_all(v);
	vsmmu__unlock_state(v);
	return rc;
}

int vsmmu_inject_event(struct vsmmu *v, const uint64_t event[4])
{
	vsmmu__lock_state(v);
	vsmmu__eventq_put(v, event);
	vsmmu__unlock_state(v);
	return 0;
}
