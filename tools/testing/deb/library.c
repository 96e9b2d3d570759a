// SPDX-License-Identifier: GPL-2.0
// A program that uses both headers and the library of libvsmmu-dev.
#include <vsmmu.h>
#include <linux/smmuv3_accel.h>

int main(void)
{
	struct vsmmu_config config = VSMMU_CONFIG_INIT;
	struct vsmmu *vsmmu;

	return vsmmu_new(&config, &vsmmu, 0);
}
