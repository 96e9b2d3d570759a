// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Traces of drivers, played on the fake kernel. Here it knows which commands there are,
 * and the STE of one stream.
 */
#include <endian.h>

#include "rig.h"
#include "trace.h"

/**
 * struct machine - What a trace is played on
 * @trace: the trace
 * @rig: the kernel and the virtual SMMU
 * @player: the guest
 */
struct machine {
	const struct trace *trace;
	struct rig rig;
	struct trace_player player;
};

static uint64_t guest_word(struct fake *fake, uint64_t gpa)
{
	struct machine *m = fake->data;
	uint64_t offset = gpa - TRACE_RAM, value;

	assert_in_range(offset, 0, TRACE_RAM_SIZE - sizeof(value));
	memcpy(&value, m->player.ram + offset, sizeof(value));
	return le64toh(value);
}

/* Where the stream's STE is; 0: nowhere, for the reason in @reason */
static uint64_t find_ste(struct fake *fake, uint32_t *reason)
{
	uint64_t base = fake->regs.strtab_base & 0xfffffffffffc0ULL;
	uint32_t cfg = fake->regs.strtab_base_cfg, log2size = cfg & 0x3f;
	uint32_t split = cfg >> 6 & 0x1f;
	uint64_t l1;

	*reason = SMMUV3_ACCEL_REASON_STE_SID_RANGE;
	if (TRACE_SID >> log2size)
		return 0;
	if (!(cfg >> 16 & 3))
		return (base & ~((64ULL << log2size) - 1)) + TRACE_SID * 64;
	l1 = guest_word(fake, base + (TRACE_SID >> split) * 8);
	*reason = SMMUV3_ACCEL_REASON_STE_L1_NONE;
	if (!(l1 & 0x1f))
		return 0;
	return (l1 & 0xfffffffffffc0ULL) + (TRACE_SID & ((1U << split) - 1)) * 64;
}

static uint32_t judge_stream(struct fake *fake, uint32_t vsid)
{
	uint32_t reason;
	uint64_t ste = find_ste(fake, &reason);

	assert_int_equal(vsid, TRACE_SID);
	if (!ste)
		return reason;
	ste = guest_word(fake, ste);
	if (!(ste & 1))
		return SMMUV3_ACCEL_REASON_STE_INVALID;
	return (ste >> 1 & 6) == 6 ? SMMUV3_ACCEL_REASON_STE_CONFIG : 0;
}

static bool is_legal(uint64_t opcode)
{
	switch (opcode) {
	case 0x01 ... 0x06:
	case 0x10 ... 0x13:
	case 0x30:
	case 0x46:
		return true;
	default:
		return false;
	}
}

/* CFGI_STE, CFGI_STE_RANGE and CFGI_ALL evaluate STEs, if they are in use. */
static void evaluate(struct fake *fake, struct smmuv3_accel_run_cmdq *run,
		     uint64_t dw0, uint64_t dw1)
{
	unsigned int bits = (dw0 & 0xff) == 0x04 ? (dw1 & 0x1f) + 1 : 0;
	uint32_t reason;

	if ((fake->regs.cr0 & 1) && !((dw0 >> 32 ^ TRACE_SID) >> bits)) {
		reason = judge_stream(fake, TRACE_SID);
		if (reason == SMMUV3_ACCEL_REASON_STE_CONFIG ||
		    reason == SMMUV3_ACCEL_REASON_STE_SID_RANGE)
			fake_bad_ste(run, TRACE_SID, reason);
	}
}

static int run_commands(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	uint32_t log2size = fake->regs.cmdq_base & 0x1f, mask = (2U << log2size) - 1;
	uint64_t base = fake->regs.cmdq_base & 0xfffffffffffe0ULL;
	uint32_t left = run->max_cmds;

	/* The base is aligned to 32 bytes, or to the queue's size if that is more. */
	base &= ~((16ULL << log2size) - 1);
	for (; run->cons != run->prod && left; left--) {
		uint64_t at = base + (run->cons & (mask >> 1)) * 16;
		uint64_t dw0 = guest_word(fake, at);

		if (!is_legal(dw0 & 0xff)) {
			run->out_error = SMMUV3_ACCEL_CERROR_ILL;
			run->out_reason = SMMUV3_ACCEL_REASON_CMD_OPCODE;
			return 0;
		}
		if ((dw0 & 0xff) == 0x46 && (dw0 >> 12 & 3) == 1)
			run->out_flags |= SMMUV3_ACCEL_RUN_SYNC_IRQ;
		if ((dw0 & 0xff) == 0x03 || (dw0 & 0xff) == 0x04)
			evaluate(fake, run, dw0, guest_word(fake, at + 8));
		run->cons = (run->cons + 1) & mask;
	}
	return 0;
}

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct machine *m = opaque;

	m->rig.irqs[line]++;
}

/* The host reports the fault at once. */
static bool fault(void *opaque, uint64_t iova, uint32_t prod)
{
	const uint64_t event[] = {
		htole64(EVENT_F_TRANSLATION | (uint64_t)TRACE_SID << 32), 0,
		htole64(iova), 0,
	};
	struct machine *m = opaque;
	uint64_t value;

	return !vsmmu_inject_event(m->rig.v, event) &&
	       !vsmmu_read(m->rig.v, EVENTQ_PROD, &value, 4) && value == prod;
}

/* A virtual SMMU on a kernel that has none yet, with the guest's memory */
static bool start_vsmmu(struct machine *m, const struct vsmmu_options *options)
{
	const struct vsmmu_region ram = {
		TRACE_RAM, TRACE_RAM_SIZE, (uintptr_t)m->player.ram, 0, 0,
	};
	struct vsmmu_config config = rig_config(&m->rig);

	fake_init(&m->rig.fake);
	m->rig.fake.data = m;
	m->rig.fake.on_run = run_commands;
	m->rig.fake.on_stream = judge_stream;
	config.raise = on_irq;
	config.opaque = m;
	config.regions = &ram;
	config.region_num = 1;
	if (vsmmu_new(&config, &m->rig.v, NULL))
		return false;
	m->player.v = m->rig.v;
	return !vsmmu_start(m->rig.v, options) &&
	       !vsmmu_attach(m->rig.v, 5, TRACE_SID, 0, 0, NULL);
}

static int setup(void **state)
{
	const struct trace *trace = *state;
	const struct vsmmu_options options = { .flags = trace->options };
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	*state = m;
	m->trace = trace;
	rig_new(&m->rig);
	m->player.ram = calloc(1, TRACE_RAM_SIZE);
	assert_non_null(m->player.ram);
	assert_true(start_vsmmu(m, &options));
	m->player.irqs = m->rig.irqs;
	m->player.fault = fault;
	m->player.opaque = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	vsmmu_free(m->rig.v);
	free(m->rig.ram);
	free(m->player.ram);
	free(m);
	return 0;
}

static void test_trace(void **state)
{
	struct machine *m = *state;
	char why[160];

	if (!trace_play(&m->player, m->trace, why, sizeof(why)))
		fail_msg("%s", why);
}

/*
 * Between two steps: save, and restore into a new virtual SMMU on a new kernel, which gets
 * the guest's memory. Edges that a restored virtual SMMU raises again do not count.
 */
static bool migrate(void *opaque)
{
	unsigned int irqs[VSMMU_IRQ_NUM];
	struct vsmmu_options options;
	struct machine *m = opaque;
	struct vsmmu_state state;
	bool done;

	if (vsmmu_save(m->rig.v, &state))
		return false;
	vsmmu_free(m->rig.v);
	m->rig.v = NULL;
	options = (struct vsmmu_options){
		.flags = m->trace->options | VSMMU_OPT_IDR,
		.iidr = state.iidr,
		.aidr = state.aidr,
	};
	memcpy(options.idr, state.idr, sizeof(options.idr));
	memcpy(irqs, m->rig.irqs, sizeof(irqs));
	done = start_vsmmu(m, &options) && !vsmmu_restore(m->rig.v, &state);
	memcpy(m->rig.irqs, irqs, sizeof(irqs));
	return done;
}

static void test_migrated(void **state)
{
	struct machine *m = *state;

	m->player.between = migrate;
	test_trace(state);
}

int main(void)
{
	struct CMUnitTest *tests = calloc(2 * trace_num, sizeof(*tests));
	unsigned int i, num;
	int rc;

	for (i = 0; tests && i < trace_num; i++)
		tests[i] = (struct CMUnitTest){
			.name = traces[i]->name,
			.test_func = test_trace,
			.setup_func = setup,
			.teardown_func = teardown,
			.initial_state = (void *)traces[i],
		};
	/* And all that can be once more */
	for (i = 0, num = trace_num; tests && i < trace_num; i++) {
		if (traces[i]->unsaved)
			continue;
		tests[num] = tests[i];
		tests[num++].test_func = test_migrated;
	}
	rc = tests ? _cmocka_run_group_tests("traces", tests, num, NULL, NULL) : 1;
	free(tests);
	return rc;
}
