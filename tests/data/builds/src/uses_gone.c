// SPDX-License-Identifier: GPL-2.0
/* A size with a suffix, read by memparse: the symbol that the builds named *-source do not export. */
#include <linux/kernel.h>
#include <linux/module.h>

static char *size = "64K";
module_param(size, charp, 0444);

static int __init uses_gone_init(void)
{
	return memparse(size, NULL) ? 0 : -EINVAL;
}

static void __exit uses_gone_exit(void)
{
}

module_init(uses_gone_init);
module_exit(uses_gone_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a symbol that is no longer exported");
