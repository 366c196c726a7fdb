/*
 * The first and only process of the oracle's machines: loads the modules of /plan one by one, and tells on the console
 * what the kernel answered.
 *
 * /plan has one line per load, its fields parted by tabs: index, path, finit_module(2) flags, 1 to keep the module
 * loaded afterwards or 0, milliseconds to wait before it, module arguments (the rest of the line). Where the path is
 * "modprobe", /sbin/modprobe is run, and the rest of the line is its one argument.
 *
 * Every report is one JSON object between the bytes 0x1e and 0x1f, in printable ASCII: kernel text that got into one
 * has a line end in it, which JSON does not allow in a string. In order:
 *   {"release", "traced"}                    once; traced: the event module:module_load is written to the log
 *   {"start", "tainted", "loaded"}           before each load: index, /proc/sys/kernel/tainted, names in /proc/modules
 *   {"index", "errno", "overrun", "log"}     after it: error name or null, whether the log lost lines, and
 *                                            [[level, text], ...], the text as /dev/kmsg words it; of modprobe
 *                                            "said" as well: what it wrote, and "exit" or null as errno
 *   {"stuck"}                                the module so named cannot be unloaded; nothing follows
 *   {"end"}                                  all done
 * While the kernel works on a module its lines go to the console too: they are all that is left if the machine dies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* klogctl(2): only messages below this level reach the console */
enum { SET_CONSOLE_LEVEL = 8, EVERY_LINE = 8, EMERGENCIES = 1 };

/* a record of /dev/kmsg is at most 8 KiB in old kernels, less in new ones; a shorter buffer gives EINVAL */
enum { RECORD_SIZE = 16384 };

static FILE *console;
static int kmsg;

static void put_string(const char *text)
{
	putc('"', console);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			fprintf(console, "\\u%04x", *c);
		else
			putc(*c, console);
	}
	putc('"', console);
}

static void begin_report(void)
{
	fputs("\n\x1e{", console);
}

/* Waits until the last byte has left: the kernel's own console output does not queue behind it, and may be its last. */
static void end_report(void)
{
	fputs("}\x1f\n", console);
	fflush(console);
	tcdrain(fileno(console));
}

static void switch_off(void)
{
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* The first line of a file, without its end; empty if it cannot be read. */
static char *first_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, size, file))
		*line = 0;
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = 0;
	return line;
}

/* The kernel shall not run modprobe of its own accord, while a module loads or after. */
static void end_autoloading(void)
{
	FILE *path = fopen("/proc/sys/kernel/modprobe", "we");

	if (path) {
		fputs("\n", path);
		fclose(path);
	}
}

static void set_up(void)
{
	mkdir("/dev", 0755);
	mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
	mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	console = fopen("/dev/console", "r+e");
	kmsg = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (!console || kmsg < 0)
		switch_off();
	setvbuf(console, NULL, _IOFBF, 65536);
	klogctl(SET_CONSOLE_LEVEL, NULL, EMERGENCIES);
}

/* Has the random number generator say now that it is ready, and not while a module loads. */
static void end_wait_for_entropy(void)
{
	const int size = 64;
	struct rand_pool_info *pool = calloc(1, sizeof(*pool) + size);
	int device;

	mknod("/dev/random", S_IFCHR | 0600, makedev(1, 8));
	device = open("/dev/random", O_RDWR | O_CLOEXEC);
	pool->buf_size = size;
	pool->entropy_count = 8 * size;
	ioctl(device, RNDADDENTROPY, pool);
	free(pool);
	close(device);
}

static void report_kernel(void)
{
	struct utsname kernel;
	char enabled[8], printed[8];
	int traced;

	uname(&kernel);
	traced = *first_line("/sys/kernel/tracing/events/module/module_load/enable", enabled, sizeof(enabled)) == '1'
		 && *first_line("/proc/sys/kernel/tracepoint_printk", printed, sizeof(printed)) == '1';
	begin_report();
	fputs("\"release\":", console);
	put_string(kernel.release);
	fprintf(console, ",\"traced\":%s", traced ? "true" : "false");
	end_report();
}

/*
 * Writes a line of our own to the log, which also completes a kernel line that had no line end, and reads up to it.
 * With `show`, the kernel's records before it are printed as JSON pairs. Returns their number, or -1 if the log has
 * lost some.
 */
static int read_log(int show)
{
	static unsigned long marks;
	static char record[RECORD_SIZE];
	char mark[32];
	int records = 0, lost = 0;

	/* not dprintf, which seeks first: /dev/kmsg answers that with EINVAL */
	if (write(kmsg, mark, snprintf(mark, sizeof(mark), "oracle %lu\n", ++marks)) < 0)
		switch_off();
	mark[strcspn(mark, "\n")] = 0;
	for (;;) {
		ssize_t size = read(kmsg, record, sizeof(record) - 1);
		unsigned long priority;
		char *text;

		if (size < 0 && errno == EPIPE) {
			lost = 1;
			continue;
		}
		if (size < 0)
			break;
		record[size] = 0;
		/* "priority,sequence,time,flags;text\n", then lines " KEY=value" which are no messages */
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		if (!strcmp(text, mark))
			break;
		/* the facility of the kernel is 0, that of a program 1 */
		priority = strtoul(record, NULL, 10);
		if (priority >> 3)
			continue;
		if (show) {
			fprintf(console, "%s[%lu,", records ? "," : "", priority & 7);
			put_string(text);
			putc(']', console);
		}
		records++;
	}
	return lost ? -1 : records;
}

/* What the kernel has put off while it booted shall not fall to a load: waits until the log rests for a second. */
static void wait_for_quiet(void)
{
	int tenths = 0;

	for (int rest = 0; rest < 10 && tenths < 100; tenths++) {
		usleep(100000);
		rest = read_log(0) ? 0 : rest + 1;
	}
}

/* The name in a line of /proc/modules, newest module first: what stands before its size. */
static char *module_name(char *line)
{
	line[strcspn(line, " \n")] = 0;
	return line;
}

static void report_start(int index)
{
	char line[4096], tainted[32];
	const char *comma = "";
	FILE *modules = fopen("/proc/modules", "re");

	begin_report();
	fprintf(console, "\"start\":%d,\"tainted\":%s,\"loaded\":[", index,
		first_line("/proc/sys/kernel/tainted", tainted, sizeof(tainted)));
	while (modules && fgets(line, sizeof(line), modules)) {
		fputs(comma, console);
		put_string(module_name(line));
		comma = ",";
	}
	if (modules)
		fclose(modules);
	putc(']', console);
	end_report();
}

/* Runs modprobe and keeps the beginning of what it writes. Returns its exit status. */
static int modprobe(const char *name, char *said, int size)
{
	int ends[2], status = 0, filled = 0, got;
	pid_t child;

	if (pipe(ends))
		switch_off();
	child = fork();
	if (!child) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execl("/sbin/modprobe", "modprobe", name, NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + filled, size - 1 - filled)) > 0)
		filled += got;
	said[filled] = 0;
	close(ends[0]);
	waitpid(child, &status, 0);
	return status;
}

/* Hands one file to the kernel and reports its answer. Returns 0 or an error number. */
static int load(int index, const char *path, int flags, const char *arguments)
{
	int by_modprobe = !strcmp(path, "modprobe");
	int file = open(path, O_RDONLY | O_CLOEXEC);
	char said[2048] = "";
	int error, lost;

	read_log(0);
	report_start(index);
	klogctl(SET_CONSOLE_LEVEL, NULL, EVERY_LINE);
	if (by_modprobe)
		error = modprobe(arguments, said, sizeof(said));
	else
		error = syscall(SYS_finit_module, file, arguments, flags) ? errno : 0;
	klogctl(SET_CONSOLE_LEVEL, NULL, EMERGENCIES);
	close(file);

	begin_report();
	fprintf(console, "\"index\":%d,\"said\":", index);
	put_string(said);
	fputs(",\"errno\":", console);
	if (error && by_modprobe)
		put_string("exit");
	else if (error && strerrorname_np(error))
		put_string(strerrorname_np(error));
	else if (error)
		fprintf(console, "\"%d\"", error);
	else
		fputs("null", console);
	fputs(",\"log\":[", console);
	lost = read_log(1) < 0;
	fprintf(console, "],\"overrun\":%s", lost ? "true" : "false");
	end_report();
	return error;
}

/*
 * Removes the module loaded last. What its init has started may hold it for a moment (EAGAIN); a module without an exit
 * function stays (EBUSY). Then lets other threads do what they still have to do, so that it falls to no later load.
 */
static int unload_newest(char *name, int size)
{
	int tries = 0;

	module_name(first_line("/proc/modules", name, size));
	while (syscall(SYS_delete_module, name, O_NONBLOCK)) {
		if (errno != EAGAIN || ++tries == 100)
			return -1;
		usleep(20000);
	}
	usleep(5000);
	return 0;
}

int main(void)
{
	char *line = NULL, name[4096];
	size_t size = 0;
	FILE *plan;

	set_up();
	end_autoloading();
	end_wait_for_entropy();
	wait_for_quiet();
	report_kernel();
	plan = fopen("/plan", "re");
	while (plan && getline(&line, &size, plan) > 0) {
		char *rest = line;
		int index = atoi(strsep(&rest, "\t"));
		const char *path = strsep(&rest, "\t");
		int flags = atoi(strsep(&rest, "\t"));
		int keep = atoi(strsep(&rest, "\t"));
		int by_modprobe = !strcmp(path, "modprobe");

		usleep(1000 * atoi(strsep(&rest, "\t")));
		rest[strcspn(rest, "\n")] = 0;
		if ((load(index, path, flags, rest) && !by_modprobe) || keep)
			continue;
		do {
			if (by_modprobe && !*first_line("/proc/modules", name, sizeof(name)))
				break;
			if (unload_newest(name, sizeof(name))) {
				begin_report();
				fputs("\"stuck\":", console);
				put_string(name);
				end_report();
				switch_off();
			}
		} while (by_modprobe);
	}
	begin_report();
	fputs("\"end\":true", console);
	end_report();
	switch_off();
}
