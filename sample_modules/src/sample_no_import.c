// SPDX-License-Identifier: GPL-2.0
/* Imports from the namespace SAMPLE without declaring it. */
#include <linux/module.h>
#include "sample.h"

static int __init sample_no_import_init(void)
{
	return sample_hidden(0) == -1 ? 0 : -EINVAL;
}

static void __exit sample_no_import_exit(void)
{
}

module_init(sample_no_import_init);
module_exit(sample_no_import_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Imports from the namespace SAMPLE without declaring it");
