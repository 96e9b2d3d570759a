// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * ID registers: what can be offered to a guest on given physical SMMUs.
 */
#include <errno.h>
#include <string.h>

#include "arch.h"
#include "vsmmu.h"

#define ALL_OPTIONS	(VSMMU_OPT_NO_RIL | VSMMU_OPT_ATS | VSMMU_OPT_LINEAR | \
			 VSMMU_OPT_RESET_ABORT | VSMMU_OPT_IDR | VSMMU_OPT_MSI)

/* SMMU_IDR5.OAS for a number of address bits; -EINVAL if there is none */
static int oas_of_bits(unsigned int bits)
{
	static const uint8_t oas[] = { 32, 36, 40, 42, 44, 48, 52 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(oas); i++)
		if (oas[i] == bits)
			return i;
	return -EINVAL;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

/* Lower a field to @limit if it is above */
static void limit_field(uint32_t *reg, uint64_t mask, uint32_t limit)
{
	if (FIELD_GET(mask, *reg) > limit)
		*reg = (*reg & ~mask) | FIELD_PREP(mask, limit);
}

/* Reduce @idr to what a physical SMMU has as well; -EOPNOTSUPP if nothing is left */
static int meet(uint32_t idr[6], const uint32_t host[6])
{
	uint32_t endian = host[0] & IDR0_TTENDIAN;

	idr[0] &= host[0] | ~(IDR0_TTF | IDR0_ATS | IDR0_ASID16 | IDR0_CD2L);
	/* TERM_MODEL 1, no RAZ/WI for terminated transactions, wins: every SMMU can do it. */
	idr[0] |= host[0] & IDR0_TERM_MODEL;
	if (FIELD_GET(IDR0_TTENDIAN, endian) != TTENDIAN_MIXED) {
		if (FIELD_GET(IDR0_TTENDIAN, idr[0]) != TTENDIAN_MIXED &&
		    (idr[0] & IDR0_TTENDIAN) != endian)
			return -EOPNOTSUPP;
		idr[0] |= endian;
	}
	limit_field(&idr[1], IDR1_SIDSIZE, FIELD_GET(IDR1_SIDSIZE, host[1]));
	limit_field(&idr[1], IDR1_SSIDSIZE, FIELD_GET(IDR1_SSIDSIZE, host[1]));
	idr[3] &= host[3] | ~(IDR3_HAD | IDR3_RIL);
	limit_field(&idr[3], IDR3_BBML, FIELD_GET(IDR3_BBML, host[3]));
	idr[5] &= host[5] | ~IDR5_GRAN;
	limit_field(&idr[5], IDR5_VAX, FIELD_GET(IDR5_VAX, host[5]));
	limit_field(&idr[5], IDR5_OAS, FIELD_GET(IDR5_OAS, host[5]));
	if (!(idr[0] & IDR0_TTF) || !(idr[5] & IDR5_GRAN))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Offer what some version of the architecture can have (2.9): all features that it
 * makes mandatory, and any of the next version. SMMUv3.1 has HAD, and may have range
 * invalidation and BBML of SMMUv3.2. Without HAD it is SMMUv3.0, which knows none of
 * them, nor 52 bits. No version before SMMUv3.3 may have DS, and later ones have more
 * than the module offers. So only 64K pages have 52 bits.
 */
static void agree(uint32_t idr[6])
{
	bool had = idr[3] & IDR3_HAD;

	if (!had)
		idr[3] &= ~(IDR3_RIL | IDR3_BBML);
	if (!had || !(idr[5] & IDR5_GRAN64K)) {
		limit_field(&idr[5], IDR5_OAS, OAS_48);
		limit_field(&idr[5], IDR5_VAX, VAX_48);
	}
}

int vsmmu_compute_idr(const struct smmuv3_accel_phys *phys, uint32_t num,
		      const struct vsmmu_options *options, uint32_t idr[6])
{
	int oas = oas_of_bits(or_default(options->oas, 52));
	uint32_t i;
	int rc;

	if ((options->flags & ~ALL_OPTIONS) || oas < 0 ||
	    options->sid_bits > SIDSIZE_MAX ||
	    options->ssid_bits > SSIDSIZE_MAX ||
	    options->cmdq_bits > QUEUE_BITS_MAX ||
	    options->eventq_bits > QUEUE_BITS_MAX)
		return -EINVAL;
	if (options->flags & VSMMU_OPT_IDR) {
		memcpy(idr, options->idr, sizeof(options->idr));
		return 0;
	}
	if (!num)
		return -ENODEV;

	/* All that SMMUV3_ACCEL_SET_IDR takes and the VMM wants */
	idr[0] = IDR0_S1P | IDR0_COHACC | IDR0_ASID16 | IDR0_CD2L |
		 FIELD_PREP(IDR0_TTF, TTF_AARCH64) |
		 FIELD_PREP(IDR0_STALL_MODEL, STALL_MODEL_TERMINATE);
	if (options->flags & VSMMU_OPT_ATS)
		idr[0] |= IDR0_ATS;
	if (options->flags & VSMMU_OPT_MSI)
		idr[0] |= IDR0_MSI;
	if (!(options->flags & VSMMU_OPT_LINEAR))
		idr[0] |= FIELD_PREP(IDR0_ST_LEVEL, 1);
	idr[1] = FIELD_PREP(IDR1_SIDSIZE, or_default(options->sid_bits, 16)) |
		 FIELD_PREP(IDR1_SSIDSIZE, options->ssid_bits) |
		 FIELD_PREP(IDR1_CMDQS, or_default(options->cmdq_bits,
						   CMDQS_64K)) |
		 FIELD_PREP(IDR1_EVENTQS, or_default(options->eventq_bits,
						     EVENTQS_64K));
	idr[2] = 0;
	idr[3] = IDR3_HAD | IDR3_BBML;
	if (!(options->flags & VSMMU_OPT_NO_RIL))
		idr[3] |= IDR3_RIL;
	idr[4] = 0;
	idr[5] = IDR5_GRAN | FIELD_PREP(IDR5_VAX, VAX_52) |
		 FIELD_PREP(IDR5_OAS, oas);

	for (i = 0; i < num; i++) {
		rc = meet(idr, phys[i].out_idr);
		if (rc)
			return rc;
	}
	agree(idr);
	return 0;
}
