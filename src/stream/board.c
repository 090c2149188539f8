#include "stream/board.h"

#include "base/arena.h"

void board_init(struct board *board)
{
    *board = (struct board){0};
    pthread_mutex_init(&board->lock, NULL);
}

void board_deinit(struct board *board)
{
    pthread_mutex_destroy(&board->lock);
    mem_free(board->entries);
}

void board_write(struct board *board, const struct board_entry *entries, int count)
{
    size_t size = (size_t)count * sizeof(*entries);
    pthread_mutex_lock(&board->lock);
    if (count > board->count)
        board->entries = mem_realloc(board->entries, size);
    if (count)
        memcpy(board->entries, entries, size);
    board->count = count;
    pthread_mutex_unlock(&board->lock);
}

int board_read(struct board *board, struct board_entry **ret_entries)
{
    pthread_mutex_lock(&board->lock);
    int count = board->count;
    size_t size = (size_t)count * sizeof(**ret_entries);
    *ret_entries = mem_alloc(size);
    if (count)
        memcpy(*ret_entries, board->entries, size);
    pthread_mutex_unlock(&board->lock);
    return count;
}
