// SPDX-License-Identifier: GPL-2.0
/*
 * ID registers: an SMMU's features, and which of them a guest may be offered.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "arch.h"
#include "pure.h"

/**
 * smmuv3_caps_from_idr() - Get the capabilities from ID registers
 * @caps: the result
 * @idr: SMMU_IDR0 to SMMU_IDR5
 */
void smmuv3_caps_from_idr(struct smmuv3_caps *caps, const u32 idr[6])
{
	bool stall_both = FIELD_GET(IDR0_STALL_MODEL, idr[0]) == STALL_MODEL_BOTH;

	*caps = (struct smmuv3_caps){
		.sid_bits = FIELD_GET(IDR1_SIDSIZE, idr[1]),
		.ssid_bits = FIELD_GET(IDR1_SSIDSIZE, idr[1]),
		.asid16 = idr[0] & IDR0_ASID16,
		.cd2l = idr[0] & IDR0_CD2L,
		.ats = idr[0] & IDR0_ATS,
		.ril = idr[3] & IDR3_RIL,
		.ds = idr[5] & IDR5_DS,
		.s1stalld = stall_both,
		.stall_both = stall_both,
	};
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_caps_from_idr);

/**
 * smmuv3_caps_meet() - Reduce capabilities to those that a second SMMU has too
 * @caps: capabilities to reduce
 * @with: those of the second SMMU
 *
 * @stall_both does not change: guests are not offered it. It decides how one
 * particular SMMU has to be programmed. @s1stalld is the guest's side of it.
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
	caps->s1stalld &= with->s1stalld;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_caps_meet);

/**
 * smmuv3_idr_can_nest() - Whether the host driver supports nesting on an SMMU
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @canwbs: the device's root complex is declared cacheable, write-back and
 *	shareable
 *
 * Nesting needs both stages. CANWBS or S2FWB has to keep a guest's stage 1 from
 * making DMA incoherent. If faults can only stall, a guest could block the SMMU for
 * all its users. The host may still refuse, because of an erratum.
 *
 * Return: true if the ID registers do not exclude it.
 */
bool smmuv3_idr_can_nest(const u32 idr[6], bool canwbs)
{
	return (idr[0] & IDR0_S1P) && (idr[0] & IDR0_S2P) &&
	       FIELD_GET(IDR0_STALL_MODEL, idr[0]) != STALL_MODEL_FORCED &&
	       (canwbs || (idr[3] & IDR3_FWB));
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_idr_can_nest);

/* Which values of a field a guest may see, given the host's and idr_field.value */
enum idr_rule {
	IDR_FREE,	/* up to @value, whatever the host has */
	IDR_FIXED,	/* @value */
	IDR_UP_TO,	/* up to the host's and up to @value */
	IDR_SUBSET,	/* only bits that the host has too */
	IDR_SUBSET_SOME,	/* the same, but not 0 */
	IDR_AT_LEAST,	/* the host's or larger: a restriction that the guest must know */
	IDR_EQUAL_OR_ANY,	/* the host's, or any if that is 0; never @value,
				 * which is reserved
				 */
};

/**
 * struct idr_field - A field of an ID register that a guest may see set
 * @reg: number of the register
 * @rule: which values are accepted
 * @value: for %IDR_FREE, %IDR_FIXED, %IDR_UP_TO and %IDR_EQUAL_OR_ANY
 * @mask: the field
 *
 * Bits that belong to no field of the table must be 0: S2P, HYP, BTM, HTTU, PRI, SEV,
 * ATOS, ECMDQ and so on are not offered.
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
	/* Belongs to stage 2, which no guest has */
	{ 0, IDR_FREE, 1, IDR0_VMID16 },
	/* The VMM sends them. The host SMMU interrupts the host, not the guest */
	{ 0, IDR_FREE, 1, IDR0_MSI },
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
 * smmuv3_idr_check() - Whether a guest may see these ID registers
 * @idr: SMMU_IDR0 to SMMU_IDR5 of the guest
 * @bad: for each register, the refused fields and other bits are set
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

/* The value of a field that two host SMMUs can both honour */
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
 * @idr: SMMU_IDR0 to SMMU_IDR5 to reduce; bits that no guest may see do not change
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
 * @bad: for each register, the fields that it cannot honour are set. Other bits do
 *	not change, so that a caller can collect the fields for several host SMMUs
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
