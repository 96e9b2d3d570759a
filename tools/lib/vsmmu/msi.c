// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Message-signaled interrupts (3.18): writes to the guest's memory, or for the VMM's
 * interrupt controller.
 */
#include "internal.h"

/*
 * Leave an MSI to the VMM, which gets it when the lock is free. An MSI is an edge, so
 * the same one twice in a row is one. There is room for those of a batch: the lock
 * becomes free after each.
 */
static void queue_msi(struct vsmmu *v, const struct msi *msi)
{
	const struct msi *last = v->msi_num ? &v->msis[v->msi_num - 1] : NULL;

	if (v->msi_num == v->msi_max || (last && last->address == msi->address &&
					 last->data == msi->data))
		return;
	v->msis[v->msi_num++] = *msi;
}

/*
 * Send an MSI, after the registers show what it is about. If the address is neither
 * memory that the guest can write nor left to the VMM, the write aborts: @error of
 * SMMU_GERROR becomes active.
 */
void vsmmu__send_msi(struct vsmmu *v, const struct msi *msi, uint64_t error)
{
	if (vsmmu__memory_write32(v, msi->address, msi->data))
		return;
	if (v->msi)
		queue_msi(v, msi);
	else if (!(active_errors(v) & error))
		vsmmu__raise_gerror(v, error);
}

/*
 * Signal an interrupt source that has registers for its MSI: the line, and the MSI
 * unless its address is 0. SMMU_*_IRQ_CFG1 follows SMMU_*_IRQ_CFG0, @cfg0.
 */
void vsmmu__signal(struct vsmmu *v, enum vsmmu_irq line, enum reg_id cfg0,
		   uint64_t error)
{
	const struct msi msi = {
		.address = v->reg[cfg0],
		.data = v->reg[cfg0 + 1],
	};

	vsmmu__raise_irq(v, line);
	if (msi.address)
		vsmmu__send_msi(v, &msi, error);
}
