// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/smmuv3-accel: the module, its device, open and release.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "debugfs.h"
#include "doorbell.h"
#include "vsmmu.h"

static int smmuv3_accel_open(struct inode *inode, struct file *file)
{
	struct smmuv3_vsmmu *v = smmuv3_vsmmu_alloc();

	if (!v)
		return -ENOMEM;
	file->private_data = v;
	return 0;
}

static int smmuv3_accel_release(struct inode *inode, struct file *file)
{
	smmuv3_vsmmu_close(file->private_data);
	return 0;
}

static void smmuv3_accel_show_fdinfo(struct seq_file *seq, struct file *file)
{
	struct smmuv3_vsmmu *v = file->private_data;

	seq_printf(seq, "vsmmu-id:\t%u\nvsmmu-streams:\t%u\n", v->id,
		   READ_ONCE(v->stream_num));
	smmuv3_debugfs_counters(v, seq, "vsmmu-");
}

/* No compat_ioctl: iommufd has none, so a 32-bit process has no use for this. */
static const struct file_operations smmuv3_accel_fops = {
	.owner = THIS_MODULE,
	.open = smmuv3_accel_open,
	.release = smmuv3_accel_release,
	.unlocked_ioctl = smmuv3_accel_ioctl,
	.show_fdinfo = smmuv3_accel_show_fdinfo,
	.llseek = noop_llseek,
};

static struct miscdevice smmuv3_accel_miscdev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "smmuv3-accel",
	.fops = &smmuv3_accel_fops,
	.mode = 0660,
};

static int __init smmuv3_accel_init(void)
{
	int rc;

	smmuv3_debugfs_init();
	rc = misc_register(&smmuv3_accel_miscdev);
	if (rc)
		smmuv3_debugfs_exit();
	return rc;
}
module_init(smmuv3_accel_init);

static void __exit smmuv3_accel_exit(void)
{
	misc_deregister(&smmuv3_accel_miscdev);
	smmuv3_debugfs_exit();
}
module_exit(smmuv3_accel_exit);

MODULE_DESCRIPTION("Accelerated virtual SMMUv3 for virtual machines");
MODULE_VERSION("1.0");
MODULE_LICENSE("GPL");
