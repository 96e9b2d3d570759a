/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture that the tests share: a VMM with its guest, and iommu-testdevs
 * behind the guest's SMMU. struct machine_options says what a test needs.
 *
 * Functions that return an int return 0 or a negative errno.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_MACHINE_H
#define SELFTEST_SMMUV3_ACCEL_MACHINE_H

#include "guest.h"

#define MACHINE_STREAMS	4
#define MACHINE_PAGES	5
#define MACHINE_ASID	5	/* of the first stream; the others' follow */
#define FILLER_ASID	(MACHINE_ASID + MACHINE_STREAMS)	/* no stream's */
#define MACHINE_VSID	0x111	/* of the first stream; the others' follow */

/**
 * struct stage1 - A page table for one DMA address, and the CD that leads to it
 * @pt: the page table
 * @cd: the CD
 * @asid: its ASID
 * @ste: an STE that translates through @cd
 * @page: pages of guest memory. The device writes to the address of page[0], which is valid
 *   in each configuration: bypass leads to page[0], stage 1 to another page, at first to
 *   page[1]
 */
struct stage1 {
	struct pgtable pt;
	__u64 cd;
	unsigned int asid;
	__u64 ste[8];
	__u64 page[MACHINE_PAGES];
};

int stage1_init(struct stage1 *s1, struct guest *g, unsigned int granule,
		unsigned int asid);
void stage1_lead(struct stage1 *s1, int page);
struct cmd stage1_tlbi(const struct stage1 *s1);

/**
 * struct stream - A device, and the guest's tables for it
 * @dev: the device
 * @vsid: its virtual StreamID
 * @ids: the results of the last ATTACH
 * @s1: its stage 1
 */
struct stream {
	struct dma_dev dev;
	__u32 vsid;
	struct smmuv3_accel_attach ids;
	struct stage1 s1;
};

bool dma_lands(struct guest *g, struct dma_dev *dev, __u64 iova, __u64 gpa);
int stream_goes(struct stream *s);

/* How far a machine is set up. Each stage includes the one before */
enum machine_stage {
	STAGE_MEMORY,	/* guest memory and tables; devices bound to the iommufd */
	STAGE_OPEN,	/* /dev/smmuv3-accel is open */
	STAGE_CREATED,	/* CREATE and SET_MEM_TABLE */
	STAGE_ATTACHED,	/* ATTACH */
	STAGE_EXPLICIT,	/* INSTALL_STE: stage 1 translates */
	STAGE_RUNNING,	/* table mode, in place of INSTALL_STE */
};

/**
 * struct machine_options - What a test needs
 * @stage: how far to set the machine up
 * @create_flags: flags of CREATE
 * @devices: how many iommu-testdevs
 * @spare: how many of these, from the last, are not attached
 * @idle: how many of those attached, from the last, have no STE
 * @first_device: number of the first among the iommu-testdevs
 * @smmus: physical SMMUs that the devices are dealt out to in turn; 0: any
 * @one_table: all streams use the first one's stage 1
 * @vsid: virtual StreamIDs; 0: MACHINE_VSID + index
 * @granule: of the page tables, GRANULE_*; 0: GRANULE_4K
 * @split: of the stream table: 0: linear, else 6, 8 or 10
 * @strtab_log2size: log2 of the stream table's length; 0: 10
 * @ring_log2size: log2 of the command queue's length; 0: 5
 * @memfd: guest memory; 0: private memory
 */
struct machine_options {
	enum machine_stage stage;
	__u32 create_flags;
	unsigned int devices;
	unsigned int spare;
	unsigned int idle;
	unsigned int first_device;
	unsigned int smmus;
	bool one_table;
	__u32 vsid[MACHINE_STREAMS];
	unsigned int granule;
	unsigned int split;
	unsigned int strtab_log2size;
	unsigned int ring_log2size;
	int memfd;
};

/**
 * struct machine - A VMM with its guest
 * @g: guest memory and descriptors
 * @ring: the command queue
 * @strtab: the stream table
 * @cr0: SMMU_CR0, as machine_set_regs() sets it
 * @gbpa: SMMU_GBPA, likewise
 * @options: what it was made from
 * @stage: how far it is set up
 * @stream: its devices
 * @num: how many of them are open
 */
struct machine {
	struct guest g;
	struct ring ring;
	struct strtab strtab;
	__u32 cr0;
	__u32 gbpa;
	struct machine_options options;
	enum machine_stage stage;
	struct stream stream[MACHINE_STREAMS];
	unsigned int num;
};

int machine_open_options(struct machine *m, const struct machine_options *options);
int machine_boot(struct machine *m);
int machine_open_devices(struct machine *m);
int machine_reach(struct machine *m, enum machine_stage stage);
void machine_close(struct machine *m);

/* -ENODEV: there are not enough devices */
#define machine_open(m, ...) \
	machine_open_options(m, &(const struct machine_options){ __VA_ARGS__ })

int machine_goes(struct machine *m, unsigned int i);
void machine_lead(struct machine *m, unsigned int i, int page);
struct cmd machine_tlbi(struct machine *m, unsigned int i);

int machine_attach(struct machine *m, unsigned int i);
int machine_detach(struct machine *m, unsigned int i);
int machine_attach_feeds(struct machine *m, __u32 vsid, unsigned int num);
void machine_regs(struct machine *m, struct smmuv3_accel_set_regs *arg);
int machine_set_regs(struct machine *m);
void machine_write_ste(struct machine *m, unsigned int i, unsigned int cfg);
int machine_install(struct machine *m, unsigned int i, unsigned int cfg);
int machine_change_ste(struct machine *m, unsigned int i, unsigned int cfg);
int machine_exercise(struct machine *m);
int machine_bypass(struct machine *m, unsigned int i);
int machine_find_idr(struct machine *m, __u32 idr[6]);
bool machine_has(struct machine *m, int reg, __u32 bit);
int machine_host_cmd(struct machine *m, unsigned int i, const struct cmd *cmd);
bool machine_host_checks(struct machine *m);

struct cmd cmd_filler(unsigned int i);
void machine_ring_at(struct machine *m, __u32 index);
bool machine_run(struct machine *m, struct smmuv3_accel_run_cmdq *out);
bool machine_sync(struct machine *m);
int machine_invalidate(struct machine *m, const struct cmd *cmds, __u32 num);

/**
 * struct doorbell_options - The limit and the buffers of a RUN_CMDQ
 * @max_cmds: the most commands to run; 0: no limit
 * @feed: takes the feed
 * @feed_room: how many commands it has room for
 * @bad: takes the streams without a legal STE
 * @bad_room: how many streams it has room for
 */
struct doorbell_options {
	__u32 max_cmds;
	struct cmd *feed;
	__u32 feed_room;
	struct smmuv3_accel_bad_ste *bad;
	__u32 bad_room;
};

int machine_doorbell_options(struct machine *m, struct smmuv3_accel_run_cmdq *out,
			     const struct doorbell_options *options);

/* Ring the doorbell once. CONS stays with the caller */
#define machine_doorbell(m, out, ...) \
	machine_doorbell_options(m, out, &(const struct doorbell_options){ __VA_ARGS__ })

bool machine_run_cmd(struct machine *m, struct cmd first, __u32 *flags);

struct smmuv3_accel_stats machine_stats(struct machine *m);
__u32 machine_reason(struct machine *m, __u32 vsid);

/* Carry out all commands, and a CMD_SYNC */
#define INVALIDATE(m, ...)						\
	({								\
		const struct cmd _cmds[] = { __VA_ARGS__, cmd_sync() };	\
									\
		machine_invalidate(m, _cmds, ARRAY_LEN(_cmds));		\
	})

/* Run one command and a CMD_SYNC. @want_flags: what RUN_CMDQ reports besides RUN_CFGI */
#define EXPECT_RUNS(m, cmd, want_flags)					\
	do {								\
		__u32 _flags = 0;					\
									\
		EXPECT_TRUE(machine_run_cmd(m, cmd, &_flags));		\
		EXPECT_EQ(want_flags, _flags);				\
	} while (0)

/*
 * ATTACH refuses, also as a dry run, and reports nothing but the reason. After @_reason:
 * members of its struct.
 */
#define EXPECT_REFUSED(g, _errno, _reason, ...)				\
	do {								\
		struct smmuv3_accel_attach _arg = { __VA_ARGS__ }, _out;	\
		int _i;							\
									\
		_arg.flags ^= SMMUV3_ACCEL_ATTACH_DRY_RUN;		\
		for (_i = 0; _i < 2; _i++) {				\
			EXPECT_EQ(-(_errno), accel_attach_arg(g, _arg, &_out)); \
			EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _out.out_reason); \
			EXPECT_EQ(0, _out.out_dev_id);			\
			EXPECT_EQ(0, _out.out_viommu_id);		\
			EXPECT_EQ(0, _out.out_vdevice_id);		\
			EXPECT_EQ(0, _out.out_s2_hwpt_id);		\
			EXPECT_EQ(0, _out.out_phys);			\
			_arg.flags ^= SMMUV3_ACCEL_ATTACH_DRY_RUN;	\
		}							\
	} while (0)

/* An address that no table maps */
#define NOWHERE	0x20000000ULL

/* DMA of a stream's device faults, and the event has the stream's StreamID */
#define EXPECT_FAULT(s, veventq)						\
	do {								\
		__u64 _evt[4];						\
									\
		ASSERT_EQ(-EFAULT, testdev_write(&(s)->dev, NOWHERE));	\
		ASSERT_EQ(0, veventq_read(veventq, _evt, 5000));	\
		EXPECT_EQ(EVT_F_TRANSLATION, _evt[0] & 0xff);		\
		EXPECT_EQ((s)->vsid, _evt[0] >> 32);			\
		EXPECT_EQ(NOWHERE, _evt[2]);				\
	} while (0)

/* A parent, a vIOMMU or a domain that is left keeps the IOAS from being destroyed */
#define EXPECT_NOTHING_LEFT(g)						\
	EXPECT_EQ(0, iommufd_destroy((g)->iommufd, (g)->ioas_id))

#endif
