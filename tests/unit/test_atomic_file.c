/* test_atomic_file.c - NAME.xxxxxx.part and what may go wrong with it. This program's own flock, fsync and renameat2
 * stand before the C library's: they play the other writer, and the file system that cannot. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
static int flock_errno, directory_errno, file_errno, exchange_errno, takers; /* takers: how often a part is removed */

static void expect_text(const char *file, const char *text)
{
	size_t size = 0;
	unsigned char *bytes = sandbox_read(file, &size);
	assert_non_null(bytes);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
	free(bytes);
}

/* Calls `look` for every other name that begins as that of the result does. Returns how many there are. */
static int each_part(void (*look)(const char *name))
{
	char folder[SANDBOX_PATH], name[SANDBOX_PATH + 300];
	int found = 0;
	snprintf(folder, sizeof folder, "%s", path);
	char *stem = strrchr(folder, '/');
	*stem++ = 0;
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (!strncmp(entry->d_name, stem, strlen(stem)) && entry->d_name[strlen(stem)]) {
			snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
			found++;
			if (look)
				look(name);
		}
	closedir(dir);
	return found;
}

static void remove_part(const char *name)
{
	assert_int_equal(remove(name), 0);
}

int flock(int fd, int operation)
{
	if (flock_errno) {
		errno = flock_errno;
		return -1;
	}
	if (takers > 0) { /* another writer, which believes that this one was killed */
		takers--;
		each_part(remove_part);
	}
	return (int)syscall(SYS_flock, fd, operation);
}

int fsync(int fd)
{
	struct stat st;
	int is_directory = !fstat(fd, &st) && S_ISDIR(st.st_mode);
	errno = is_directory ? directory_errno : file_errno;
	return errno ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	errno = exchange_errno;
	return errno ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

static int start(void **state)
{
	(void)state;
	flock_errno = directory_errno = file_errno = exchange_errno = takers = 0;
	remove(path);
	each_part(remove_part);
	return 0;
}

static kith_atomic_file *open_it(void)
{
	kith_atomic_file *p = NULL;
	kith_err err;
	if (kith_atomic_file_open(&p, path, &err))
		fail_msg("%s", err.msg);
	snprintf(part, sizeof part, "%s", kith_atomic_file_temporary(p));
	assert_int_equal(strlen(part), strlen(path) + strlen(".123456.part"));
	assert_memory_equal(part, path, strlen(path));
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

static void refuses_to_commit(kith_atomic_file *p, const char *why)
{
	kith_err err = {0};
	assert_int_equal(kith_atomic_file_commit(p, &err), KITH_EIO);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, why);
}

static void test_whole(void **state)
{
	struct stat st;
	(void)state;
	mode_t mask = umask(027);
	kith_atomic_file *p = open_it();
	umask(mask);
	assert_int_equal(access(path, F_OK), -1);
	expect_text(part, "ours");
	assert_int_equal(kith_atomic_file_commit(p, NULL), 0);
	expect_text(path, "ours");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(each_part(NULL), 0);
	sandbox_write(path, "old", 3);
	p = open_it();
	expect_text(path, "old");
	assert_int_equal(kith_atomic_file_commit(p, NULL), 0); /* over the old one */
	expect_text(path, "ours");
	assert_int_equal(each_part(NULL), 0);
}

/* What is there under names like ours, and not ours, is not touched. */
static void test_others_files(void **state)
{
	char other[SANDBOX_PATH], name[SANDBOX_PATH + 16];
	static const char *const alike[] = {".part",        ".abcdef.part", ".bcdefg.part",
					    ".cdefgh.part", ".abcde.part",  ".abcdefg.part"};
	(void)state;
	sandbox_write(sandbox_path(other, "other"), "other", 5);
	for (size_t a = 0; a < sizeof alike / sizeof *alike; a++) {
		snprintf(name, sizeof name, "%s%s", path, alike[a]);
		assert_int_equal(a == 0   ? symlink(other, name)
				 : a == 1 ? link(other, name)
				 : a == 2 ? mkfifo(name, 0666)
				 : a == 3 ? mkdir(name, 0777)
					  : symlink("nowhere", name),
				 0);
	}
	assert_int_equal(kith_atomic_file_commit(open_it(), NULL), 0);
	expect_text(path, "ours");
	expect_text(other, "other");
	assert_int_equal(each_part(NULL), sizeof alike / sizeof *alike);
	remove(other);
}

static void test_another_users(void **state)
{
	char name[SANDBOX_PATH + 16];
	(void)state;
	snprintf(name, sizeof name, "%s.abcdef.part", path);
	sandbox_write(name, "theirs", 6);
	if (chown(name, 12345, 12345))
		skip(); /* only root can */
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0); /* with which they would keep everybody from writing */
	assert_int_equal(kith_atomic_file_commit(open_it(), NULL), 0);
	expect_text(name, "theirs");
	close(fd);
}

static void test_killed_writer(void **state)
{
	char name[SANDBOX_PATH + 16];
	(void)state;
	snprintf(name, sizeof name, "%s.abcdef.part", path);
	sandbox_write(name, "half", 4);
	kith_atomic_file *p = open_it();
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(each_part(NULL), 1);
	kith_atomic_file_abort(p);
}

static void test_second_writer(void **state)
{
	(void)state;
	kith_atomic_file *p = open_it();
	refuses_to_open(KITH_EIO, "another program is writing this file");
	assert_int_equal(each_part(NULL), 1);
	expect_text(part, "ours");
	assert_int_equal(kith_atomic_file_commit(p, NULL), 0);
}

static void test_taken_for_dead(void **state)
{
	(void)state;
	takers = 2;
	kith_atomic_file *p = open_it();
	assert_int_equal(each_part(NULL), 1);
	kith_atomic_file_abort(p);
	takers = 1000;
	refuses_to_open(KITH_EIO, "another program removes its parts");
	takers = 0;
	assert_int_equal(each_part(NULL), 0);
}

static void test_no_locks(void **state)
{
	char name[SANDBOX_PATH + 16];
	(void)state;
	snprintf(name, sizeof name, "%s.abcdef.part", path);
	sandbox_write(name, "half", 4);
	flock_errno = ENOLCK; /* so that nobody knows whether its writer lives */
	kith_atomic_file *one = open_it(), *two = open_it();
	assert_int_equal(kith_atomic_file_commit(one, NULL), 0);
	assert_int_equal(kith_atomic_file_commit(two, NULL), 0);
	expect_text(path, "ours");
	expect_text(name, "half");
}

static void test_moved_away(void **state)
{
	(void)state;
	sandbox_write(path, "old", 3);
	kith_atomic_file *p = open_it();
	remove_part(part);
	sandbox_write(part, "theirs", 6);
	refuses_to_commit(p, "another program has removed it");
	expect_text(path, "old");
	expect_text(part, "theirs");
}

static void test_file_sync(void **state)
{
	(void)state;
	sandbox_write(path, "old", 3);
	file_errno = EIO;
	refuses_to_commit(open_it(), "cannot sync");
	expect_text(path, "old");
	assert_int_equal(each_part(NULL), 0);
}

static void test_directory_sync(void **state)
{
	(void)state;
	directory_errno = EINVAL; /* the file system has no such thing */
	assert_int_equal(kith_atomic_file_commit(open_it(), NULL), 0);
	expect_text(path, "ours");
	directory_errno = EIO;
	sandbox_write(path, "old", 3);
	refuses_to_commit(open_it(), "cannot sync its directory (the older file stays): Input/output error");
	expect_text(path, "old");
	assert_int_equal(each_part(NULL), 0);
	remove(path);
	refuses_to_commit(open_it(), "cannot sync its directory: Input/output error");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(each_part(NULL), 0);
}

/* A file system that knows no exchange of names. */
static void test_no_exchange(void **state)
{
	(void)state;
	exchange_errno = EINVAL;
	assert_int_equal(kith_atomic_file_commit(open_it(), NULL), 0);
	expect_text(path, "ours");
	sandbox_write(path, "old", 3);
	assert_int_equal(kith_atomic_file_commit(open_it(), NULL), 0);
	expect_text(path, "ours");
	sandbox_write(path, "old", 3);
	directory_errno = EIO;
	refuses_to_commit(open_it(), "the file is whole, but after a crash it may be the older one");
	expect_text(path, "ours");
	remove(path);
	refuses_to_commit(open_it(), "cannot sync its directory: Input/output error");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(each_part(NULL), 0);
}

static void test_folder_in_the_way(void **state)
{
	(void)state;
	for (exchange_errno = 0; exchange_errno <= EINVAL; exchange_errno += EINVAL) {
		kith_atomic_file *p = open_it();
		assert_int_equal(mkdir(path, 0777), 0);
		refuses_to_commit(p, "cannot rename to");
		assert_int_equal(rmdir(path), 0);
		assert_int_equal(each_part(NULL), 0);
	}
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

static void test_long_name(void **state)
{
	char name[SANDBOX_PATH];
	kith_atomic_file *p = NULL;
	kith_err err = {0};
	(void)state;
	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = 0;
	memcpy(name, path, strlen(path));
	strrchr(name, '/')[1 + NAME_MAX] = 0;
	if (kith_atomic_file_open(&p, name, &err) || kith_atomic_file_commit(p, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(remove(name), 0);
}

static void test_abort(void **state)
{
	(void)state;
	sandbox_write(path, "old", 3);
	kith_atomic_file_abort(open_it());
	expect_text(path, "old");
	assert_int_equal(each_part(NULL), 0);
	kith_atomic_file_abort(NULL);
}

/* For a signal handler. */
static void test_remove_all(void **state)
{
	enum { MANY = 20 };
	kith_atomic_file *open[MANY];
	char name[SANDBOX_PATH];
	int left = 0;
	(void)state;
	kith_atomic_file_remove_all();
	for (int i = 0; i < MANY; i++)
		assert_int_equal(kith_atomic_file_open(&open[i], sandbox_path(name, "many%d", i), NULL), 0);
	kith_atomic_file_remove_all();
	for (int i = 0; i < MANY; i++) {
		left += !access(kith_atomic_file_temporary(open[i]), F_OK);
		if (i < 16)
			refuses_to_commit(open[i], "another program has removed it");
		else /* more than any program has open at once */
			kith_atomic_file_abort(open[i]);
	}
	assert_int_equal(left, MANY - 16);
	kith_atomic_file *p = open_it(); /* their places are free again */
	kith_atomic_file_remove_all();
	assert_int_equal(each_part(NULL), 0);
	kith_atomic_file_abort(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_whole, start),
		cmocka_unit_test_setup(test_others_files, start),
		cmocka_unit_test_setup(test_another_users, start),
		cmocka_unit_test_setup(test_killed_writer, start),
		cmocka_unit_test_setup(test_second_writer, start),
		cmocka_unit_test_setup(test_taken_for_dead, start),
		cmocka_unit_test_setup(test_no_locks, start),
		cmocka_unit_test_setup(test_moved_away, start),
		cmocka_unit_test_setup(test_file_sync, start),
		cmocka_unit_test_setup(test_directory_sync, start),
		cmocka_unit_test_setup(test_no_exchange, start),
		cmocka_unit_test_setup(test_folder_in_the_way, start),
		cmocka_unit_test_setup(test_unreadable_directory, start),
		cmocka_unit_test_setup(test_long_name, start),
		cmocka_unit_test_setup(test_abort, start),
		cmocka_unit_test_setup(test_remove_all, start),
	};
	sandbox_path(path, "result");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
