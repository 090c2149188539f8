#include "stream/ask.h"

#include <time.h>

#include "base/clock.h"

void ask_init(struct ask *ask)
{
    pthread_condattr_t attributes;
    *ask = (struct ask){0};
    pthread_mutex_init(&ask->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ask->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void ask_deinit(struct ask *ask)
{
    pthread_mutex_destroy(&ask->lock);
    pthread_cond_destroy(&ask->changed);
}

bool ask_put(struct ask *ask, ask_answer *answer, void *context, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool in_time = true;
    pthread_mutex_lock(&ask->lock);
    ask->answer = answer;
    ask->context = context;
    atomic_store(&ask->waiting, true);
    while (ask->answer && in_time)
        in_time = pthread_cond_timedwait(&ask->changed, &ask->lock, &until) == 0;
    while (ask->answering) /* `context` is in use: its end is near, and must be waited for */
        pthread_cond_wait(&ask->changed, &ask->lock);
    bool answered = !ask->answer;
    ask->answer = NULL;
    atomic_store(&ask->waiting, false);
    pthread_mutex_unlock(&ask->lock);
    return answered;
}

void ask_serve(struct ask *ask)
{
    if (!atomic_load(&ask->waiting))
        return;
    pthread_mutex_lock(&ask->lock);
    ask_answer *answer = ask->answer;
    void *context = ask->context;
    ask->answering = answer != NULL;
    pthread_mutex_unlock(&ask->lock);
    if (!answer)
        return;
    answer(context);
    pthread_mutex_lock(&ask->lock);
    ask->answer = NULL;
    ask->answering = false;
    pthread_cond_signal(&ask->changed);
    pthread_mutex_unlock(&ask->lock);
}
