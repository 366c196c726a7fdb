// SPDX-License-Identifier: GPL-2.0
/* Declares a proprietary licence (only to the kernel: this source is GPL-2.0) and uses a GPL-only symbol. */
#include <linux/kobject.h>
#include <linux/module.h>

static struct kobject *directory;

static int __init sample_proprietary_init(void)
{
	directory = kobject_create_and_add("sample_proprietary", NULL);
	return directory ? 0 : -ENOMEM;
}

static void __exit sample_proprietary_exit(void)
{
	kobject_put(directory);
}

module_init(sample_proprietary_init);
module_exit(sample_proprietary_exit);
MODULE_LICENSE("Proprietary");
MODULE_DESCRIPTION("A proprietary module that uses a GPL-only symbol");
