/* stored.c - see stored.h. An LMDB reader that knows of the file what store/FORMAT.md says, and nothing of the store.
 */
#include "stored.h"

#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>

int stored_read(const char *path, stored *out, kith_err *err)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_dbi dbi;
	MDB_val key, value;
	struct stat st;
	int code;

	memset(out, 0, sizeof *out);
	if (stat(path, &st))
		return kith_fail_errno(err, "%s", path);
	out->file = (uint64_t)st.st_size;
	if ((code = mdb_env_create(&env)) || (code = mdb_env_set_mapsize(env, (size_t)st.st_size)) ||
	    (code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0)) ||
	    (code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)) || (code = mdb_dbi_open(txn, NULL, 0, &dbi)) ||
	    (code = mdb_cursor_open(txn, dbi, &cursor)))
		goto done;
	while (!(code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
		uint8_t table = *(const uint8_t *)key.mv_data;
		if (key.mv_size == 5 && table < STORED_TABLES)
			out->table[table] += value.mv_size;
	}
	if (code == MDB_NOTFOUND) /* the end */
		code = 0;
done:
	if (cursor)
		mdb_cursor_close(cursor);
	if (txn)
		mdb_txn_abort(txn);
	if (env)
		mdb_env_close(env);
	return code ? kith_fail(err, KITH_EIO, "%s: %s", path, mdb_strerror(code)) : 0;
}
