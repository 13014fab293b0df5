/* Memory of models, streams and codecs: one zeroed, aligned block each, divided in order; and the
 * hash of weights and states. */
#ifndef FWN_ARENA_H
#define FWN_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define FWN_ALIGN 64 /* bytes: a cache line */

/* Whole cache lines of so many bytes. */
static inline uint64_t fwn_lines(uint64_t bytes)
{
    return (bytes + FWN_ALIGN - 1) / FWN_ALIGN * FWN_ALIGN;
}

/* With base == NULL it only counts: a layout runs once for the size and once for the pointers. */
typedef struct {
    char *base;
    size_t used; /* bytes */
} fwn_arena;

/* The next count * size bytes, aligned; NULL where base is. */
void *fwn_arena_take(fwn_arena *arena, size_t count, size_t size);

/* A zeroed block for an arena, in huge pages if it is large, to free(); NULL: no memory. */
void *fwn_arena_memory(size_t bytes);

/* Of `count` 32-bit words at any alignment, continuing from h. */
uint64_t fwn_hash(uint64_t h, const void *words, size_t count);

#endif
