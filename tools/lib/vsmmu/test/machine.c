// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct machine *m = opaque;

	m->irqs[line]++;
}

static void on_cmd_error(void *opaque, const struct vsmmu_cmd_error *error)
{
	struct machine *m = opaque;

	m->cmd_error = *error;
	m->cmd_errors++;
}

__u32 get(struct machine *m, __u32 offset)
{
	return *(volatile __u32 *)((char *)vsmmu_page(m->v, 0) + offset);
}

static void on_feed(void *opaque, const struct vsmmu_cmd *cmds, __u32 num,
		    bool flush)
{
	struct machine *m = opaque;
	__u32 i;

	m->flushes += flush;
	m->late |= num && get(m, REG_CMDQ_CONS) == m->ring.prod;
	for (i = 0; i < num; i++)
		m->fed[m->fed_num++ % ARRAY_LEN(m->fed)] = cmds[i];
}

/* The VMM */

static int attach_all(struct machine *m)
{
	struct smmuv3_accel_attach info;
	__u32 id, phys[DEVICES];
	int i, rc;

	for (i = 0; i < m->devices; i++) {
		rc = vsmmu_attach(m->v, m->dev[i].fd, VSID + i, 0, m->parent[i], &info);
		if (rc)
			return rc;
		phys[i] = info.out_phys;
		if (i && phys[i] == phys[0])
			return -EXDEV;
		m->queue[i] = veventq_open(m->g.iommufd, info.out_viommu_id, &id);
		if (m->queue[i] < 0)
			return m->queue[i];
		rc = vsmmu_add_veventq(m->v, m->queue[i]);
		if (rc)
			return rc;
	}
	return 0;
}

int make_vsmmu(struct machine *m, __u32 flags, int accel_fd)
{
	const struct vsmmu_region ram = {
		.gpa = GUEST_BASE,
		.size = GUEST_SIZE,
		.uaddr = (__u64)(unsigned long)m->g.ram,
	};
	struct vsmmu_config config = VSMMU_CONFIG_INIT;

	config.accel_fd = accel_fd;
	config.iommufd = m->g.iommufd;
	config.ioas_id = m->parent[0] ? 0 : m->g.ioas_id;
	config.region_num = 1;
	config.regions = &ram;
	config.flags = VSMMU_CONFIG_CLEAN | flags;
	config.raise = on_irq;
	config.feed = on_feed;
	config.cmd_error = on_cmd_error;
	config.opaque = m;
	return vsmmu_new(&config, &m->v, NULL);
}

int open_vsmmu(struct machine *m)
{
	int i, rc;

	rc = make_vsmmu(m, 0, -1);
	for (i = 0; !rc && i < m->devices; i++)
		rc = vsmmu_probe(m->v, m->dev[i].fd, m->parent[i]);
	if (!rc)
		rc = vsmmu_start(m->v, &m->options);
	return rc ? rc : attach_all(m);
}

void close_vsmmu(struct machine *m)
{
	int i;

	for (i = 0; i < m->devices; i++)
		if (m->queue[i] > 0)
			close(m->queue[i]);
	vsmmu_free(m->v);
	m->v = NULL;
}

/* The guest's driver. It reads registers as the guest does: from the page. */

int put(struct machine *m, __u32 offset, __u32 value)
{
	return vsmmu_write(m->v, offset, value, 4);
}

int put64(struct machine *m, __u32 offset, __u64 value)
{
	return vsmmu_write(m->v, offset, value, 8);
}

/* Write CR0 and wait for it as a driver does */
int enable(struct machine *m, __u32 bits)
{
	int rc = put(m, REG_CR0, bits);

	return rc ? rc : get(m, REG_CR0ACK) == bits ? 0 : -ETIMEDOUT;
}

int driver_start(struct machine *m)
{
	if (put64(m, REG_STRTAB_BASE, m->strtab.base) ||
	    put(m, REG_STRTAB_BASE_CFG, m->strtab.base_cfg) ||
	    put64(m, REG_CMDQ_BASE, m->ring.base | m->ring.log2size) ||
	    put(m, REG_CMDQ_PROD, m->ring.prod) ||
	    put(m, REG_CMDQ_CONS, m->ring.prod) ||
	    put64(m, REG_EVENTQ_BASE, m->eventq | EVENTQ_BITS) ||
	    put(m, REG_EVENTQ_PROD, 0) || put(m, REG_EVENTQ_CONS, 0) ||
	    put(m, REG_CR2, 2) || put(m, REG_IRQ_CTRL, 5))
		return -EIO;
	return enable(m, CR0_CMDQEN | EVENTQEN | CR0_SMMUEN);
}

/* Queue a command and a CMD_SYNC, ring, and see that they are consumed. */
int send(struct machine *m, struct cmd c)
{
	int rc;

	ring_put(&m->ring, c);
	ring_put(&m->ring, cmd_sync_irq());
	rc = vsmmu_doorbell(m->v, m->ring.prod);
	if (rc)
		return rc;
	return get(m, REG_CMDQ_CONS) == m->ring.prod ? 0 : -ETIMEDOUT;
}

int set_ste(struct machine *m, __u32 vsid, const __u64 ste[8])
{
	strtab_write(&m->strtab, vsid, ste);
	return send(m, cmd_cfgi_ste(vsid, true));
}

/* In which page a write to @iova lands; a negative errno if in none */
int dma_goes(struct machine *m, int device, __u64 iova)
{
	int i, rc, landed = -ENOENT;

	for (i = 0; i < 2; i++)
		*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) = 0;
	rc = testdev_write(&m->dev[device], iova);
	for (i = 0; !rc && i < 2; i++)
		if (*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) ==
		    TESTDEV_PATTERN)
			landed = i;
	return rc ? rc : landed;
}

/* An interrupt thread of the host delivers events: wait for @prod. */
bool events_until(struct machine *m, __u32 prod)
{
	int i;

	for (i = 0; i < 500 && get(m, REG_EVENTQ_PROD) != prod; i++) {
		if (vsmmu_poll_events(m->v) < 0)
			return false;
		usleep(10000);
	}
	return get(m, REG_EVENTQ_PROD) == prod;
}

const __u64 *event_at(struct machine *m, int i)
{
	return (const __u64 *)guest_ptr(&m->g, m->eventq) + 4 * i;
}
