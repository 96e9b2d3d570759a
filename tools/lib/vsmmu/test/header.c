// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The header alone, as a program in strict C has it, with both ways to start a
 * config. Only compiled.
 */
#include "vsmmu.h"

#if VSMMU_VERSION_MAJOR < 1 || VSMMU_VERSION < 0x10000
#error "the version is not for the preprocessor"
#endif

int open_one(struct vsmmu **v, int iommufd);

int open_one(struct vsmmu **v, int iommufd)
{
	struct vsmmu_config config = VSMMU_CONFIG_INIT, again;

	vsmmu_config_init(&again);
	config.iommufd = iommufd;
	again.iommufd = iommufd;
	return vsmmu_new(&config, v, NULL) ? vsmmu_new(&again, v, NULL) : 0;
}
