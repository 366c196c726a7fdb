// SPDX-License-Identifier: GPL-2.0
/* A timer that counts the seconds: what a board's own module may look like. Imports nothing that the builds differ in. */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/timer.h>

static unsigned long beats;
module_param(beats, ulong, 0444);
MODULE_PARM_DESC(beats, "seconds counted so far");

static void beat(struct timer_list *unused);
static DEFINE_TIMER(timer, beat);

static void beat(struct timer_list *unused)
{
	beats++;
	mod_timer(&timer, jiffies + HZ);
}

static int __init heartbeat_init(void)
{
	mod_timer(&timer, jiffies + HZ);
	return 0;
}

static void __exit heartbeat_exit(void)
{
	del_timer_sync(&timer);
}

module_init(heartbeat_init);
module_exit(heartbeat_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Counts seconds");
