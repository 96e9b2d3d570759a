// SPDX-License-Identifier: GPL-2.0
/*
 * The Stream Table Entry: Arm IHI 0070, section 5.2.
 */
#include "field.h"

/* Indexed by value; NULL: reserved */
static const char * const config[8] = {
	"abort", NULL, NULL, NULL,
	"stage 1 bypass, stage 2 bypass",
	"stage 1 translate, stage 2 bypass",
	"stage 1 bypass, stage 2 translate",
	"stage 1 translate, stage 2 translate",
};

static const char * const s1fmt[4] = {
	"linear CD table", "2-level, 4KB leaves", "2-level, 64KB leaves",
};

static const char * const s1dss[4] = {
	"without a SubstreamID: abort", "without a SubstreamID: bypass stage 1",
	"without a SubstreamID: CD 0",
};

static const char * const cache[4] = {
	"non-cacheable", "write-back, read-allocate", "write-through, read-allocate",
	"write-back, no read-allocate",
};

static const char * const s2cache[4] = {
	"non-cacheable", "write-back, read- and write-allocate",
	"write-through, read-allocate", "write-back, no write-allocate",
};

static const char * const share[4] = {
	"non-shareable", NULL, "outer shareable", "inner shareable",
};

static const char * const shcfg[4] = {
	"non-shareable", "as incoming", "outer shareable", "inner shareable",
};

static const char * const eats[4] = {
	"ATS refused", "full ATS", "split-stage ATS", "full ATS with DPT checks",
};

static const char * const strw[4] = {
	"NS-EL1", NULL, "NS-EL2",
};

static const char * const s2tg[4] = {
	"4KB", "64KB", "16KB",
};

static const char * const s2ps[8] = {
	"32 bits", "36 bits", "40 bits", "42 bits", "44 bits", "48 bits",
	"52 bits", "56 bits",
};

static const char * const privcfg[4] = {
	"as incoming", NULL, "unprivileged", "privileged",
};

static const char * const instcfg[4] = {
	"as incoming", NULL, "data", "instruction",
};

static const char * const nscfg[4] = {
	"as incoming", NULL, "secure", "non-secure",
};

const struct field ste_fields[] = {
	{ "V", 0, 0, .always = true },
	{ "Config", 3, 1, FIELD_NAMED, true, config },
	{ "S1Fmt", 5, 4, FIELD_NAMED, false, s1fmt },
	{ "S1ContextPtr", 55, 6, FIELD_ADDRESS },
	{ "S1CDMax", 63, 59 },
	{ "S1DSS", 65, 64, FIELD_NAMED, false, s1dss },
	{ "S1CIR", 67, 66, FIELD_NAMED, false, cache },
	{ "S1COR", 69, 68, FIELD_NAMED, false, cache },
	{ "S1CSH", 71, 70, FIELD_NAMED, false, share },
	{ "S2HWU59", 72, 72 },
	{ "S2HWU60", 73, 73 },
	{ "S2HWU61", 74, 74 },
	{ "S2HWU62", 75, 75 },
	{ "DRE", 76, 76 },
	{ "CONT", 80, 77 },
	{ "DCP", 81, 81 },
	{ "PPAR", 82, 82 },
	{ "MEV", 83, 83 },
	{ "SW_RESERVED", 87, 84 },
	{ "S1PIE", 88, 88 },
	{ "S2FWB", 89, 89 },
	{ "S1MPAM", 90, 90 },
	{ "S1STALLD", 91, 91 },
	{ "EATS", 93, 92, FIELD_NAMED, false, eats },
	{ "STRW", 95, 94, FIELD_NAMED, false, strw },
	{ "MemAttr", 99, 96 },
	{ "MTCFG", 100, 100 },
	{ "ALLOCCFG", 104, 101 },
	{ "SHCFG", 109, 108, FIELD_NAMED, false, shcfg },
	{ "NSCFG", 111, 110, FIELD_NAMED, false, nscfg },
	{ "PRIVCFG", 113, 112, FIELD_NAMED, false, privcfg },
	{ "INSTCFG", 115, 114, FIELD_NAMED, false, instcfg },
	{ "IMPDEF", 127, 116 },
	{ "S2VMID", 143, 128 },
	{ "IMPDEF", 159, 144 },
	{ "S2T0SZ", 165, 160 },
	{ "S2SL0", 167, 166 },
	{ "S2IR0", 169, 168, FIELD_NAMED, false, s2cache },
	{ "S2OR0", 171, 170, FIELD_NAMED, false, s2cache },
	{ "S2SH0", 173, 172, FIELD_NAMED, false, share },
	{ "S2TG", 175, 174, FIELD_NAMED, false, s2tg },
	{ "S2PS", 178, 176, FIELD_NAMED, false, s2ps },
	{ "S2AA64", 179, 179 },
	{ "S2ENDI", 180, 180 },
	{ "S2AFFD", 181, 181 },
	{ "S2PTW", 182, 182 },
	{ "S2HD", 183, 183 },
	{ "S2HA", 184, 184 },
	{ "S2S", 185, 185 },
	{ "S2R", 186, 186 },
	{ "S2HAFT", 187, 187 },
	{ "S2PIE", 188, 188 },
	{ "S2POE", 189, 189 },
	{ "DPT_VMATCH", 191, 190 },
	{ "S2NSW", 192, 192 },
	{ "S2NSA", 193, 193 },
	{ "S2SL0_2", 194, 194 },
	{ "S2DS", 195, 195 },
	{ "S2TTB", 247, 196, FIELD_ADDRESS },
	{ "S2SKL", 254, 253 },
	{ "IMPDEF", 271, 256 },
	{ "PARTID", 287, 272 },
	{ "S_S2T0SZ", 293, 288 },
	{ "S_S2SL0", 295, 294 },
	{ "S_S2TG", 303, 302, FIELD_NAMED, false, s2tg },
	{ "MECID", 319, 304 },
	{ "PMG", 327, 320 },
	{ "MPAM_NS", 328, 328 },
	{ "AssuredOnly", 329, 329 },
	{ "TL0", 330, 330 },
	{ "TL1", 331, 331 },
	{ "VMSPtr", 375, 332, FIELD_ADDRESS },
	{ "S2SW", 384, 384 },
	{ "S2SA", 385, 385 },
	{ "S_S2SL0_2", 386, 386 },
	{ "S_S2TTB", 439, 388, FIELD_ADDRESS },
	{ "S_S2SKL", 446, 445 },
	{ "S2POI", 511, 448 },
	{}
};
