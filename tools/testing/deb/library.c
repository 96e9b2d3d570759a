// SPDX-License-Identifier: GPL-2.0
// A program that uses both headers and the library of libvsmmu-dev.
#include <vsmmu.h>
#include <linux/smmuv3_accel.h>

int main(void)
{
	struct vsmmu *vsmmu;

	return vsmmu_new(&(struct vsmmu_config){ 0 }, &vsmmu, 0);
}
