// SPDX-License-Identifier: GPL-2.0
/*
 * Stream Table Entries: decode, validate, mask.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/string.h>

#include "arch.h"
#include "pure.h"

/*
 * Decode the fields that matter if substreams are enabled. A reserved S1Fmt or S1DSS
 * acts as 0. Without substreams, S1Fmt and S1DSS are IGNORED, and on an SMMU that has
 * none, S1CDMax is too.
 */
static enum smmuv3_accel_reason ste_decode_substreams(u64 data[2], const u64 ste[8],
						      const struct smmuv3_caps *caps)
{
	u64 cdmax = FIELD_GET(STE_0_S1CDMAX, ste[0]);
	u64 fmt = FIELD_GET(STE_0_S1FMT, ste[0]);
	u64 dss = FIELD_GET(STE_1_S1DSS, ste[1]);

	if (!cdmax || !caps->ssid_bits)
		return SMMUV3_ACCEL_REASON_NONE;
	if (cdmax > caps->ssid_bits)
		return SMMUV3_ACCEL_REASON_STE_S1CDMAX;
	if (fmt == STE_S1FMT_RESERVED)
		fmt = STE_S1FMT_LINEAR;
	if (fmt != STE_S1FMT_LINEAR && !caps->cd2l)
		return SMMUV3_ACCEL_REASON_STE_S1FMT;
	if (dss == STE_S1DSS_RESERVED)
		dss = STE_S1DSS_TERMINATE;
	data[0] |= FIELD_PREP(STE_0_S1CDMAX, cdmax) | FIELD_PREP(STE_0_S1FMT, fmt);
	data[1] |= FIELD_PREP(STE_1_S1DSS, dss);
	return SMMUV3_ACCEL_REASON_NONE;
}

/*
 * Decode an STE with Config = stage 1 only (5.2). Refuse ILLEGAL ones. Drop fields
 * that are IGNORED, and write reserved values as what they act as, so that equal STEs
 * compare equal.
 */
static enum smmuv3_accel_reason ste_decode_s1(u64 data[2], const u64 ste[8],
					      const struct smmuv3_caps *caps)
{
	u64 eats = FIELD_GET(STE_1_EATS, ste[1]);
	enum smmuv3_accel_reason reason;

	data[0] = ste[0] & (STE_0_V | STE_0_CONFIG | STE_0_S1CONTEXTPTR);
	data[1] = ste[1] & (STE_1_S1CIR | STE_1_S1COR | STE_1_S1CSH);

	/* No SMMU that nests has this many address bits. Refuse, do not truncate. */
	if (ste[0] & STE_0_S1CONTEXTPTR_OVER)
		return SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR;
	if ((ste[1] & STE_1_S1STALLD) && !caps->s1stalld)
		return SMMUV3_ACCEL_REASON_STE_S1STALLD;
	reason = ste_decode_substreams(data, ste, caps);
	if (reason)
		return reason;

	if (caps->ats) {
		if (eats == STE_EATS_SPLIT)
			return SMMUV3_ACCEL_REASON_STE_EATS;
		if (eats == STE_EATS_RESERVED)
			eats = STE_EATS_ABORT;
		data[1] |= FIELD_PREP(STE_1_EATS, eats);
	}

	/*
	 * A stalled transaction holds resources of the host SMMU, so a guest
	 * must not be able to cause one. If the SMMU's stall model is fixed, the
	 * bit has to be 0 (5.2, S1STALLD).
	 */
	if (caps->stall_both)
		data[1] |= STE_1_S1STALLD;
	return SMMUV3_ACCEL_REASON_NONE;
}

/**
 * smmuv3_ste_decode() - Decode a guest's STE into the STE for the host
 * @out: the result; an STE that is not legal becomes an abort with its reason
 * @ste: all 8 words of the STE
 * @caps: of the SMMU that the STE is for
 *
 * Arm IHI 0070, 5.2. Words 2 to 7 are ignored: they configure stage 2, or attributes
 * that a guest does not control. So is STRW, because no guest has SMMU_IDR0.Hyp.
 */
void smmuv3_ste_decode(struct smmuv3_ste *out, const u64 ste[8],
		       const struct smmuv3_caps *caps)
{
	const u64 word0 = ste[0], config = FIELD_GET(STE_0_CONFIG, word0);

	*out = (struct smmuv3_ste){ .kind = SMMUV3_ACCEL_KIND_ABORT };

	if (!(word0 & STE_0_V)) {
		out->reason = SMMUV3_ACCEL_REASON_STE_INVALID;
	} else if (!(config & STE_CONFIG_TRAFFIC)) {
		/* 0b001 to 0b011 are reserved and act as 0b000 */
		out->reason = SMMUV3_ACCEL_REASON_STE_ABORT;
	} else if (config == STE_CONFIG_BYPASS) {
		out->kind = SMMUV3_ACCEL_KIND_BYPASS;
	} else if (config == STE_CONFIG_S1) {
		out->reason = ste_decode_s1(out->data, ste, caps);
		if (!out->reason)
			out->kind = SMMUV3_ACCEL_KIND_S1;
		else
			memset(out->data, 0, sizeof(out->data));
	} else {
		out->reason = SMMUV3_ACCEL_REASON_STE_CONFIG;
	}
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_ste_decode);
