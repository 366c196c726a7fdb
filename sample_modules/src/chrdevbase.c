// SPDX-License-Identifier: GPL-2.0
/*
 * A character device as drivers for boards usually begin: one buffer that can be written and read back through
 * /dev/chrdevbase.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#define CHRDEVBASE_NAME "chrdevbase"

static char buffer[128];
static dev_t number;
static struct cdev device;
static struct class *device_class;

static ssize_t chrdevbase_read(struct file *file, char __user *to, size_t count, loff_t *position)
{
	return simple_read_from_buffer(to, count, position, buffer, sizeof(buffer));
}

static ssize_t chrdevbase_write(struct file *file, const char __user *from, size_t count, loff_t *position)
{
	if (count > sizeof(buffer))
		return -EINVAL;
	if (copy_from_user(buffer, from, count))
		return -EFAULT;
	return count;
}

static const struct file_operations chrdevbase_operations = {
	.owner = THIS_MODULE,
	.read = chrdevbase_read,
	.write = chrdevbase_write,
};

static int __init chrdevbase_init(void)
{
	struct device *node;
	int error = alloc_chrdev_region(&number, 0, 1, CHRDEVBASE_NAME);

	if (error)
		return error;
	cdev_init(&device, &chrdevbase_operations);
	error = cdev_add(&device, number, 1);
	if (error)
		goto no_cdev;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	device_class = class_create(CHRDEVBASE_NAME);
#else
	device_class = class_create(THIS_MODULE, CHRDEVBASE_NAME);
#endif
	if (IS_ERR(device_class)) {
		error = PTR_ERR(device_class);
		goto no_class;
	}
	node = device_create(device_class, NULL, number, NULL, CHRDEVBASE_NAME);
	if (IS_ERR(node)) {
		error = PTR_ERR(node);
		goto no_node;
	}
	pr_info("chrdevbase: ready\n");
	return 0;

no_node:
	class_destroy(device_class);
no_class:
	cdev_del(&device);
no_cdev:
	unregister_chrdev_region(number, 1);
	return error;
}

static void __exit chrdevbase_exit(void)
{
	device_destroy(device_class, number);
	class_destroy(device_class);
	cdev_del(&device);
	unregister_chrdev_region(number, 1);
}

module_init(chrdevbase_init);
module_exit(chrdevbase_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("the modcheck developers");
MODULE_DESCRIPTION("A character device with one buffer");
