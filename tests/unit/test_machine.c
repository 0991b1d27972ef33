/* test_machine.c - the limits of control groups, from files as both versions of them have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <omp.h>

#include <cmocka.h>

#include "machine.h"
#include "sandbox.h"

#define NONE UINT64_MAX

static char root[SANDBOX_PATH];

/* Writes ROOT/NAME, with the folders that it is in. */
static void put(const char *name, const char *text)
{
	char path[2 * SANDBOX_PATH];
	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0777);
		*slash = '/';
	}
	sandbox_write(path, text, strlen(text));
}

static int start(void **state)
{
	static int number;
	(void)state;
	sandbox_path(root, "root%d", number++);
	return mkdir(root, 0777);
}

static int end(void **state)
{
	char command[SANDBOX_PATH + 16];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static void expect(uint64_t memory, uint64_t cores)
{
	assert_int_equal(kith_cgroup_memory(root), memory);
	assert_int_equal(kith_cgroup_cores(root), cores);
}

static void test_none(void **state)
{
	(void)state;
	expect(NONE, 0);
	put("proc/self/cgroup", "0::/\n");
	expect(NONE, 0);
	put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n");
	expect(NONE, 0); /* the top has no such files */
}

static void test_version_2(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/user.slice/job 7\n");
	put("proc/self/mountinfo",
	    "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	    "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
	put("sys/fs/cgroup/user.slice/job 7/memory.max", "max\n");
	put("sys/fs/cgroup/user.slice/job 7/cpu.max", "max 100000\n");
	expect(NONE, 0);
	put("sys/fs/cgroup/user.slice/memory.max", "1073741824\n"); /* of the one above */
	put("sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
	expect(1u << 30, 3);
	put("sys/fs/cgroup/user.slice/job 7/memory.max", "2147483648\n");
	put("sys/fs/cgroup/user.slice/job 7/cpu.max", "400000 100000\n");
	expect(1u << 30, 3);
	put("sys/fs/cgroup/user.slice/job 7/memory.high", "104857600\n"); /* beyond it a process hardly moves */
	put("sys/fs/cgroup/user.slice/job 7/cpu.max", "50000 100000\n");
	expect(100u << 20, 1);
}

/* A container that sees its part of the tree only: with a name space of its own ("/"), and without. */
static void test_container(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/\n");
	put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup ro\n");
	put("sys/fs/cgroup/memory.max", "104857600\n");
	put("sys/fs/cgroup/cpu.max", "150000 100000\n");
	expect(100u << 20, 2);
	put("proc/self/cgroup", "0::/docker/abc\n");
	put("proc/self/mountinfo", "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n");
	expect(100u << 20, 2);
	put("proc/self/cgroup", "0::/docker/abc/inner\n");
	put("sys/fs/cgroup/inner/memory.max", "1048576\n");
	expect(1u << 20, 2);
	put("proc/self/cgroup", "0::/docker/abcde\n"); /* not below /docker/abc */
	expect(100u << 20, 2);
	put("proc/self/cgroup", "0::/../elsewhere\n");
	expect(100u << 20, 2);
}

static void test_version_1(void **state)
{
	(void)state;
	put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/job/7\n2:cpuacct,cpu:/job\n1:cpuset:/other\n0::/\n");
	put("proc/self/mountinfo", "32 31 0:29 / /sys/fs/cgroup/cpu\\040time rw - cgroup cgroup rw,cpuacct,cpu\n"
				   "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
				   "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
				   "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("sys/fs/cgroup/memory/job/7/memory.limit_in_bytes", "209715200\n");
	put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "104857600\n");
	put("sys/fs/cgroup/cpu time/job/cpu.cfs_quota_us", "-1\n");
	put("sys/fs/cgroup/cpu time/job/cpu.cfs_period_us", "100000\n");
	expect(100u << 20, 0);
	put("sys/fs/cgroup/cpu time/job/cpu.cfs_quota_us", "150000\n");
	expect(100u << 20, 2);
	put("sys/fs/cgroup/cpu time/cpu.cfs_quota_us", "30000\n");
	put("sys/fs/cgroup/cpu time/cpu.cfs_period_us", "50000\n");
	expect(100u << 20, 1);
}

static void test_garbage(void **state)
{
	(void)state;
	put("proc/self/cgroup", "\nx\n1:\n:::\n0:memory\n0::/a\n");
	put("proc/self/mountinfo", "\n - \n1 2 3 - cgroup2 x y\n31 23 0:28 / /c rw - cgroup2 cgroup2 rw\n");
	put("c/a/memory.max", "99999999999999999999999\n");
	put("c/a/cpu.max", "100000\n"); /* no period */
	expect(NONE, 0);
	put("c/a/memory.max", "");
	put("c/a/cpu.max", "100000 0\n");
	expect(NONE, 0);
	put("c/a/memory.max", "-5\n");
	put("c/a/cpu.max", "0 100000\n");
	expect(NONE, 0);
}

static void test_machine(void **state)
{
	(void)state;
	assert_in_range(kith_machine_memory(), 1 << 20, UINT64_MAX - 1);
	assert_in_range(kith_machine_budget(1 << 20), 1, 1 << 20);
	assert_in_range(kith_machine_cores(), 1, 1 << 20);
	assert_int_equal(kith_machine_threads(-3), 1);
	assert_int_equal(kith_machine_threads(1), 1);
}

static int granted(int threads)
{
	int got = 0;
#pragma omp parallel num_threads(1)
	got = kith_threads_granted(threads);
	return got;
}

static void test_granted(void **state)
{
	int levels = omp_get_max_active_levels(), dynamic = omp_get_dynamic();
	(void)state;
	assert_int_equal(granted(1), 1);
	assert_int_equal(granted(3), kith_machine_threads(3));
	omp_set_dynamic(1);
	assert_int_equal(granted(64), kith_machine_threads(64));
	assert_true(omp_get_dynamic()); /* here as it was */
	omp_set_dynamic(dynamic);
	omp_set_max_active_levels(0);
	assert_int_equal(granted(3), 1);
	omp_set_max_active_levels(levels);
#pragma omp parallel num_threads(2)
	{
		int got = granted(3);
		if (omp_get_num_threads() > 1 && got != 1)
			abort();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, start, end),
		cmocka_unit_test_setup_teardown(test_version_2, start, end),
		cmocka_unit_test_setup_teardown(test_container, start, end),
		cmocka_unit_test_setup_teardown(test_version_1, start, end),
		cmocka_unit_test_setup_teardown(test_garbage, start, end),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_granted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
