// SPDX-License-Identifier: GPL-2.0
/*
 * SMMU_IDR0 to SMMU_IDR5, one in each word: Arm IHI 0070, sections 6.3.1 to 6.3.6.
 */
#include "field.h"

/* Indexed by value; NULL: reserved */
static const char * const st_level[4] = {
	"linear stream tables", "2-level stream tables too",
};

static const char * const stall_model[4] = {
	"stalls and terminates", "terminates", "stalls",
};

static const char * const ttendian[4] = {
	"either endianness", NULL, "little-endian", "big-endian",
};

static const char * const httu[4] = {
	"no updates", "Access flag", "Access flag and dirty state",
	"Access flag, of tables too, and dirty state",
};

static const char * const ttf[4] = {
	NULL, "VMSAv8-32 LPAE", "VMSAv8-64", "VMSAv8-32 LPAE and VMSAv8-64",
};

static const char * const bbml[4] = {
	"level 0", "level 1", "level 2",
};

static const char * const vax[4] = {
	"48 bits", "52 bits", "56 bits",
};

static const char * const oas[8] = {
	"32 bits", "36 bits", "40 bits", "42 bits", "44 bits", "48 bits",
	"52 bits", "56 bits",
};

/* A field of register @_reg, from its bit @_high to its bit @_low */
#define FIELD(_reg, _name, _high, _low, ...) \
	{ "IDR" #_reg "." #_name, 64 * (_reg) + (_high), 64 * (_reg) + (_low), __VA_ARGS__ }
#define BIT(_reg, _name, _bit) \
	FIELD(_reg, _name, _bit, _bit, FIELD_PLAIN)
#define NAMED(_reg, _name, _high, _low, _values) \
	FIELD(_reg, _name, _high, _low, FIELD_NAMED, true, _values)

const struct field idr_fields[] = {
	BIT(0, RME_IMPL, 30),
	NAMED(0, ST_LEVEL, 28, 27, st_level),
	BIT(0, TERM_MODEL, 26),
	NAMED(0, STALL_MODEL, 25, 24, stall_model),
	BIT(0, ATSRECERR, 23),
	NAMED(0, TTENDIAN, 22, 21, ttendian),
	BIT(0, VATOS, 20),
	BIT(0, CD2L, 19),
	BIT(0, VMID16, 18),
	BIT(0, VMW, 17),
	BIT(0, PRI, 16),
	BIT(0, ATOS, 15),
	BIT(0, SEV, 14),
	BIT(0, MSI, 13),
	BIT(0, ASID16, 12),
	BIT(0, NS1ATS, 11),
	BIT(0, ATS, 10),
	BIT(0, HYP, 9),
	BIT(0, DORMHINT, 8),
	NAMED(0, HTTU, 7, 6, httu),
	BIT(0, BTM, 5),
	BIT(0, COHACC, 4),
	NAMED(0, TTF, 3, 2, ttf),
	BIT(0, S1P, 1),
	BIT(0, S2P, 0),
	BIT(1, ECMDQ, 31),
	BIT(1, TABLES_PRESET, 30),
	BIT(1, QUEUES_PRESET, 29),
	BIT(1, REL, 28),
	BIT(1, ATTR_TYPES_OVR, 27),
	BIT(1, ATTR_PERMS_OVR, 26),
	FIELD(1, CMDQS, 25, 21, FIELD_PLAIN, true),
	FIELD(1, EVENTQS, 20, 16, FIELD_PLAIN, true),
	FIELD(1, PRIQS, 15, 11, FIELD_PLAIN),
	FIELD(1, SSIDSIZE, 10, 6, FIELD_PLAIN, true),
	FIELD(1, SIDSIZE, 5, 0, FIELD_PLAIN, true),
	FIELD(2, BA_VATOS, 9, 0, FIELD_PLAIN),
	BIT(3, AIE, 23),
	BIT(3, MTEPERM, 22),
	BIT(3, THE, 21),
	BIT(3, S2PO, 20),
	BIT(3, S2PI, 19),
	BIT(3, S1PI, 18),
	BIT(3, EPAN, 17),
	BIT(3, PASIDTT, 16),
	BIT(3, DPT, 15),
	BIT(3, PTWNNC, 14),
	BIT(3, E0PD, 13),
	NAMED(3, BBML, 12, 11, bbml),
	BIT(3, RIL, 10),
	BIT(3, STT, 9),
	BIT(3, FWB, 8),
	BIT(3, MPAM, 7),
	BIT(3, PPS, 5),
	BIT(3, XNX, 4),
	BIT(3, PBHA, 3),
	BIT(3, HAD, 2),
	FIELD(5, STALL_MAX, 31, 16, FIELD_PLAIN),
	NAMED(5, VAX, 11, 10, vax),
	BIT(5, D128, 8),
	BIT(5, DS, 7),
	BIT(5, GRAN64K, 6),
	BIT(5, GRAN16K, 5),
	BIT(5, GRAN4K, 4),
	NAMED(5, OAS, 2, 0, oas),
	{}
};
