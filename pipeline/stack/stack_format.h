/* stack_format.h - what the files that make, write and read a stack share. */
#ifndef KITH_STACK_FORMAT_H
#define KITH_STACK_FORMAT_H

#include "kith/stack.h"

#define STACK_FORMAT      "kith-stack"
#define STACK_VERSION     1
#define STACK_VERSION_TWO 2 /* of two networks: older programs would look for NNTP */
#define STACK_GRAPH_KINDS 2

/* As kith_stack_new, but every pointer of its nnts and nntp is NULL. */
int stack_new_empty(kith_stack **out, uint64_t n, size_t layers, size_t nnts, size_t nntp, kith_err *err);

#endif
