// SPDX-License-Identifier: GPL-2.0
/* A module of which kbuild of 6.11 and later makes a rich .BTF.base: types of the kernel in it, and behind pointers. */
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>

struct distilled {
	struct work_struct work;
	struct list_head list[2];
	struct net_device *dev;
	union {
		struct file *file;
		struct inode *inode;
	} either;
	enum hrtimer_restart restart;
	const struct sk_buff_head queue;
	spinlock_t lock;
	u64 wide;
	bool flag;
};

struct distilled distilled_one;

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	return distilled_one.restart;
}
enum hrtimer_restart (*distilled_tick)(struct hrtimer *) = tick;

static int __init distilled_init(void)
{
	INIT_LIST_HEAD(&distilled_one.list[0]);
	return 0;
}

static void __exit distilled_exit(void)
{
}

module_init(distilled_init);
module_exit(distilled_exit);
MODULE_DESCRIPTION("A module with .BTF.base");
MODULE_LICENSE("GPL");
