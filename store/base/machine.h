/* machine.h - what this process may use of the machine. Thread safe. */
#ifndef KITH_MACHINE_H
#define KITH_MACHINE_H

#include <stdint.h>

uint64_t kith_machine_memory(void); /* bytes of physical memory, or of the memory cgroup if that is less */
int kith_machine_cores(void);       /* cores that this process may run on, at least 1 */

#endif
