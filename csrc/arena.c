/* Memory and hash: see arena.h. */
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

#define FWN_HUGE_PAGE ((size_t)2 << 20)

void *fwn_arena_take(fwn_arena *arena, size_t count, size_t size)
{
    void *at = arena->base ? arena->base + arena->used : NULL;
    arena->used += fwn_lines(count * size);
    return at;
}

void *fwn_arena_memory(size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const size_t page = bytes < FWN_HUGE_PAGE / 2 ? FWN_ALIGN : FWN_HUGE_PAGE;
#else
    const size_t page = FWN_ALIGN;
#endif
    bytes = (bytes + page - 1) / page * page;
    void *memory = aligned_alloc(page, bytes ? bytes : page);
    if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
    /* With small pages about half of the L2 cache goes unused; see bench/NOTES.md. */
    if (page == FWN_HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    memset(memory, 0, bytes);
    return memory;
}

uint64_t fwn_hash(uint64_t h, const void *words, size_t count)
{
    const unsigned char *at = words;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, at + 4 * i, sizeof word);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return h;
}
