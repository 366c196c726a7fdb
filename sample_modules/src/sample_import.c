// SPDX-License-Identifier: GPL-2.0
/* Imports two symbols of sample_export. */
#include <linux/module.h>
#include "sample.h"

static int __init sample_import_init(void)
{
	return sample_scale(sample_sum(1, 2), 2) == 6 ? 0 : -EINVAL;
}

static void __exit sample_import_exit(void)
{
}

module_init(sample_import_init);
module_exit(sample_import_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Imports two symbols of sample_export");
