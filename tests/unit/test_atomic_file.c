/* test_atomic_file.c - NAME.part and what may go wrong with it. This program's own flock and fsync stand before the C
 * library's: they play the other writer, and the file system that cannot. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "atomic_file.h"
#include "sandbox.h"

static char path[SANDBOX_PATH], part[SANDBOX_PATH];
static int flock_errno, directory_errno, finishes; /* finishes: how often another writer wins between open and lock */

int flock(int fd, int operation)
{
	if (flock_errno) {
		errno = flock_errno;
		return -1;
	}
	if (finishes > 0) {
		assert_int_equal(write(fd, "theirs", 6), 6);
		assert_int_equal(rename(part, path), 0);
		if (finishes-- > 1) /* and one more begins */
			sandbox_write(part, "", 0);
	}
	return (int)syscall(SYS_flock, fd, operation);
}

int fsync(int fd)
{
	struct stat st;
	if (directory_errno && !fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		sandbox_write(part, "theirs", 6); /* after our rename the name is free for another writer */
		errno = directory_errno;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static int start(void **state)
{
	(void)state;
	flock_errno = directory_errno = finishes = 0;
	remove(path);
	remove(part);
	return 0;
}

static kith_atomic_file *open_it(void)
{
	kith_atomic_file *p = NULL;
	kith_err err;
	if (kith_atomic_file_open(&p, path, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(kith_atomic_file_temporary(p), part);
	assert_int_equal(write(kith_atomic_file_fd(p), "ours", 4), 4);
	return p;
}

static void refuses_to_open(int status, const char *why)
{
	kith_atomic_file *p = NULL;
	kith_err err = {0};
	assert_int_equal(kith_atomic_file_open(&p, path, &err), status);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, why);
	assert_null(p);
}

static void expect_text(const char *file, const char *text)
{
	size_t size = 0;
	unsigned char *bytes = sandbox_read(file, &size);
	assert_non_null(bytes);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
	free(bytes);
}

static void test_part_in_the_way(void **state)
{
	char other[SANDBOX_PATH];
	(void)state;
	sandbox_write(sandbox_path(other, "other"), "other", 5);
	assert_int_equal(symlink(other, part), 0);
	refuses_to_open(KITH_EUSAGE, "in the way");
	expect_text(other, "other");
	remove(part);
	assert_int_equal(symlink("nowhere", part), 0);
	refuses_to_open(KITH_EUSAGE, "in the way");
	remove(part);
	assert_int_equal(mkfifo(part, 0666), 0); /* whose open might wait for ever */
	refuses_to_open(KITH_EUSAGE, "in the way");
	remove(part);
	assert_int_equal(mkdir(part, 0777), 0);
	refuses_to_open(KITH_EUSAGE, "in the way");
	remove(part);
	remove(other);
}

static void test_lost_race(void **state)
{
	kith_atomic_file *p;
	(void)state;
	finishes = 2;
	p = open_it();
	expect_text(path, "theirs"); /* not emptied, although it is what we opened */
	expect_text(part, "ours");
	assert_int_equal(kith_atomic_file_commit(p, NULL), 0);
	expect_text(path, "ours");
	finishes = 1000;
	refuses_to_open(KITH_EIO, "another program is writing");
	expect_text(path, "theirs");
}

static void test_no_locks(void **state)
{
	(void)state;
	flock_errno = ENOLCK;
	refuses_to_open(KITH_EIO, "cannot lock"); /* and not: another program */
	flock_errno = EWOULDBLOCK;
	refuses_to_open(KITH_EIO, "another program is writing");
	assert_int_equal(access(part, F_OK), 0); /* the other's */
}

static void test_directory_sync(void **state)
{
	kith_err err = {0};
	(void)state;
	directory_errno = EINVAL; /* the file system has no such thing */
	assert_int_equal(kith_atomic_file_commit(open_it(), &err), 0);
	expect_text(path, "ours");
	directory_errno = EIO;
	assert_int_equal(kith_atomic_file_commit(open_it(), &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "cannot sync its directory"));
	assert_int_equal(access(path, F_OK), -1);
	expect_text(part, "theirs");
}

/* Root reads every directory: by capabilities, which a process can lay down and take up again. */
static void lay_down_powers(int down)
{
	static struct __user_cap_data_struct kept[2];
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (down)
		assert_int_equal(syscall(SYS_capget, &header, kept), 0);
	memcpy(data, kept, sizeof data);
	if (down)
		data[0].effective = data[1].effective = 0;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void test_unreadable_directory(void **state)
{
	char folder[SANDBOX_PATH], file[SANDBOX_PATH + 8];
	kith_atomic_file *p = NULL;
	kith_err err = {0};
	(void)state;
	assert_int_equal(mkdir(sandbox_path(folder, "drop"), 0300), 0);
	snprintf(file, sizeof file, "%s/file", folder);
	lay_down_powers(1);
	assert_int_equal(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1);
	int status = kith_atomic_file_open(&p, file, &err);
	if (!status)
		status = kith_atomic_file_commit(p, &err);
	lay_down_powers(0);
	if (status)
		fail_msg("%s", err.msg);
	assert_int_equal(remove(file), 0);
	rmdir(folder);
}

static void test_abort(void **state)
{
	(void)state;
	sandbox_write(path, "old", 3);
	kith_atomic_file_abort(open_it());
	expect_text(path, "old");
	assert_int_equal(access(part, F_OK), -1);
	kith_atomic_file_abort(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_part_in_the_way, start),
		cmocka_unit_test_setup(test_lost_race, start),
		cmocka_unit_test_setup(test_no_locks, start),
		cmocka_unit_test_setup(test_directory_sync, start),
		cmocka_unit_test_setup(test_unreadable_directory, start),
		cmocka_unit_test_setup(test_abort, start),
	};
	sandbox_path(path, "result");
	sandbox_path(part, "result.part");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
