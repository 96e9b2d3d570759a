// SPDX-License-Identifier: GPL-2.0
/*
 * Which descriptors a process must have to use a device, an iommufd or a vSMMU.
 *
 * Needs two iommu-testdevs.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness.h"
#include "stress.h"

FIXTURE(authority)
{
	struct machine m;
};

FIXTURE_SETUP(authority)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .devices = 1));
}

FIXTURE_TEARDOWN(authority)
{
	machine_close(&self->m);
}

/* VFIO grants access only through the file that bound the device */
TEST_F(authority, device_file_that_did_not_bind_is_refused)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	int second = dma_open_cdev(m->stream[0].dev.bdf);

	ASSERT_LE(0, second);
	EXPECT_EQ(-EINVAL, accel_attach(&m->g, second, MACHINE_VSID, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_BOUND, out.out_reason);
	EXPECT_EQ(0, out.out_vdevice_id);
	EXPECT_EQ(0, machine_bypass(m, 0));
	/* Also while the device is attached */
	EXPECT_EQ(-EINVAL, accel_attach(&m->g, second, MACHINE_VSID + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_BOUND, out.out_reason);
	EXPECT_EQ(0, machine_goes(m, 0));
	close(second);
	EXPECT_EQ(0, machine_goes(m, 0));
}

/* A process binds a device to the iommufd and hands the file over */
TEST_F(authority, device_file_of_another_process_is_taken)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	int socks[2], number, fd;
	struct dma_dev dev;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (dma_open(&dev, m->g.iommufd, DMA_TESTDEV, 1))
			_exit(1);
		_exit(fd_send(socks[1], dev.fd, dev.dev_id) ? 2 : 0);
	}
	fd = fd_receive(socks[0], &number);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, child_status(pid, AT_ONCE_MS));
	ASSERT_EQ(0, accel_attach(&m->g, fd, MACHINE_VSID, &out));
	EXPECT_EQ(number, out.out_dev_id);
	close(fd);
	close(socks[0]);
	close(socks[1]);
}

static int change_process(int accel, int iommufd, __u32 *reason)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = iommufd,
	};
	int rc = ioctl(accel, SMMUV3_ACCEL_CHANGE_PROCESS, &arg) ? -errno : 0;

	*reason = arg.out_reason;
	return rc;
}

/* A process with the accel file and another iommufd, or none */
static int take_without_iommufd(struct machine *m)
{
	int other = open("/dev/iommu", O_RDWR), null = open("/dev/null", O_RDWR);
	__u32 reason;

	close(m->g.iommufd);
	close(m->stream[0].dev.fd);
	if (change_process(m->g.accel, -1, &reason) != -EBADF ||
	    reason != SMMUV3_ACCEL_REASON_BAD_FD ||
	    change_process(m->g.accel, m->g.iommufd, &reason) != -EBADF ||
	    reason != SMMUV3_ACCEL_REASON_BAD_FD)
		return 1;
	if (change_process(m->g.accel, null, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_NOT_IOMMUFD ||
	    change_process(m->g.accel, m->g.accel, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_NOT_IOMMUFD)
		return 2;
	if (change_process(m->g.accel, other, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_OTHER_IOMMUFD)
		return 3;
	return 0;
}

TEST_F(authority, process_without_the_iommufd_cannot_take_over)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats stats;

	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, in_child(m, take_without_iommufd));
	EXPECT_EQ(0, accel_stats(&m->g, &stats));
	EXPECT_EQ(0, machine_exercise(m));
}

static int take_with_iommufd(struct machine *m)
{
	struct smmuv3_accel_stats stats;

	return accel_stats(&m->g, &stats) != -EIO || accel_change_process(&m->g) ||
	       accel_stats(&m->g, &stats);
}

TEST_F(authority, process_with_the_iommufd_can_take_over)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats stats;

	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, in_child(m, take_with_iommufd));
	EXPECT_EQ(-EIO, accel_stats(&m->g, &stats));
	EXPECT_EQ(0, machine_goes(m, 0));
	ASSERT_EQ(0, accel_change_process(&m->g));
	EXPECT_EQ(0, machine_exercise(m));
}

static int use_without_device_file(struct machine *m)
{
	struct stream *s = &m->stream[0];

	close(s->dev.fd);
	if (accel_change_process(&m->g))
		return 1;
	/* The memory that DMA goes to is the parent's */
	if (machine_install(m, 0, STE_CFG_ABORT) ||
	    testdev_write(&s->dev, s->s1.page[0]) != -EFAULT)
		return 2;
	if (machine_install(m, 0, STE_CFG_BYPASS) || testdev_write(&s->dev, s->s1.page[0]))
		return 3;
	return machine_detach(m, 0) ? 4 : 0;
}

/* The device stays with the vSMMU when the vSMMU's owner changes */
TEST_F(authority, device_file_is_needed_to_attach_only)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, in_child(m, use_without_device_file));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, accel_change_process(&m->g));
	EXPECT_REFUSED(&m->g, EBADF, BAD_FD, .vfio_fd = -1, .vsid = MACHINE_VSID);
	EXPECT_EQ(0, machine_bypass(m, 0));
}

TEST_HARNESS_MAIN
