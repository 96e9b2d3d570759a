// SPDX-License-Identifier: GPL-2.0
/* The tracepoints. An enabled one turns the fast path of a run off */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "harness.h"
#include "machine.h"

#define VSID	MACHINE_VSID

#define TRACE	"/sys/kernel/tracing/instances/smmuv3-accel-cmdq"

FIXTURE(trace)
{
	struct machine m;
	__u32 id;
	char text[4096];
};

/* The events since the last call, a line each, without time, task and duration */
static const char *trace_take(char *text, size_t size)
{
	FILE *trace = fopen(TRACE "/trace", "r");
	char line[512], *event, *ns, *rest;
	size_t len = 0;

	text[0] = 0;
	while (trace && fgets(line, sizeof(line), trace)) {
		event = strstr(line, "smmuv3_accel_");
		if (line[0] == '#' || !event)
			continue;
		ns = strstr(event, " ns=");
		if (ns) {
			rest = ns + 4 + strspn(ns + 4, "0123456789");
			memmove(ns, rest, strlen(rest) + 1);
		}
		if (len < size)
			len += snprintf(text + len, size - len, "%s", event);
	}
	if (trace)
		fclose(trace);
	trace = fopen(TRACE "/trace", "w");	/* empties it */
	if (trace)
		fclose(trace);
	return text;
}

#define EXPECT_TRACED(...)							\
	do {									\
		char _want[1024];						\
										\
		snprintf(_want, sizeof(_want), __VA_ARGS__);			\
		EXPECT_STREQ(_want, trace_take(self->text, sizeof(self->text)));	\
	} while (0)

/* Arguments: ID, asked, done, issued, cerror, reason */
#define TRACED_RUN								\
	"smmuv3_accel_run: vsmmu=%u asked=%u done=%u issued=%u subsumed=0 "	\
	"merged=0 withheld=0 cerror=%u reason=%u vsid=0x0 error=0\n"

FIXTURE_SETUP(trace)
{
	static const char first[] = "smmuv3_accel_attach: vsmmu=";
	const char *text;

	rmdir(TRACE);		/* left by a run that was killed */
	if (access("/sys/kernel/tracing/events/smmuv3_accel", F_OK))
		SKIP(return, "no tracefs");
	ASSERT_EQ(0, mkdir(TRACE, 0700));
	ASSERT_EQ(0, sysfs_write(TRACE "/events/smmuv3_accel/enable", "1"));
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1,
				  .ring_log2size = 5));
	text = trace_take(self->text, sizeof(self->text));
	ASSERT_EQ(0, strncmp(text, first, strlen(first))) TH_LOG("%s", text);
	self->id = strtoul(text + strlen(first), NULL, 10);
}

FIXTURE_TEARDOWN(trace)
{
	machine_close(&self->m);
	rmdir(TRACE);
}

TEST_F(trace, attach_and_detach_are_traced)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];

	EXPECT_EQ(-EEXIST, machine_attach(m, 0));
	EXPECT_TRACED("smmuv3_accel_attach: vsmmu=%u vsid=0x%x dev_id=0 error=%d reason=%u\n",
		      self->id, VSID, -EEXIST, s->ids.out_reason);
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_TRACED("smmuv3_accel_detach: vsmmu=%u vsid=0x%x\n", self->id, VSID);
	ASSERT_EQ(0, machine_attach(m, 0));
	EXPECT_TRACED("smmuv3_accel_ste: vsmmu=%u vsid=0x%x abort -> s1 reason=0 error=0\n"
		      "smmuv3_accel_attach: vsmmu=%u vsid=0x%x dev_id=%u error=0 reason=0\n",
		      self->id, VSID, self->id, VSID, s->dev.dev_id);
}

TEST_F(trace, change_of_streamids_is_traced)
{
	const struct smmuv3_accel_vsid unset = { VSID, VSID_NAME(3) }, set = { VSID_NAME(3), VSID };
	struct smmuv3_accel_set_vsids out;
	struct machine *m = &self->m;

	ASSERT_EQ(0, accel_set_vsids(&m->g, &unset, 1, &out));
	EXPECT_TRACED("smmuv3_accel_vsid: vsmmu=%u vsid=0x%x -> 0x%x\n", self->id, VSID,
		      VSID_NAME(3));
	EXPECT_EQ(-ENOENT, accel_set_vsids(&m->g, &unset, 1, &out));
	EXPECT_STREQ("", trace_take(self->text, sizeof(self->text)));
	ASSERT_EQ(0, accel_set_vsids(&m->g, &set, 1, &out));
	EXPECT_TRACED("smmuv3_accel_vsid: vsmmu=%u vsid=0x%x -> 0x%x\n"
		      "smmuv3_accel_ste: vsmmu=%u vsid=0x%x abort -> s1 reason=0 error=0\n",
		      self->id, VSID_NAME(3), VSID, self->id, VSID);
}

TEST_F(trace, each_kind_of_run_is_traced)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_invalidate inv;
	struct cmd cmds[] = { machine_tlbi(m, 0), cmd_sync() };
	__u64 ste[8];
	__u32 flags;

	/* A doorbell that takes the fast path if nobody traces */
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	EXPECT_RUNS(m, machine_tlbi(m, 0), 0);
	EXPECT_TRACED(TRACED_RUN, self->id, 2, 2, 1, 0, 0);
	EXPECT_EQ(2, machine_goes(m, 0));

	/* An illegal STE */
	ste_config(ste, STE_CFG_S2);
	strtab_write(&m->strtab, VSID, ste);
	ASSERT_TRUE(machine_run_cmd(m, cmd_cfgi_ste(VSID, true), &flags));
	EXPECT_TRACED("smmuv3_accel_ste: vsmmu=%u vsid=0x%x s1 -> abort reason=%u error=0\n"
		      TRACED_RUN, self->id, VSID, machine_reason(m, VSID), self->id, 2, 2, 0, 0, 0);

	/* An illegal command */
	ring_put(&m->ring, cmd_filler(0));
	ring_put(&m->ring, cmd_illegal());
	ring_put(&m->ring, cmd_filler(1));
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_TRACED(TRACED_RUN, self->id, 3, 1, 1, SMMUV3_ACCEL_CERROR_ILL, out.out_reason);
	EXPECT_NE(0, out.out_reason);

	/* INVALIDATE */
	ASSERT_EQ(0, accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &inv));
	EXPECT_TRACED(TRACED_RUN, self->id, 2, 2, 1, 0, 0);

	ASSERT_EQ(0, sysfs_write(TRACE "/events/smmuv3_accel/enable", "0"));
	ASSERT_EQ(0, accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &inv));
	EXPECT_STREQ("", trace_take(self->text, sizeof(self->text)));
}

TEST_HARNESS_MAIN
