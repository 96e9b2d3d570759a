/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_SCHED_H
#define _TOOLS_LINUX_SCHED_H

/* Only host.h needs this. There is one process. */
struct mm_struct;

struct task_struct {
	struct mm_struct *mm;
	unsigned int flags;
};

#define PF_USER_WORKER	0x4000
#define PF_KTHREAD	0x200000

#define current	((struct task_struct *)NULL)

#endif
