// SPDX-License-Identifier: GPL-2.0
/*
 * ID registers: what an SMMU can do, and what of it a guest may be offered.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "arch.h"
#include "pure.h"

/**
 * smmuv3_caps_from_idr() - Read capabilities off ID registers
 * @caps: the result
 * @idr: SMMU_IDR0 to SMMU_IDR5
 */
void smmuv3_caps_from_idr(struct smmuv3_caps *caps, const u32 idr[6])
{
	*caps = (struct smmuv3_caps){
		.sid_bits = FIELD_GET(IDR1_SIDSIZE, idr[1]),
		.ssid_bits = FIELD_GET(IDR1_SSIDSIZE, idr[1]),
		.asid16 = idr[0] & IDR0_ASID16,
		.cd2l = idr[0] & IDR0_CD2L,
		.ats = idr[0] & IDR0_ATS,
		.ril = idr[3] & IDR3_RIL,
		.ds = idr[5] & IDR5_DS,
		.stall_both = FIELD_GET(IDR0_STALL_MODEL, idr[0]) ==
			      STALL_MODEL_BOTH,
	};
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_caps_from_idr);

/**
 * smmuv3_caps_meet() - Reduce capabilities to what a second SMMU has as well
 * @caps: capabilities to reduce
 * @with: those of the second SMMU
 *
 * @stall_both is left alone: it is not offered to guests but decides how a
 * particular SMMU has to be programmed.
 */
void smmuv3_caps_meet(struct smmuv3_caps *caps, const struct smmuv3_caps *with)
{
	caps->sid_bits = min(caps->sid_bits, with->sid_bits);
	caps->ssid_bits = min(caps->ssid_bits, with->ssid_bits);
	caps->asid16 &= with->asid16;
	caps->cd2l &= with->cd2l;
	caps->ats &= with->ats;
	caps->ril &= with->ril;
	caps->ds &= with->ds;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_caps_meet);

/**
 * smmuv3_idr_can_nest() - Whether the host driver nests on such an SMMU
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @canwbs: the device's root complex is declared cacheable, write-back and
 *	shareable
 *
 * Both stages are needed, and something that keeps a guest's stage 1 from
 * making DMA incoherent. If faults can only stall, a guest could hold up the
 * SMMU for everybody. The host may still refuse, for an erratum.
 *
 * Return: true if nothing is known against it.
 */
bool smmuv3_idr_can_nest(const u32 idr[6], bool canwbs)
{
	return (idr[0] & IDR0_S1P) && (idr[0] & IDR0_S2P) &&
	       FIELD_GET(IDR0_STALL_MODEL, idr[0]) != STALL_MODEL_FORCED &&
	       (canwbs || (idr[3] & IDR3_FWB));
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_idr_can_nest);

/* How a guest's value of a field is judged, alone and against a host's. */
enum idr_rule {
	IDR_FREE,	/* up to the value given: the module or the VMM does it */
	IDR_FIXED,	/* the value given */
	IDR_UP_TO,	/* no larger than the host's, nor than the value given */
	IDR_SUBSET,	/* no bit that the host's has not */
	IDR_SUBSET_SOME,	/* the same, but not none */
	IDR_AT_LEAST,	/* no smaller: what the host demands, the guest must do */
	IDR_EQUAL_OR_ANY,	/* the host's, or any if that is 0; not the value
				 * given, which is reserved
				 */
};

/**
 * struct idr_field - A field of an ID register that a guest may see set
 * @reg: number of the register
 * @rule: what is accepted
 * @value: for %IDR_FREE, %IDR_FIXED, %IDR_UP_TO and %IDR_EQUAL_OR_ANY
 * @mask: the field
 *
 * Bits of no field must be 0: S2P, HYP, BTM, HTTU, PRI, MSI, SEV, ATOS, ECMDQ and
 * so on are not offered.
 */
struct idr_field {
	u8 reg;
	u8 rule;
	u8 value;
	u32 mask;
};

static const struct idr_field idr_fields[] = {
	{ 0, IDR_FREE, 1, IDR0_ST_LEVEL },
	{ 0, IDR_AT_LEAST, 0, IDR0_TERM_MODEL },
	{ 0, IDR_FIXED, STALL_MODEL_TERMINATE, IDR0_STALL_MODEL },
	{ 0, IDR_EQUAL_OR_ANY, TTENDIAN_RESERVED, IDR0_TTENDIAN },
	{ 0, IDR_SUBSET, 0, IDR0_CD2L },
	/* About stage 2, which no guest has */
	{ 0, IDR_FREE, 1, IDR0_VMID16 },
	{ 0, IDR_SUBSET, 0, IDR0_ASID16 },
	{ 0, IDR_SUBSET, 0, IDR0_ATS },
	{ 0, IDR_FIXED, 1, IDR0_COHACC },
	{ 0, IDR_SUBSET_SOME, 0, IDR0_TTF },
	{ 0, IDR_FIXED, 1, IDR0_S1P },
	{ 1, IDR_FREE, CMDQS_MAX, IDR1_CMDQS },
	{ 1, IDR_FREE, EVENTQS_MAX, IDR1_EVENTQS },
	{ 1, IDR_UP_TO, U8_MAX, IDR1_SSIDSIZE },
	{ 1, IDR_UP_TO, SIDSIZE_GUEST_MAX, IDR1_SIDSIZE },
	{ 3, IDR_UP_TO, U8_MAX, IDR3_BBML },
	{ 3, IDR_SUBSET, 0, IDR3_RIL },
	{ 3, IDR_SUBSET, 0, IDR3_HAD },
	{ 5, IDR_UP_TO, U8_MAX, IDR5_VAX },
	{ 5, IDR_SUBSET, 0, IDR5_DS },
	{ 5, IDR_SUBSET_SOME, 0, IDR5_GRAN },
	{ 5, IDR_UP_TO, U8_MAX, IDR5_OAS },
};

static u32 field_of(const struct idr_field *field, const u32 idr[6])
{
	return (idr[field->reg] & field->mask) >> __ffs(field->mask);
}

static bool field_is_legal(const struct idr_field *field, u32 guest)
{
	switch (field->rule) {
	case IDR_FREE:
	case IDR_UP_TO:
		return guest <= field->value;
	case IDR_FIXED:
		return guest == field->value;
	case IDR_EQUAL_OR_ANY:
		return guest != field->value;
	case IDR_SUBSET_SOME:
		return guest;
	default:
		return true;
	}
}

static bool field_fits(const struct idr_field *field, u32 guest, u32 host)
{
	switch (field->rule) {
	case IDR_UP_TO:
		return guest <= host;
	case IDR_SUBSET:
	case IDR_SUBSET_SOME:
		return !(guest & ~host);
	case IDR_AT_LEAST:
		return guest >= host;
	case IDR_EQUAL_OR_ANY:
		return guest == host || !host;
	default:
		return true;
	}
}

/**
 * smmuv3_idr_check() - Whether a guest may see such ID registers
 * @idr: SMMU_IDR0 to SMMU_IDR5 of the guest
 * @bad: for each register, the fields and other bits that are refused are set
 *
 * Return: true if it may.
 */
bool smmuv3_idr_check(const u32 idr[6], u32 bad[6])
{
	u32 refused[6];
	bool ok = true;
	int i;

	memcpy(refused, idr, sizeof(refused));
	for (i = 0; i < ARRAY_SIZE(idr_fields); i++) {
		const struct idr_field *field = &idr_fields[i];

		refused[field->reg] &= ~field->mask;
		if (!field_is_legal(field, field_of(field, idr)))
			refused[field->reg] |= field->mask;
	}
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		bad[i] |= refused[i];
		ok = ok && !refused[i];
	}
	return ok;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_idr_check);

/* What two host SMMUs both honour of a field. */
static u32 field_meet(const struct idr_field *field, u32 a, u32 b)
{
	switch (field->rule) {
	case IDR_UP_TO:
		return min(a, b);
	case IDR_SUBSET:
	case IDR_SUBSET_SOME:
		return a & b;
	case IDR_AT_LEAST:
		return max(a, b);
	case IDR_EQUAL_OR_ANY:
		return a ?: b;
	default:
		return a;
	}
}

/**
 * smmuv3_idr_meet() - Reduce ID registers to what a second host SMMU honours
 * @idr: SMMU_IDR0 to SMMU_IDR5 to reduce; what no guest may see set stays as it is
 * @with: those of the second SMMU
 */
void smmuv3_idr_meet(u32 idr[6], const u32 with[6])
{
	int i;

	for (i = 0; i < ARRAY_SIZE(idr_fields); i++) {
		const struct idr_field *field = &idr_fields[i];
		u32 both = field_meet(field, field_of(field, idr),
				      field_of(field, with));

		idr[field->reg] &= ~field->mask;
		idr[field->reg] |= both << __ffs(field->mask);
	}
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_idr_meet);

/**
 * smmuv3_idr_fits() - Whether a host SMMU can honour a guest's ID registers
 * @idr: those of the guest, which smmuv3_idr_check() accepts
 * @host: those of the host SMMU
 * @bad: for each register, the fields that it cannot honour are set; others stay,
 *	so that those of several host SMMUs add up
 *
 * Return: true if it can.
 */
bool smmuv3_idr_fits(const u32 idr[6], const u32 host[6], u32 bad[6])
{
	bool ok = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(idr_fields); i++) {
		const struct idr_field *field = &idr_fields[i];

		if (field_fits(field, field_of(field, idr),
			       field_of(field, host)))
			continue;
		bad[field->reg] |= field->mask;
		ok = false;
	}
	return ok;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_idr_fits);
