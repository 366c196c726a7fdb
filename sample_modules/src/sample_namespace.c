// SPDX-License-Identifier: GPL-2.0
/* Imports from the namespace SAMPLE and declares it. */
#include <linux/module.h>
#include "sample.h"

static int __init sample_namespace_init(void)
{
	return sample_hidden(0) == -1 ? 0 : -EINVAL;
}

static void __exit sample_namespace_exit(void)
{
}

module_init(sample_namespace_init);
module_exit(sample_namespace_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Imports from the namespace SAMPLE and declares it");
MODULE_IMPORT_NS(SAMPLE);
