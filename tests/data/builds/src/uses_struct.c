// SPDX-License-Identifier: GPL-2.0
/* A queue of bytes, by __kfifo_alloc: whose struct has one member more in rk3588-modversions-struct. */
#include <linux/kfifo.h>
#include <linux/module.h>

static DECLARE_KFIFO_PTR(queue, u8);

static int __init uses_struct_init(void)
{
	return kfifo_alloc(&queue, 64, GFP_KERNEL);
}

static void __exit uses_struct_exit(void)
{
	kfifo_free(&queue);
}

module_init(uses_struct_init);
module_exit(uses_struct_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a struct that changes");
