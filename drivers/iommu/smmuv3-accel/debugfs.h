/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What debugfs and fdinfo show
 */
#ifndef _SMMUV3_ACCEL_DEBUGFS_H
#define _SMMUV3_ACCEL_DEBUGFS_H

#include "smmuv3-accel.h"

struct seq_file;

void smmuv3_debugfs_init(void);
void smmuv3_debugfs_exit(void);
void smmuv3_debugfs_add(struct smmuv3_vsmmu *v);
void smmuv3_debugfs_remove(struct smmuv3_vsmmu *v);
void smmuv3_debugfs_counters(struct smmuv3_vsmmu *v, struct seq_file *seq,
			     const char *prefix);

#endif
