// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Message-signaled interrupts (3.18): writes to the guest's memory, or for the VMM's
 * interrupt controller.
 */
#include "internal.h"

static bool is_sync(const struct msi *msi)
{
	return msi->error == GERROR_MSI_CMDQ_ABT_ERR;
}

static struct msi *pending_msi(struct vsmmu *v, uint32_t i)
{
	return &v->msis[(v->msi_first + i) % v->msi_max];
}

/*
 * Find a pending MSI that @msi can be merged with. MSIs are edges: of CMD_SYNCs, two in a
 * row that are the same are one. Each other source has one that is pending, for the
 * address and data that its registers had last.
 */
static struct msi *find_same(struct vsmmu *v, const struct msi *msi)
{
	struct msi *last;
	uint32_t i;

	if (!v->msi_num)
		return NULL;
	last = pending_msi(v, v->msi_num - 1);
	if (is_sync(msi))
		return is_sync(last) && last->address == msi->address &&
		       last->data == msi->data ? last : NULL;
	for (i = 0; i < v->msi_num; i++)
		if (pending_msi(v, i)->error == msi->error)
			return pending_msi(v, i);
	return NULL;
}

/*
 * Leave an MSI to the VMM, which gets it when the lock is free. There is room: see
 * vsmmu__msi_room().
 */
static void queue_msi(struct vsmmu *v, const struct msi *msi)
{
	struct msi *same = find_same(v, msi);

	if (same)
		*same = *msi;
	else
		*pending_msi(v, v->msi_num++) = *msi;
	v->due |= DUE_MSIS;
}

/* Take the oldest MSI. */
struct msi vsmmu__take_msi(struct vsmmu *v)
{
	struct msi msi = *pending_msi(v, 0);

	v->msi_first = (v->msi_first + 1) % v->msi_max;
	v->msi_num--;
	v->msi_taken++;
	return msi;
}

/*
 * How many commands can be run now, so that there is room for the MSI of each. Those that
 * a caller has passed to the VMM count until it is done, so it comes to an end.
 */
uint32_t vsmmu__msi_room(struct vsmmu *v)
{
	uint32_t used = v->msi_num + v->msi_taken + OTHER_MSIS;
	uint32_t room = v->msi_max > used ? v->msi_max - used : 0;

	return !v->msi || room > v->max_batch ? v->max_batch : room;
}

/* Write an MSI, or leave it to the VMM. Returns false if neither takes the address. */
static bool pass_msi(struct vsmmu *v, const struct msi *msi)
{
	if (vsmmu__memory_write32(v, msi->address, msi->data))
		return true;
	if (v->msi)
		queue_msi(v, msi);
	return v->msi;
}

/*
 * Send an MSI, after the registers show what it is about. If the address is neither
 * memory that the guest can write nor left to the VMM, the write aborts: the MSI's error
 * of SMMU_GERROR becomes active.
 */
void vsmmu__send_msi(struct vsmmu *v, const struct msi *msi)
{
	if (!pass_msi(v, msi) && !(active_errors(v) & msi->error))
		vsmmu__raise_gerror(v, msi->error);
}

static struct msi source_msi(struct vsmmu *v, enum reg_id cfg0, uint32_t error)
{
	return (struct msi){
		.address = v->reg[cfg0],
		.data = v->reg[cfg0 + 1],
		.error = error,
	};
}

/*
 * Signal an interrupt source that has registers for its MSI: the line, and the MSI
 * unless its address is 0. SMMU_*_IRQ_CFG1 follows SMMU_*_IRQ_CFG0, @cfg0.
 */
void vsmmu__signal(struct vsmmu *v, enum vsmmu_irq line, enum reg_id cfg0,
		   uint32_t error)
{
	const struct msi msi = source_msi(v, cfg0, error);

	vsmmu__raise_irq(v, line);
	if (msi.address)
		vsmmu__send_msi(v, &msi);
}

/* The same for what the guest was told before. An abort is no error that it has made. */
void vsmmu__signal_again(struct vsmmu *v, enum vsmmu_irq line, enum reg_id cfg0,
			 uint32_t error)
{
	const struct msi msi = source_msi(v, cfg0, error);

	vsmmu__raise_irq(v, line);
	if (msi.address)
		pass_msi(v, &msi);
}
