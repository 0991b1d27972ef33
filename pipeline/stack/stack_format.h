/* stack_format.h - what stack.json's writer and its reader share. */
#ifndef KITH_STACK_FORMAT_H
#define KITH_STACK_FORMAT_H

#define STACK_FORMAT      "kith-stack"
#define STACK_VERSION     1
#define STACK_GRAPH_KINDS 2

#endif
