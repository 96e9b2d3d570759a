// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into smmuv3-accelctl: a stat of a path that starts with $HANG never returns,
 * as that of a file on a network filesystem whose server is gone.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int statx(int folder, const char *restrict path, int flags, unsigned int mask,
	  struct statx *restrict st)
{
	const char *hang = getenv("HANG");

	if (hang && !strncmp(path, hang, strlen(hang)))
		for (;;)
			pause();
	return syscall(SYS_statx, folder, path, flags, mask, st);
}
