// SPDX-License-Identifier: GPL-2.0
/* An address in hexadecimal digits, read by hex2bin: the symbol that has another CRC in the builds named *-source. */
#include <linux/kernel.h>
#include <linux/module.h>

static char *address = "0200c0ffee00";
module_param(address, charp, 0444);

static u8 bytes[6];

static int __init uses_changed_init(void)
{
	return hex2bin(bytes, address, sizeof(bytes));
}

static void __exit uses_changed_exit(void)
{
}

module_init(uses_changed_init);
module_exit(uses_changed_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a symbol whose type changes");
