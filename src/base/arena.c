#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_SIZE ((size_t)256 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    max_align_t data[];
};

void *mem_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        fprintf(stderr, "rimbalzo: out of memory allocating %zu bytes\n", size);
        abort();
    }
    return memory;
}

void *mem_zalloc(size_t size)
{
    return memset(mem_alloc(size), 0, size);
}

void *mem_realloc(void *memory, size_t size)
{
    void *grown = realloc(memory, size ? size : 1);
    if (!grown) {
        fprintf(stderr, "rimbalzo: out of memory allocating %zu bytes\n", size);
        abort();
    }
    return grown;
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

void mem_free(void *memory)
{
    free(memory);
}

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
}

void arena_deinit(struct arena *arena)
{
    free_chunks(arena->head);
    free_chunks(arena->spare);
    arena_init(arena);
}

void arena_reset(struct arena *arena, size_t keep)
{
    struct arena_chunk *all[2] = {arena->head, arena->spare};
    arena_init(arena);
    for (int i = 0; i < 2; i++) {
        for (struct arena_chunk *chunk = all[i], *next; chunk; chunk = next) {
            next = chunk->next;
            if (chunk->size > CHUNK_SIZE || arena->retained + chunk->size > keep) {
                mem_free(chunk);
                continue;
            }
            chunk->used = 0;
            chunk->next = arena->spare;
            arena->spare = chunk;
            arena->retained += chunk->size;
        }
    }
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->spare;
    if (chunk && size <= chunk->size) {
        arena->spare = chunk->next;
    } else {
        size_t wanted = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = mem_alloc(sizeof(*chunk) + wanted);
        *chunk = (struct arena_chunk){.size = wanted};
        arena->retained += wanted;
    }
    chunk->next = arena->head;
    arena->head = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t align = _Alignof(max_align_t);
    size = (size + align - 1) / align * align;
    struct arena_chunk *chunk = arena->head;
    if (!chunk || chunk->size - chunk->used < size)
        chunk = add_chunk(arena, size);
    void *memory = (char *)chunk->data + chunk->used;
    chunk->used += size;
    arena->used += size;
    return memory;
}

struct str arena_str(struct arena *arena, struct str text)
{
    if (!text.data)
        return text;
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return (struct str){copy, text.len};
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(arena, (size_t)(len < 0 ? 0 : len) + 1);
    text[0] = '\0';
    if (len > 0)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (struct str){text, (size_t)(len < 0 ? 0 : len)};
}
