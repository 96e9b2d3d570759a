// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: Arm IHI 0070, sections 4.2 to 4.8.
 */
#include "accelctl.h"
#include "field.h"

#define SSEC	{ "SSec", 10, 10 }
#define SSV	{ "SSV", 11, 11 }
#define SSID	{ "SubstreamID", 31, 12 }
#define SID	{ "StreamID", 63, 32, .always = true }
#define VMID	{ "VMID", 47, 32, .effect = "the host puts in its own" }
#define NO_MSI	"IGNORED without SMMU_IDR0.MSI"
#define ASID	{ "ASID", 63, 48, .always = true }
#define LEAF	{ "Leaf", 64, 64 }
#define NUM	{ "NUM", 16, 12 }
#define SCALE	{ "SCALE", 25, 20 }
#define TTL128	{ "TTL128", 71, 71 }
#define TTL	{ "TTL", 73, 72 }
#define TG	{ "TG", 75, 74, FIELD_NAMED, false, tg }
#define ADDRESS	{ "Address", 127, 76, FIELD_ADDRESS, true }

static const char * const tg[4] = {
	"no range", "4KB granule", "16KB granule", "64KB granule",
};

static const char * const cs[4] = {
	"no signal", "interrupt", "event (SEV)",
};

static const char * const pri_resp[4] = {
	"deny", "fail", "success",
};

static const char * const share[4] = {
	"non-shareable", NULL, "outer shareable", "inner shareable",
};

static const struct field prefetch_config[] = { SSEC, SSV, SSID, SID, {} };

static const struct field prefetch_addr[] = {
	SSEC, SSV, SSID, SID, { "Size", 68, 64 }, { "Stride", 73, 69 }, ADDRESS, {}
};

static const struct field cfgi_ste[] = { SSEC, SID, LEAF, {} };

static const struct field cfgi_ste_range[] = {
	SSEC, SID, { "Range", 68, 64, .always = true }, {}
};

static const struct field cfgi_cd[] = { SSEC, SSID, SID, LEAF, {} };

static const struct field cfgi_cd_all[] = { SSEC, SID, {} };

static const struct field vmid[] = { SSEC, VMID, {} };

static const struct field none[] = { SSEC, {} };

static const struct field nh_all[] = { SSEC, VMID, {} };

static const struct field nh_asid[] = { SSEC, VMID, ASID, {} };

static const struct field nh_va[] = {
	SSEC, NUM, SCALE, VMID, ASID, LEAF, TTL128, TTL, TG, ADDRESS, {}
};

static const struct field nh_vaa[] = {
	SSEC, NUM, SCALE, VMID, LEAF, TTL128, TTL, TG, ADDRESS, {}
};

static const struct field el_asid[] = { SSEC, ASID, {} };

static const struct field el_va[] = {
	SSEC, NUM, SCALE, ASID, LEAF, TTL128, TTL, TG, ADDRESS, {}
};

static const struct field el_vaa[] = { SSEC, NUM, SCALE, LEAF, TTL128, TTL, TG, ADDRESS, {} };

static const struct field s2_ipa[] = {
	SSEC, NUM, SCALE, VMID, LEAF, TTL128, TTL, TG,
	{ "Address", 119, 76, FIELD_ADDRESS, true }, { "NS", 127, 127 }, {}
};

static const struct field atc_inv[] = {
	{ "G", 9, 9 }, SSEC, SSV, SSID, SID, { "Size", 69, 64, .always = true },
	ADDRESS, {}
};

static const struct field pri_response[] = {
	SSEC, SSV, SSID, SID, { "PRGIndex", 72, 64, .always = true },
	{ "Resp", 77, 76, FIELD_NAMED, true, pri_resp }, {}
};

static const struct field resume[] = {
	SSEC, { "Ac", 12, 12, .always = true }, { "Ab", 13, 13, .always = true }, SID,
	{ "STAG", 79, 64, .always = true }, {}
};

static const struct field sync_fields[] = {
	SSEC, { "CS", 13, 12, FIELD_NAMED, true, cs },
	{ "MSH", 23, 22, FIELD_NAMED, false, share, NO_MSI },
	{ "MSIAttr", 27, 24, .effect = NO_MSI },
	{ "MSIData", 63, 32, .effect = NO_MSI },
	{ "MSIAddress", 119, 66, FIELD_ADDRESS, .effect = NO_MSI },
	{ "MSI_NS", 127, 127 }, {}
};

const struct shape cmd_shapes[] = {
	{ 0x01, "CMD_PREFETCH_CONFIG", "read a stream's configuration ahead", prefetch_config },
	{ 0x02, "CMD_PREFETCH_ADDR", "translate addresses ahead", prefetch_addr },
	{ 0x03, "CMD_CFGI_STE", "invalidate a cached STE", cfgi_ste },
	{ 0x04, "CMD_CFGI_STE_RANGE", "invalidate 2^(Range + 1) cached STEs", cfgi_ste_range },
	{ 0x05, "CMD_CFGI_CD", "invalidate a cached CD", cfgi_cd },
	{ 0x06, "CMD_CFGI_CD_ALL", "invalidate a stream's cached CDs", cfgi_cd_all },
	{ 0x07, "CMD_CFGI_VMS_PIDM", "invalidate a VM's cached PARTID map", vmid },
	{ 0x10, "CMD_TLBI_NH_ALL", "invalidate all stage-1 translations", nh_all },
	{ 0x11, "CMD_TLBI_NH_ASID", "invalidate an ASID's translations", nh_asid },
	{ 0x12, "CMD_TLBI_NH_VA", "invalidate an ASID's translations of addresses", nh_va },
	{ 0x13, "CMD_TLBI_NH_VAA", "invalidate all ASIDs' translations of addresses", nh_vaa },
	{ 0x18, "CMD_TLBI_EL3_ALL", "invalidate EL3's translations", none },
	{ 0x1a, "CMD_TLBI_EL3_VA", "invalidate EL3's translations of addresses", el_vaa },
	{ 0x20, "CMD_TLBI_EL2_ALL", "invalidate EL2's translations", none },
	{ 0x21, "CMD_TLBI_EL2_ASID", "invalidate an EL2 ASID's translations", el_asid },
	{ 0x22, "CMD_TLBI_EL2_VA", "invalidate an EL2 ASID's translations of addresses", el_va },
	{ 0x23, "CMD_TLBI_EL2_VAA", "invalidate EL2's translations of addresses", el_vaa },
	{ 0x28, "CMD_TLBI_S12_VMALL", "invalidate a VM's translations", vmid },
	{ 0x2a, "CMD_TLBI_S2_IPA", "invalidate a VM's stage-2 translations of addresses", s2_ipa },
	{ 0x30, "CMD_TLBI_NSNH_ALL", "invalidate all VMs' translations", none },
	{ 0x40, "CMD_ATC_INV", "invalidate a device's ATC", atc_inv },
	{ 0x41, "CMD_PRI_RESP", "answer a page request", pri_response },
	{ 0x44, "CMD_RESUME", "end a stall", resume },
	{ 0x45, "CMD_STALL_TERM", "end all stalls of a stream", cfgi_cd_all },
	{ 0x46, "CMD_SYNC", "wait for the commands before it", sync_fields },
	{ 0x50, "CMD_TLBI_S_EL2_ALL", "invalidate Secure EL2's translations", none },
	{ 0x51, "CMD_TLBI_S_EL2_ASID", "invalidate a Secure EL2 ASID's translations", el_asid },
	{ 0x52, "CMD_TLBI_S_EL2_VA", "invalidate a Secure EL2 ASID's translations of addresses",
	  el_va },
	{ 0x53, "CMD_TLBI_S_EL2_VAA", "invalidate Secure EL2's translations of addresses", el_vaa },
	{ 0x58, "CMD_TLBI_S_S12_VMALL", "invalidate a Secure VM's translations", vmid },
	{ 0x5a, "CMD_TLBI_S_S2_IPA", "invalidate a Secure VM's stage-2 translations of addresses",
	  s2_ipa },
	{ 0x60, "CMD_TLBI_SNH_ALL", "invalidate all Secure VMs' translations", none },
	{ 0x70, "CMD_DPTI_ALL", "invalidate the Device Permission Table", none },
	{ 0x73, "CMD_DPTI_PA", "invalidate Device Permission Table entries of addresses", none },
};

const size_t cmd_shape_num = ARRAY_LEN(cmd_shapes);
