// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Making a vSMMU, its memory and its ID registers.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "internal.h"
#include "rig.h"

static void test_new(void **state)
{
	struct rig *rig = *state;
	const struct vsmmu_region region = {
		RAM_BASE, RAM_SIZE, (uintptr_t)rig->ram,
	};
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;
	struct vsmmu *v;

	/* The library's descriptor: opened, closed */
	config.accel_fd = -1;
	config.region_num = 1;
	config.regions = &region;
	assert_int_equal(vsmmu_new(&config, &v, &error), 0);
	assert_int_equal(error.error, 0);
	assert_int_equal(vsmmu_fd(v), FAKE_FD);
	assert_int_equal(rig->fake.closed, 0);
	vsmmu_free(v);
	assert_int_equal(rig->fake.closed, 1);

	/* The VMM's */
	config.accel_fd = FAKE_FD;
	assert_int_equal(vsmmu_new(&config, &v, NULL), 0);
	vsmmu_free(v);
	assert_int_equal(rig->fake.closed, 1);
	vsmmu_free(NULL);
}

/* The library refuses a wrong config before it does anything. */
static void assert_config_refused(struct rig *rig,
				  const struct vsmmu_config *config,
				  uint32_t reason)
{
	struct vsmmu_error error;
	struct vsmmu *v = (void *)rig;

	assert_int_equal(vsmmu_new(config, &v, &error), -EINVAL);
	assert_null(v);
	assert_int_equal(error.error, -EINVAL);
	assert_int_equal(error.request, 0);
	assert_int_equal(error.reason, reason);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_INFO), 0);
	assert_int_equal(vsmmu_new(config, &v, NULL), -EINVAL);
}

static void test_config_refused(void **state)
{
	struct vsmmu_region regions[2] = {};
	struct rig *rig = *state;
	const struct vsmmu_config good = rig_config(rig);
	struct vsmmu_config config = good;

	memset(&config, 0, sizeof(config));
	assert_config_refused(rig, &config, VSMMU_REASON_CONFIG);
	config = good;
	config.size--;
	assert_config_refused(rig, &config, VSMMU_REASON_CONFIG);
	config.size += 2;
	assert_config_refused(rig, &config, VSMMU_REASON_CONFIG);
	config = good;
	config.flags = 4;
	assert_config_refused(rig, &config, VSMMU_REASON_FLAGS);
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	config.accel_fd = -1;
	assert_config_refused(rig, &config, VSMMU_REASON_ACCEL_FD);
	config = good;
	config.iommufd = -1;
	assert_config_refused(rig, &config, VSMMU_REASON_IOMMUFD);
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	assert_config_refused(rig, &config, VSMMU_REASON_IOMMUFD);
	config = good;
	config.regs = (void *)(VSMMU_PAGE_SIZE + 0x1000UL);
	assert_config_refused(rig, &config, VSMMU_REASON_REGS_ALIGN);
	config = good;
	config.regions = regions;
	config.region_num = VSMMU_MAX_REGIONS + 1;
	assert_config_refused(rig, &config, VSMMU_REASON_TOO_MANY_REGIONS);
	config.region_num = 2;
	regions[1].flags = VSMMU_REGION_READONLY << 1;
	assert_config_refused(rig, &config, VSMMU_REASON_REGION_FLAGS);
	regions[1].flags = 0;
	regions[0].reserved = 1;
	assert_config_refused(rig, &config, VSMMU_REASON_REGION_RESERVED);
}

static void test_new_fails(void **state)
{
	static const struct {
		unsigned long request;
		const char *text;
	} table[] = {
		{ SMMUV3_ACCEL_GET_INFO, "GET_INFO: The descriptor is not an iommufd." },
		{ SMMUV3_ACCEL_CREATE, "CREATE: The descriptor is not an iommufd." },
		{ SMMUV3_ACCEL_SET_MEM_TABLE,
		  "SET_MEM_TABLE: The descriptor is not an iommufd." },
	};
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;
	struct vsmmu *v;
	char text[512];
	size_t i;

	config.accel_fd = -1;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		v = (void *)rig;
		fake_fail(&rig->fake, table[i].request, -EBUSY,
			  SMMUV3_ACCEL_REASON_NOT_IOMMUFD, 1);
		assert_int_equal(vsmmu_new(&config, &v, &error), -EBUSY);
		assert_null(v);
		assert_int_equal(rig->fake.closed, i + 1);
		assert_int_equal(error.error, -EBUSY);
		assert_int_equal(error.request, table[i].request);
		assert_ptr_equal(vsmmu_strerror(&error, text, sizeof(text)),
				 text);
		assert_ptr_equal(strstr(text, table[i].text), text);
	}
	rig->fake.opened = -EACCES;
	assert_int_equal(vsmmu_new(&config, &v, &error), -EACCES);
	assert_int_equal(error.reason, VSMMU_REASON_OPEN);
	vsmmu_strerror(&error, text, sizeof(text));
	assert_non_null(strstr(text, "/dev/smmuv3-accel"));
	assert_non_null(strstr(text, "(Permission denied)"));
	rig->fake.opened = FAKE_FD;
	/* More streams than there is memory for: a failure, not a crash */
	rig->fake.max_streams = ~0U;
	if (!vsmmu_new(&config, &v, &error))
		vsmmu_free(v);
	else
		assert_int_equal(error.error, -ENOMEM);
}

/* The register file in memory that the VMM supplies */
static void test_regs_memory(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	char *memory = aligned_alloc(VSMMU_PAGE_SIZE, VSMMU_REGS_SIZE);
	struct vsmmu *v;
	uint32_t value;

	assert_non_null(memory);
	memset(memory, 0xa5, VSMMU_REGS_SIZE);
	config.regs = memory;
	assert_int_equal(vsmmu_new(&config, &v, NULL), 0);
	assert_ptr_equal(vsmmu_page(v, 0), memory);
	assert_int_equal(memory[VSMMU_REGS_SIZE - 1], 0);
	assert_int_equal(vsmmu_start(v, NULL), 0);
	assert_int_equal(vsmmu_write(v, CMDQ_PROD, 0x1234, 4), 0);
	memcpy(&value, memory + CMDQ_PROD, sizeof(value));
	assert_int_equal(value, 0x1234);
	vsmmu_free(v);
	free(memory);
}

static void test_probe_and_start(void **state)
{
	struct vsmmu_error error;
	struct rig *rig = *state;
	char text[256], want[256];

	assert_int_equal(vsmmu_probe(rig->v, 5, 0), 0);
	assert_int_equal(rig->fake.attach.vfio_fd, 5);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH), 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_DETACH), 1);
	fake_fail(&rig->fake, SMMUV3_ACCEL_ATTACH, -EOPNOTSUPP,
		  SMMUV3_ACCEL_REASON_NO_NESTING, 1);
	assert_int_equal(vsmmu_probe(rig->v, 5, 0), -EOPNOTSUPP);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_NO_NESTING);
	fake_fail(&rig->fake, SMMUV3_ACCEL_DETACH, -ENOENT,
		  SMMUV3_ACCEL_REASON_NO_STREAM, 1);
	assert_int_equal(vsmmu_probe(rig->v, 5, 0), -ENOENT);
	rig->fake.attached = 0;

	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_IDR, -EOPNOTSUPP,
		  SMMUV3_ACCEL_REASON_IDR_HOST, 1);
	assert_int_equal(vsmmu_start(rig->v, NULL), -EOPNOTSUPP);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.request, SMMUV3_ACCEL_SET_IDR);
	vsmmu_strerror(&error, text, sizeof(text));
	snprintf(want, sizeof(want), "SET_IDR: %s (Operation not supported)",
		 vsmmu_reason_string(error.reason));
	assert_string_equal(text, want);
	fake_fail(&rig->fake, SMMUV3_ACCEL_GET_PHYS, -EIO, 0, 1);
	assert_int_equal(vsmmu_start(rig->v, NULL), -EIO);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM, 0, 1);
	assert_int_equal(vsmmu_start(rig->v, NULL), -EAGAIN);
	assert_int_equal(put(rig, CR0, SMMUEN), -ENXIO);

	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	assert_refused(rig->v, vsmmu_start(rig->v, NULL), -EBUSY,
		       VSMMU_REASON_STARTED);
	assert_refused(rig->v, vsmmu_probe(rig->v, 5, 0), -EBUSY,
		       VSMMU_REASON_STARTED);
	assert_int_equal(rig->fake.attached, 0);
}

static void test_memory(void **state)
{
	static struct vsmmu_region regions[VSMMU_MAX_REGIONS + 1];
	const uint32_t last = VSMMU_MAX_REGIONS - 1;
	struct vsmmu_error error;
	struct rig *rig = *state;

	assert_refused(rig->v, vsmmu_set_memory(rig->v, regions, last + 2),
		       -EINVAL, VSMMU_REASON_TOO_MANY_REGIONS);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE), 0);
	regions[last].flags = VSMMU_REGION_READONLY << 1;
	assert_refused(rig->v, vsmmu_set_memory(rig->v, regions, last + 1),
		       -EINVAL, VSMMU_REASON_REGION_FLAGS);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.bad_region, last);
	regions[last].flags = VSMMU_REGION_READONLY;
	regions[1].reserved = 1;
	assert_refused(rig->v, vsmmu_set_memory(rig->v, regions, last + 1),
		       -EINVAL, VSMMU_REASON_REGION_RESERVED);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.bad_region, 1);
	regions[1].reserved = 0;
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE), 0);
	/* The kernel gets them all, as structs of its own. */
	regions[1] = (struct vsmmu_region){ 1, 2, 3, VSMMU_REGION_READONLY };
	assert_int_equal(vsmmu_set_memory(rig->v, regions, VSMMU_MAX_REGIONS), 0);
	assert_int_equal(rig->fake.region_num, VSMMU_MAX_REGIONS);
	assert_int_equal(rig->fake.region[1].gpa, 1);
	assert_int_equal(rig->fake.region[1].size, 2);
	assert_int_equal(rig->fake.region[1].uaddr, 3);
	assert_int_equal(vsmmu_set_memory(rig->v, NULL, 0), 0);
	assert_int_equal(rig->fake.region_num, 0);
}

/* If the kernel refuses the regions, the old ones stay. */
static void test_memory_refused(void **state)
{
	const struct vsmmu_region region = { 0, 1, 1 };
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_error error;
	struct rig *rig = *state;

	enable_eventq(rig, RAM_BASE, 4);
	rig->fake.fail_region = 7;
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE, -EINVAL,
		  SMMUV3_ACCEL_REASON_REGION_OVERLAP, 1);
	assert_int_equal(vsmmu_set_memory(rig->v, &region, 1), -EINVAL);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.request, SMMUV3_ACCEL_SET_MEM_TABLE);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_REGION_OVERLAP);
	assert_int_equal(error.bad_region, 7);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_memory_equal(rig_ptr(rig, RAM_BASE), event, sizeof(event));
}

/* ID registers */

static uint32_t field(const uint32_t idr[6], int reg, unsigned int hi, unsigned int lo)
{
	return (idr[reg] >> lo) & ((2ULL << (hi - lo)) - 1);
}

/*
 * The rules of Documentation/userspace-api/smmuv3-accel.rst, "ID registers": what
 * the module takes.
 */
static bool module_takes(const uint32_t idr[6], const uint32_t host[6])
{
	static const uint32_t known[6] = {
		0x1f68341e, 0x03ff07ff, 0, 0x1c04, 0, 0xcf7,
	};
	static const struct {
		uint8_t reg, hi, lo;
	} subset[] = {
		{ 0, 3, 2 }, { 0, 10, 10 }, { 0, 12, 12 }, { 0, 19, 19 },
		{ 3, 2, 2 }, { 3, 10, 10 }, { 5, 6, 4 }, { 5, 7, 7 },
	}, up_to[] = {
		{ 1, 5, 0 }, { 1, 10, 6 }, { 3, 12, 11 }, { 5, 11, 10 },
		{ 5, 2, 0 },
	};
	size_t i;

	for (i = 0; i < 6; i++)
		if (idr[i] & ~known[i])
			return false;
	for (i = 0; i < ARRAY_LEN(subset); i++)
		if (field(idr, subset[i].reg, subset[i].hi, subset[i].lo) &
		    ~field(host, subset[i].reg, subset[i].hi, subset[i].lo))
			return false;
	for (i = 0; i < ARRAY_LEN(up_to); i++)
		if (field(idr, up_to[i].reg, up_to[i].hi, up_to[i].lo) >
		    field(host, up_to[i].reg, up_to[i].hi, up_to[i].lo))
			return false;
	return field(idr, 0, 1, 1) == 1 && field(idr, 0, 4, 4) == 1 &&
	       field(idr, 0, 25, 24) == 1 && field(idr, 0, 28, 27) <= 1 &&
	       field(idr, 0, 3, 2) && field(idr, 5, 6, 4) &&
	       field(idr, 0, 26, 26) >= field(host, 0, 26, 26) &&
	       field(idr, 0, 22, 21) != 1 &&
	       (field(idr, 0, 22, 21) == field(host, 0, 22, 21) ||
		!field(host, 0, 22, 21)) &&
	       field(idr, 1, 5, 0) <= 31 &&
	       field(idr, 1, 25, 21) <= 19 && field(idr, 1, 20, 16) <= 19;
}

/*
 * Whether an SMMU of the version that AIDR names can have these ID registers: it has
 * all mandatory features of its version, and others of at most the next one (Arm IHI
 * 0070, 2.9).
 */
static bool version_has(uint32_t aidr, const uint32_t idr[6])
{
	bool had = field(idr, 3, 2, 2), ril = field(idr, 3, 10, 10);
	bool gran64k = field(idr, 5, 6, 6), ds = field(idr, 5, 7, 7);
	uint32_t oas = field(idr, 5, 2, 0), vax = field(idr, 5, 11, 10);
	uint32_t bbml = field(idr, 3, 12, 11);
	bool fwb = field(idr, 3, 8, 8), e0pd = field(idr, 3, 13, 13);

	if (aidr > 4 || vax > 1 || oas > 6)		/* needs 128-bit descriptors */
		return false;
	if (!gran64k && !ds && (vax || oas == 6))
		return false;
	switch (aidr) {
	case 0:						/* reserved values */
		if (oas == 6 || vax || ril || bbml)
			return false;
		break;
	case 1:
		if (!had)
			return false;
		break;
	default:
		if (!had || !ril || bbml < 1 || bbml > 2 || !fwb ||
		    (aidr > 2 && !e0pd))
			return false;
		break;
	}
	return !ds || aidr >= 3;
}

/* SMMU_AIDR of a virtual SMMU on given physical SMMUs */
static uint32_t aidr_of(struct rig *rig, const struct vsmmu_options *options)
{
	struct vsmmu_config config = rig_config(rig);
	uint64_t aidr;

	vsmmu_free(rig->v);
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, options), 0);
	assert_int_equal(vsmmu_read(rig->v, AIDR, &aidr, 4), 0);
	return aidr;
}

/*
 * All options on hosts of each version, and on hosts that no version has: what is
 * offered is something that an SMMU can be.
 */
static void test_idr_versions(void **state)
{
	static const uint32_t idr3[] = {
		0, 1 << 2, 1 << 10, 1 << 2 | 1 << 10, 1 << 2 | 1 << 11,
		1 << 2 | 1 << 10 | 1 << 11, 1 << 2 | 1 << 10 | 2 << 11,
		1 << 10 | 2 << 11, 1 << 2 | 1 << 8 | 1 << 10 | 2 << 11 | 1 << 13,
	};
	static const uint32_t idr5[] = {
		5 | 7 << 4, 6 | 7 << 4, 6 | 1 << 4, 5 | 7 << 4 | 1 << 10,
		6 | 3 << 4 | 1 << 7 | 1 << 10, 6 | 7 << 4 | 1 << 7 | 1 << 10,
		7 | 7 << 4 | 3 << 7 | 2 << 10, 2 | 4 << 4,
	};
	static const uint8_t oas[] = { 0, 32, 48, 52 };
	struct rig *rig = *state;
	struct vsmmu_options options = {};
	unsigned int seen[2] = { 0 };
	uint32_t idr[6], aidr;
	size_t i, j, k;

	for (i = 0; i < ARRAY_LEN(idr3) * ARRAY_LEN(idr5); i++) {
		rig->fake.phys[0].out_idr[3] = idr3[i % ARRAY_LEN(idr3)];
		rig->fake.phys[0].out_idr[5] = idr5[i / ARRAY_LEN(idr3)];
		for (j = 0; j < ARRAY_LEN(oas) * 16; j++) {
			options.flags = j % 16;
			options.oas = oas[j / 16];
			aidr = aidr_of(rig, &options);
			for (k = 0; k < 6; k++)
				idr[k] = get(rig, k * 4);
			assert_in_range(aidr, 0, 1);
			seen[aidr]++;
			if (!version_has(aidr, idr))
				fail_msg("flags %#x, oas %u: AIDR %u, %#x %#x",
					 options.flags, options.oas, aidr, idr[3],
					 idr[5]);
			/* Nothing is held back that SMMUv3.1 may have. */
			if (aidr && !(options.flags & VSMMU_OPT_NO_RIL))
				assert_int_equal(idr[3], idr3[i % ARRAY_LEN(idr3)] &
							 (1 << 2 | 1 << 10 | 3 << 11));
		}
	}
	assert_true(seen[0] && seen[1]);

	/* The VMM comes first. */
	options = (struct vsmmu_options){ .flags = VSMMU_OPT_IDR, .aidr = 2 };
	assert_int_equal(aidr_of(rig, &options), 2);
	options.aidr = 0;
	options.idr[3] = 1 << 2;
	assert_int_equal(aidr_of(rig, &options), 0);
}

static uint32_t random_bits(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

/* On random hosts, the module accepts the default ID registers for each of them. */
static void test_idr_random(void **state)
{
	static const uint8_t oas[] = { 0, 32, 36, 40, 42, 44, 48, 52 };
	struct smmuv3_accel_phys phys[3];
	unsigned int i, j, num, offered = 0;
	struct vsmmu_options options;
	uint32_t idr[6];
	int rc;

	(void)state;
	for (i = 0; i < 20000; i++) {
		num = 1 + random_bits() % 3;
		for (j = 0; j < num; j++) {
			memset(&phys[j], 0, sizeof(phys[j]));
			phys[j].out_idr[0] = random_bits() & ~(3U << 21);
			phys[j].out_idr[0] |= random_bits() % 4 ? 2U << 21 :
					      random_bits() & 1 ? 3U << 21 : 0;
			/* Random bits, but mostly enough of them */
			phys[j].out_idr[0] |= random_bits() % 8 ? 2U << 2 : 0;
			phys[j].out_idr[1] = random_bits() & ~0x3fU;
			phys[j].out_idr[1] |= random_bits() % 33;
			phys[j].out_idr[2] = random_bits();
			phys[j].out_idr[3] = random_bits();
			phys[j].out_idr[4] = random_bits();
			phys[j].out_idr[5] = random_bits();
		}
		options = (struct vsmmu_options){
			.flags = random_bits() & 0x2f,
			.oas = oas[random_bits() % ARRAY_LEN(oas)],
			.sid_bits = random_bits() % 32,
			.ssid_bits = random_bits() % 21,
			.cmdq_bits = random_bits() % 20,
			.eventq_bits = random_bits() % 20,
		};
		rc = vsmmu_compute_idr(phys, num, &options, idr);
		if (rc) {
			assert_int_equal(rc, -EOPNOTSUPP);
			continue;
		}
		offered++;
		for (j = 0; j < num; j++)
			if (!module_takes(idr, phys[j].out_idr))
				fail_msg("round %u: %#x %#x %#x %#x", i, idr[0],
					 idr[1], idr[3], idr[5]);
	}
	assert_in_range(offered, 5000, 19999);
}

/* And they offer as much as the hosts allow. */
static void test_idr_default(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_options options = {};
	uint32_t idr[6], host_b[6];

	assert_int_equal(vsmmu_default_idr(rig->v, NULL, idr), 0);
	assert_int_equal(idr[0], 0x0d48101a);
	/* Queues of 64 KiB each */
	assert_int_equal(idr[1], 12 << 21 | 11 << 16 | 16);
	assert_int_equal(idr[2], 0);
	assert_int_equal(idr[3], 1 << 2 | 1 << 10 | 2 << 11);
	assert_int_equal(idr[4], 0);
	assert_int_equal(idr[5], 6 | 7 << 4 | 1 << 10);

	options.flags = VSMMU_OPT_ATS | VSMMU_OPT_NO_RIL | VSMMU_OPT_LINEAR;
	options.oas = 44;
	options.sid_bits = 20;
	options.ssid_bits = 8;
	options.cmdq_bits = 10;
	options.eventq_bits = 7;
	assert_int_equal(vsmmu_default_idr(rig->v, &options, idr), 0);
	assert_int_equal(idr[0], 0x0548141a);
	assert_int_equal(idr[1], 10 << 21 | 7 << 16 | 8 << 6 | 20);
	assert_int_equal(idr[3], 1 << 2 | 2 << 11);
	assert_int_equal(idr[5], 4 | 7 << 4 | 1 << 10);

	/* A second host with less of each */
	rig->fake.phys_num = 2;
	rig->fake.phys[1] = rig->fake.phys[0];
	rig->fake.phys[1].out_idr[0] = 2 << 2;
	rig->fake.phys[1].out_idr[1] = 5 << 6 | 9;
	rig->fake.phys[1].out_idr[3] = 1 << 11;
	rig->fake.phys[1].out_idr[5] = 2 | 5 << 4;
	assert_int_equal(vsmmu_default_idr(rig->v, &options, idr), 0);
	assert_int_equal(idr[0], 2 << 2 | 2 | 1 << 4 | 2 << 21 | 1 << 24 | 1 << 26);
	assert_int_equal(idr[1], 10 << 21 | 7 << 16 | 5 << 6 | 9);
	assert_int_equal(idr[3], 0);
	assert_int_equal(idr[5], 2 | 5 << 4);

	/* The order of hosts does not matter. */
	rig->fake.phys[2] = rig->fake.phys[0];
	memcpy(&rig->fake.phys[0], &rig->fake.phys[1], sizeof(rig->fake.phys[0]));
	memcpy(&rig->fake.phys[1], &rig->fake.phys[2], sizeof(rig->fake.phys[0]));
	assert_int_equal(vsmmu_default_idr(rig->v, &options, host_b), 0);
	assert_memory_equal(idr, host_b, sizeof(idr));
}

static void test_idr_errors(void **state)
{
	static const struct vsmmu_options wrong[] = {
		{ .flags = 1 << 6 }, { .oas = 33 }, { .oas = 56 },
		{ .sid_bits = 32 }, { .ssid_bits = 21 }, { .cmdq_bits = 20 },
		{ .eventq_bits = 20 },
	};
	struct vsmmu_options options = { .flags = VSMMU_OPT_IDR };
	struct rig *rig = *state;
	uint32_t idr[6];
	size_t i;

	for (i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(rig->v, vsmmu_default_idr(rig->v, &wrong[i], idr),
			       -EINVAL, VSMMU_REASON_OPTION);
	rig->fake.phys_num = 2;
	rig->fake.phys[1] = rig->fake.phys[0];
	/* A big-endian host beside a little-endian one */
	rig->fake.phys[1].out_idr[0] |= 3 << 21;
	assert_refused(rig->v, vsmmu_default_idr(rig->v, NULL, idr), -EOPNOTSUPP,
		       VSMMU_REASON_NOTHING_COMMON);
	/* No granule in common, none with AArch64 tables */
	rig->fake.phys[1] = rig->fake.phys[0];
	rig->fake.phys[0].out_idr[5] = 6 | 1 << 4;
	rig->fake.phys[1].out_idr[5] = 6 | 6 << 4;
	assert_int_equal(vsmmu_default_idr(rig->v, NULL, idr), -EOPNOTSUPP);
	rig->fake.phys[1] = rig->fake.phys[0];
	rig->fake.phys[1].out_idr[0] &= ~(2U << 2);
	assert_int_equal(vsmmu_default_idr(rig->v, NULL, idr), -EOPNOTSUPP);

	/* Nothing was probed: only what the VMM says itself can be offered. */
	rig->fake.phys_num = 0;
	assert_refused(rig->v, vsmmu_start(rig->v, NULL), -ENODEV,
		       VSMMU_REASON_NO_PHYS);
	for (i = 0; i < 6; i++)
		options.idr[i] = i + 1;
	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	assert_memory_equal(rig->fake.idr.idr, options.idr, sizeof(options.idr));
	assert_int_equal(get(rig, IDR0), 1);
	assert_int_equal(get(rig, IDR5), 6);
}

/* The real kernel, as far as it can be reached on any machine */
static void test_real_kernel(void **state)
{
	struct vsmmu_config config = VSMMU_CONFIG_INIT;
	struct vsmmu_error error;
	struct vsmmu *v;
	int fds[2];

	(void)state;
	config.iommufd = 0;
	config.accel_fd = 1 << 20;
	assert_int_equal(vsmmu_new(&config, &v, &error), -EBADF);
	assert_int_equal(error.request, SMMUV3_ACCEL_GET_INFO);
	assert_int_equal(pipe(fds), 0);
	config.accel_fd = fds[0];
	assert_int_equal(vsmmu_new(&config, &v, &error), -ENOTTY);
	/* Not closed by that */
	assert_int_equal(write(fds[1], "x", 1), 1);
	close(fds[0]);
	close(fds[1]);
}

/* How the real kernel names descriptors. Most machines have no vEVENTQ. */
static void test_identify(void **state)
{
	int fds[2], event = eventfd(0, EFD_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int file = memfd_create("[eventfd]", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(fds), 0);
#define IDENTIFY(_fd) vsmmu__kernel.identify(NULL, _fd)
	assert_int_equal(IDENTIFY(event), VSMMU_FD_EVENTFD);
	assert_int_equal(IDENTIFY(timer), VSMMU_FD_OTHER);
	assert_int_equal(IDENTIFY(file), VSMMU_FD_OTHER);
	assert_int_equal(IDENTIFY(fds[0]), VSMMU_FD_OTHER);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(IDENTIFY(fds[0]), -EBADF);
	assert_int_equal(IDENTIFY(-1), -EBADF);
	close(file);
	close(timer);
	close(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_new, rig_setup_off),
		TEST(test_config_refused, rig_setup_off),
		TEST(test_new_fails, rig_setup_off),
		TEST(test_regs_memory, rig_setup_off),
		TEST(test_probe_and_start, rig_setup_off),
		TEST(test_memory, rig_setup_off),
		TEST(test_memory_refused, rig_setup),
		TEST(test_idr_random, rig_setup_off),
		TEST(test_idr_default, rig_setup_off),
		TEST(test_idr_versions, rig_setup_off),
		TEST(test_idr_errors, rig_setup_off),
		TEST(test_real_kernel, rig_setup_off),
		TEST(test_identify, rig_setup_off),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
