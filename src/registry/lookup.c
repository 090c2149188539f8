#include "registry/lookup.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

#define CREDIT_MS_MAX 300  /* the longest wait at once */
#define CREDIT_SHARE 5     /* and no more than one part in so many of all time */
#define ABSENT_MS 60000    /* how long a "there is none" is believed */
#define FORGOTTEN_MS 60000 /* nobody has asked for it for so long: it is not fetched any more */
#define PAUSE_MS 500       /* after a failure; doubled each time */
#define PAUSE_MS_MAX 5000

enum state { UNUSED, WANTED, KNOWN, ABSENT };

struct entry {
    enum state state;
    int32_t id;
    bool own;         /* stays whatever happens */
    int64_t asked_ms; /* last */
    int64_t until_ms; /* ABSENT: asked again then */
    char *text;       /* KNOWN: the schema; ABSENT: why not */
    size_t len;
};

struct lookup {
    struct registry *registry; /* the thread's */
    const char *url;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct entry entries[LOOKUP_IDS_MAX];
    size_t octets;
    bool stopping;
    int64_t pause_ms;     /* 0: the registry has answered last time */
    int64_t paused_until; /* monotonic */
    struct err trouble;   /* why it is paused */
};

static void wait_until(struct lookup *lookup, int64_t at_ms)
{
    struct timespec at = {at_ms / 1000, (long)(at_ms % 1000) * 1000000};
    pthread_cond_timedwait(&lookup->changed, &lookup->lock, &at);
}

/* --- entries --- */

static struct entry *find(struct lookup *lookup, int32_t id)
{
    for (int i = 0; i < LOOKUP_IDS_MAX; i++)
        if (lookup->entries[i].state != UNUSED && lookup->entries[i].id == id)
            return &lookup->entries[i];
    return NULL;
}

static void clear(struct lookup *lookup, struct entry *entry)
{
    lookup->octets -= entry->len;
    mem_free(entry->text);
    *entry = (struct entry){0};
}

/* The one that was not asked for the longest; NULL: all are our own. */
static struct entry *oldest(struct lookup *lookup, const struct entry *except)
{
    struct entry *found = NULL;
    for (int i = 0; i < LOOKUP_IDS_MAX; i++) {
        struct entry *entry = &lookup->entries[i];
        if (entry->state != UNUSED && !entry->own && entry != except &&
            (!found || entry->asked_ms < found->asked_ms))
            found = entry;
    }
    return found;
}

static struct entry *add(struct lookup *lookup, int32_t id)
{
    struct entry *entry = NULL;
    for (int i = 0; !entry && i < LOOKUP_IDS_MAX; i++)
        if (lookup->entries[i].state == UNUSED)
            entry = &lookup->entries[i];
    if (!entry) {
        entry = oldest(lookup, NULL);
        if (!entry)
            return NULL;
        clear(lookup, entry);
    }
    entry->id = id;
    entry->state = WANTED;
    return entry;
}

static void fill(struct lookup *lookup, struct entry *entry, enum state state, struct str text)
{
    lookup->octets -= entry->len;
    mem_free(entry->text);
    entry->state = state;
    entry->text = mem_alloc(text.len + 1);
    memcpy(entry->text, text.data, text.len);
    entry->text[text.len] = '\0';
    entry->len = text.len;
    lookup->octets += text.len;
    while (lookup->octets > LOOKUP_OCTETS_MAX) {
        struct entry *victim = oldest(lookup, entry);
        if (!victim)
            return;
        clear(lookup, victim);
    }
}

/* --- the thread --- */

/* An id to ask for, or -1. What nobody has asked for lately is not wanted any more. */
static struct entry *next_wanted(struct lookup *lookup, int64_t now_ms)
{
    struct entry *found = NULL;
    for (int i = 0; i < LOOKUP_IDS_MAX; i++) {
        struct entry *entry = &lookup->entries[i];
        if (entry->state == WANTED && now_ms - entry->asked_ms > FORGOTTEN_MS)
            clear(lookup, entry);
        if (entry->state == WANTED && (!found || entry->asked_ms < found->asked_ms))
            found = entry;
    }
    return found;
}

static void fetched(struct lookup *lookup, int32_t id, enum rcode rc, struct str text,
                    const struct err *why)
{
    struct entry *entry = find(lookup, id); /* it may have given way meanwhile */
    int64_t now = clock_monotonic_ms();
    if (rc == OK || rc == E_UNKNOWN_SCHEMA) {
        if (lookup->pause_ms)
            log_info("registry_back", "the schema registry answers again",
                     LOG_S("url", lookup->url));
        lookup->pause_ms = 0;
        if (entry)
            fill(lookup, entry, rc == OK ? KNOWN : ABSENT, rc == OK ? text : str_of(why->text));
        if (entry)
            entry->until_ms = now + ABSENT_MS;
        return;
    }
    if (!lookup->pause_ms)
        log_warn("registry_unavailable", why->text, LOG_S("url", lookup->url), LOG_I("id", id));
    lookup->pause_ms = lookup->pause_ms ? 2 * lookup->pause_ms : PAUSE_MS;
    if (lookup->pause_ms > PAUSE_MS_MAX)
        lookup->pause_ms = PAUSE_MS_MAX;
    lookup->paused_until = now + lookup->pause_ms;
    lookup->trouble = *why;
    if (entry)
        entry->asked_ms = now; /* behind the others */
}

static void *thread_main(void *context)
{
    struct lookup *lookup = context;
    struct arena arena;
    arena_init(&arena);
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->stopping) {
        int64_t now = clock_monotonic_ms();
        struct entry *wanted = next_wanted(lookup, now);
        if (!wanted) {
            pthread_cond_wait(&lookup->changed, &lookup->lock);
            continue;
        }
        if (lookup->pause_ms && now < lookup->paused_until) {
            wait_until(lookup, lookup->paused_until);
            continue;
        }
        int32_t id = wanted->id;
        struct str text = STR_NULL;
        struct err why = {0};
        pthread_mutex_unlock(&lookup->lock);
        enum rcode rc = registry_schema(lookup->registry, id, &arena, &text, &why);
        pthread_mutex_lock(&lookup->lock);
        fetched(lookup, id, rc, text, &why);
        arena_reset(&arena, 0);
        pthread_cond_broadcast(&lookup->changed);
    }
    pthread_mutex_unlock(&lookup->lock);
    arena_deinit(&arena);
    return NULL;
}

enum rcode lookup_open(const struct registry_options *options, struct registry_stats *stats,
                       struct lookup **ret_lookup, struct err *err)
{
    struct registry *registry;
    pthread_condattr_t attributes;
    enum rcode rc = registry_open(options, stats, &registry, err);
    if (rc != OK)
        return rc;
    struct lookup *lookup = mem_zalloc(sizeof(*lookup));
    lookup->registry = registry;
    lookup->url = options->url;
    pthread_mutex_init(&lookup->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lookup->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&lookup->thread, NULL, thread_main, lookup) != 0) {
        rc = err_errno(err, E_IO, "cannot start a thread");
        lookup->thread = pthread_self();
        lookup_close(lookup);
        return rc;
    }
    *ret_lookup = lookup;
    return OK;
}

void lookup_close(struct lookup *lookup)
{
    if (!lookup)
        return;
    pthread_mutex_lock(&lookup->lock);
    lookup->stopping = true;
    pthread_cond_broadcast(&lookup->changed);
    pthread_mutex_unlock(&lookup->lock);
    if (!pthread_equal(lookup->thread, pthread_self()))
        pthread_join(lookup->thread, NULL);
    for (int i = 0; i < LOOKUP_IDS_MAX; i++)
        mem_free(lookup->entries[i].text);
    pthread_cond_destroy(&lookup->changed);
    pthread_mutex_destroy(&lookup->lock);
    registry_close(lookup->registry);
    mem_free(lookup);
}

/* --- asking --- */

void lookup_put(struct lookup *lookup, int32_t id, struct str text)
{
    pthread_mutex_lock(&lookup->lock);
    struct entry *entry = find(lookup, id);
    if (!entry)
        entry = add(lookup, id);
    if (entry) {
        entry->own = true;
        fill(lookup, entry, KNOWN, text);
    }
    pthread_mutex_unlock(&lookup->lock);
}

/* How long the asker may wait now: what it has saved up. */
static int64_t credit(struct lookup_asker *asker, int64_t now_ms)
{
    asker->credit_ms = asker->counted_ms
                           ? asker->credit_ms + (now_ms - asker->counted_ms) / CREDIT_SHARE
                           : CREDIT_MS_MAX;
    if (asker->credit_ms > CREDIT_MS_MAX)
        asker->credit_ms = CREDIT_MS_MAX;
    asker->counted_ms = now_ms;
    return asker->credit_ms;
}

/* Until the id is no longer wanted, the registry fails, or the credit is used up. */
static struct entry *wait_for(struct lookup_asker *asker, int32_t id)
{
    struct lookup *lookup = asker->lookup;
    int64_t now = clock_monotonic_ms(), deadline = now + credit(asker, now);
    struct entry *entry = find(lookup, id);
    while (entry && entry->state == WANTED && !lookup->pause_ms && now < deadline) {
        wait_until(lookup, deadline);
        int64_t later = clock_monotonic_ms();
        asker->credit_ms -= later - now;
        asker->counted_ms = now = later;
        entry = find(lookup, id);
    }
    return entry;
}

static enum rcode tell(const struct lookup *lookup, int32_t id, const struct entry *entry,
                       struct arena *arena, struct str *ret_text, struct err *err)
{
    if (entry && entry->state == KNOWN) {
        *ret_text = arena_str(arena, (struct str){entry->text, entry->len});
        return OK;
    }
    if (entry && entry->state == ABSENT)
        return err_set(err, E_UNKNOWN_SCHEMA, "%s", entry->text);
    if (lookup->pause_ms) {
        *err = lookup->trouble;
        return err_set(err, E_REGISTRY_UNAVAILABLE, "schema id %d waits: %.900s", id,
                       lookup->trouble.text);
    }
    return err_set(err, E_REGISTRY_UNAVAILABLE, "schema id %d is being asked for at %s", id,
                   lookup->url);
}

enum rcode lookup_resolve(void *context, int32_t id, struct arena *arena, struct str *ret_text,
                          struct err *err)
{
    struct lookup_asker *asker = context;
    struct lookup *lookup = asker->lookup;
    pthread_mutex_lock(&lookup->lock);
    int64_t now = clock_monotonic_ms();
    struct entry *entry = find(lookup, id);
    if (entry && entry->state == ABSENT && now >= entry->until_ms)
        entry->state = WANTED;
    if (!entry)
        entry = add(lookup, id);
    if (entry)
        entry->asked_ms = now;
    if (entry && entry->state == WANTED) {
        pthread_cond_broadcast(&lookup->changed);
        entry = wait_for(asker, id);
    }
    enum rcode rc = tell(lookup, id, entry, arena, ret_text, err);
    pthread_mutex_unlock(&lookup->lock);
    return rc;
}

void lookup_usage(struct lookup *lookup, struct lookup_usage *ret_usage)
{
    struct lookup_usage usage = {0};
    pthread_mutex_lock(&lookup->lock);
    for (int i = 0; i < LOOKUP_IDS_MAX; i++) {
        usage.known += lookup->entries[i].state == KNOWN;
        usage.absent += lookup->entries[i].state == ABSENT;
        usage.wanted += lookup->entries[i].state == WANTED;
    }
    pthread_mutex_unlock(&lookup->lock);
    *ret_usage = usage;
}
