/*
 * A question to an engine's thread from another one, answered between two turns, when nothing is
 * staged and no transaction is open: so that what only that thread may touch, its stores, can be
 * looked at from outside without a lock that it would have to wait for. One thread asks at a time.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef void ask_answer(void *context);

struct ask {
    pthread_mutex_t lock; /* of what follows; the answer itself is given without it */
    pthread_cond_t changed;
    ask_answer *answer; /* NULL: nothing is asked */
    void *context;
    bool answering;
    atomic_bool waiting; /* so that a turn without a question takes no lock */
};

void ask_init(struct ask *ask);
void ask_deinit(struct ask *ask);

/* Has `answer(context)` called by the engine's thread and waits for its end. False: it was not
 * called, and will not be, because no turn ended within `timeout_ms`. */
bool ask_put(struct ask *ask, ask_answer *answer, void *context, int timeout_ms);

/* By the engine's thread: answers what is asked. */
void ask_serve(struct ask *ask);
