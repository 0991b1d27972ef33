/* nameless_file.h - temporary files, which are gone with the process. */
#ifndef KITH_NAMELESS_FILE_H
#define KITH_NAMELESS_FILE_H

#include <stddef.h>

/* Opens one for reading and writing, in the folder of `beside`. -1, and errno, if there is none. */
int kith_nameless_file(const char *beside);

#endif
