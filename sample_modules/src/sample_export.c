// SPDX-License-Identifier: GPL-2.0
/* Exports three symbols: for everybody, for GPL-compatible modules, and in the namespace SAMPLE. */
#include <linux/module.h>
#include "sample.h"

int sample_sum(int a, int b)
{
	return a + b;
}
EXPORT_SYMBOL(sample_sum);

int sample_scale(int value, int factor)
{
	return value * factor;
}
EXPORT_SYMBOL_GPL(sample_scale);

int sample_hidden(int value)
{
	return ~value;
}
EXPORT_SYMBOL_NS_GPL(sample_hidden, SAMPLE);

static int __init sample_export_init(void)
{
	return 0;
}

static void __exit sample_export_exit(void)
{
}

module_init(sample_export_init);
module_exit(sample_export_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exports symbols to the other samples");
