/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of /dev/smmuv3-accel as the header documents them, for tests of all ioctls */
#ifndef SELFTEST_SMMUV3_ACCEL_CALLS_H
#define SELFTEST_SMMUV3_ACCEL_CALLS_H

#include "guest.h"

/**
 * struct accel_call - An ioctl
 * @name: its name
 * @cmd: its number, as ioctl() takes it
 * @size: size of its struct
 * @first_size: size of its struct's first version, if the struct has grown; else 0
 * @out: offset of the first out_* field
 * @out_end: offset after the last
 * @reason: offset of out_reason
 * @reserved: offset of __reserved; 0: none
 * @flags: the flags that it has
 * @before_create: works on a file that is not bound
 * @errnos: what it may return, up to a 0
 */
struct accel_call {
	const char *name;
	unsigned int cmd;
	__u32 size;
	__u32 first_size;
	__u32 out;
	__u32 out_end;
	__u32 reason;
	__u32 reserved;
	__u32 flags;
	bool before_create;
	int errnos[24];
};

#define ACCEL_CALLS	16

/* By _IOC_NR() */
extern const struct accel_call accel_calls[ACCEL_CALLS];

#define for_each_call(call) \
	for (call = accel_calls; call < accel_calls + ACCEL_CALLS; call++)

const struct accel_call *accel_call(unsigned int cmd);
bool call_may_return(const struct accel_call *call, int error);
bool reason_is_known(__u32 reason);

#endif
