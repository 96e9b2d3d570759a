// SPDX-License-Identifier: GPL-2.0
/*
 * Event records: Arm IHI 0070, section 7.3.
 */
#include "accelctl.h"
#include "field.h"

#define SSV	{ "SSV", 11, 11 }
#define SSID	{ "SubstreamID", 31, 12 }
#define SID	{ "StreamID", 63, 32, .always = true }
#define REASON	{ "Reason", 79, 64 }
#define GPCF	{ "GPCF", 80, 80 }
#define PNU	{ "PnU", 97, 97, FIELD_NAMED, true, pnu }
#define IND	{ "InD", 98, 98, FIELD_NAMED, true, ind }
#define RNW	{ "RnW", 99, 99, FIELD_NAMED, true, rnw }
#define NSIPA	{ "NSIPA", 102, 102 }
#define S2	{ "S2", 103, 103, FIELD_NAMED, true, stage }
#define STAG	{ "STAG", 79, 64 }
#define STALL	{ "Stall", 95, 95, FIELD_NAMED, true, stall }
#define CLASS	{ "CLASS", 105, 104, FIELD_NAMED, true, class }
#define INPUT	{ "InputAddr", 191, 128, FIELD_ADDRESS, true }
#define IPA	{ "IPA", 247, 204, FIELD_ADDRESS }
#define FETCH	{ "FetchAddr", 247, 195, FIELD_ADDRESS, true }

static const char * const pnu[2] = { "unprivileged", "privileged" };
static const char * const ind[2] = { "data", "instruction" };
static const char * const rnw[2] = { "write", "read" };
static const char * const stage[2] = { "at stage 1", "at stage 2" };
static const char * const stall[2] = { "terminated", "stalled" };
static const char * const class[4] = {
	"fetch of a CD", "fetch of a stage 1 table's entry", "input address",
};

static const char * const ttrnw[2] = { "write of the entry", "read of the entry" };

static const struct field stream[] = { SSV, SSID, SID, {} };

static const struct field no_substream[] = { SID, {} };

static const struct field impdef[] = { {} };

static const struct field substream[] = { SSID, SID, {} };

static const struct field conflict[] = { SSV, SSID, SID, REASON, {} };

static const struct field uut[] = { SSV, SSID, SID, REASON, PNU, IND, RNW, INPUT, {} };

static const struct field fetch[] = { SSV, SSID, SID, REASON, GPCF, FETCH, {} };

static const struct field bad_treq[] = { SSV, SSID, SID, INPUT, {} };

static const struct field forbidden[] = {
	SID, RNW, INPUT, {}
};

static const struct field walk[] = {
	SSV, SSID, SID, REASON, GPCF, PNU, IND, RNW, NSIPA, S2, CLASS, INPUT, FETCH, {}
};

static const struct field fault[] = {
	SSV, SSID, SID, STAG, STALL, PNU, IND, RNW, NSIPA, S2, CLASS, INPUT, IPA, {}
};

static const struct field permission[] = {
	SSV, SSID, SID, STAG, STALL, PNU, IND, RNW, NSIPA, S2, CLASS,
	{ "TTRnW", 108, 108, FIELD_NAMED, false, ttrnw }, INPUT, IPA, {}
};

static const struct field tlb_conflict[] = {
	SSV, SSID, SID, REASON, PNU, IND, RNW, NSIPA, S2, INPUT, IPA, {}
};

static const struct field page_request[] = {
	SSV, SSID, SID, { "uX", 97, 97 }, { "uW", 98, 98 }, { "uR", 99, 99 },
	{ "pX", 101, 101 }, { "pW", 102, 102 }, { "pR", 103, 103 },
	{ "Span", 115, 108, .always = true },
	{ "InputAddr", 191, 140, FIELD_ADDRESS, true }, {}
};

const struct shape event_shapes[] = {
	{ 0x01, "F_UUT", "a transaction of a kind that is not supported", uut },
	{ 0x02, "C_BAD_STREAMID", "the StreamID is beyond the stream table", stream },
	{ 0x03, "F_STE_FETCH", "the STE could not be read", fetch },
	{ 0x04, "C_BAD_STE", "the STE is not valid", stream },
	{ 0x05, "F_BAD_ATS_TREQ", "an ATS request, but the STE refuses ATS", bad_treq },
	{ 0x06, "F_STREAM_DISABLED", "no SubstreamID, or 0, where STE.S1DSS forbids it",
	  no_substream },
	{ 0x07, "F_TRANSL_FORBIDDEN", "a translated address, but the STE refuses ATS",
	  forbidden },
	{ 0x08, "C_BAD_SUBSTREAMID", "the SubstreamID has no CD", substream },
	{ 0x09, "F_CD_FETCH", "the CD could not be read", fetch },
	{ 0x0a, "C_BAD_CD", "the CD is not valid", stream },
	{ 0x0b, "F_WALK_EABT", "a translation table could not be read", walk },
	{ 0x10, "F_TRANSLATION", "nothing is mapped there", fault },
	{ 0x11, "F_ADDR_SIZE", "a stage's output address is too large", fault },
	{ 0x12, "F_ACCESS", "the Access flag is 0", fault },
	{ 0x13, "F_PERMISSION", "the mapping does not permit it", permission },
	{ 0x20, "F_TLB_CONFLICT", "several TLB entries match", tlb_conflict },
	{ 0x21, "F_CFG_CONFLICT", "several cached STEs match", conflict },
	{ 0x24, "E_PAGE_REQUEST", "a hint that pages will be used", page_request },
	{ 0x25, "F_VMS_FETCH", "the VMS could not be read", fetch },
	{ 0xe0, "IMPDEF_EVENT", "IMPLEMENTATION DEFINED", impdef },
};

const size_t event_shape_num = ARRAY_LEN(event_shapes);
