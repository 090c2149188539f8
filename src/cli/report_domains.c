#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cli/report.h"
#include "domain/address.h"

#define WEEK_MS (7 * 86400000LL)
#define HELD_MAX 200000
#define PARTS_MAX 64
#define CHANCE 0.01 /* of one false finding among all of them */

/* Those domains whose hash leaves `rest` when divided by `parts`. */
struct part {
    uint64_t parts, rest;
};

struct entry {
    uint64_t hash; /* 0: free */
    struct report_domain counts;
};

struct report_domains {
    struct report_options options;
    size_t held_max;
    struct part part;               /* in hand */
    struct part put_off[PARTS_MAX]; /* each split halves what is held, so few are enough */
    int put_off_count;
    struct entry *table; /* grows until held_max fit */
    size_t size, used;
    struct arena names, next_names;
    /* the result */
    struct report_domain *rows;
    size_t count, room;
    struct arena row_names;
};

struct report_domains *report_domains_new(const struct report_options *options)
{
    struct report_domains *domains = mem_zalloc(sizeof(*domains));
    domains->options = *options;
    domains->held_max = options->domains_held_max ? options->domains_held_max : HELD_MAX;
    domains->part.parts = 1;
    domains->size = 1024;
    domains->table = mem_zalloc(domains->size * sizeof(domains->table[0]));
    arena_init(&domains->names);
    arena_init(&domains->next_names);
    arena_init(&domains->row_names);
    return domains;
}

void report_domains_free(struct report_domains *domains)
{
    if (!domains)
        return;
    arena_deinit(&domains->names);
    arena_deinit(&domains->next_names);
    arena_deinit(&domains->row_names);
    mem_free(domains->table);
    mem_free(domains->rows);
    mem_free(domains);
}

static struct entry *entry_of(const struct report_domains *domains, uint64_t hash)
{
    /* Not the bits that parts go by: all that are held agree in those. */
    size_t at = (hash >> 32) & (domains->size - 1);
    while (domains->table[at].hash && domains->table[at].hash != hash)
        at = (at + 1) & (domains->size - 1);
    return &domains->table[at];
}

/* A table of `size` for what belongs to the part in hand; the rest is dropped. */
static void rebuild(struct report_domains *domains, size_t size)
{
    struct entry *before = domains->table;
    size_t size_before = domains->size;
    struct arena names = domains->names;
    domains->table = mem_zalloc(size * sizeof(domains->table[0]));
    domains->size = size;
    domains->used = 0;
    domains->names = domains->next_names;
    for (size_t i = 0; i < size_before; i++) {
        if (!before[i].hash || before[i].hash % domains->part.parts != domains->part.rest)
            continue;
        struct entry *entry = entry_of(domains, before[i].hash);
        *entry = before[i];
        entry->counts.name = arena_str(&domains->names, str_of(before[i].counts.name)).data;
        domains->used++;
    }
    arena_reset(&names, 0);
    domains->next_names = names;
    mem_free(before);
}

/* Room for one more: a larger table, or half of what is held is put off. */
static void make_room(struct report_domains *domains)
{
    if (domains->used >= domains->held_max && domains->put_off_count < PARTS_MAX) {
        domains->put_off[domains->put_off_count++] =
            (struct part){domains->part.parts * 2, domains->part.rest + domains->part.parts};
        domains->part.parts *= 2;
        rebuild(domains, domains->size);
    } else if (domains->used * 3 >= domains->size * 2) {
        rebuild(domains, domains->size * 2);
    }
}

void report_domains_add(struct report_domains *domains, const struct recipient *state,
                        const struct report_person *person)
{
    struct str name = recipient_domain(state->who.recipient);
    uint64_t hash = hash_xxh3(name.data, name.len);
    hash = hash ? hash : 1;
    if (person->absent || hash % domains->part.parts != domains->part.rest)
        return;
    struct entry *entry = entry_of(domains, hash);
    if (!entry->hash) {
        make_room(domains);
        if (hash % domains->part.parts != domains->part.rest)
            return;
        entry = entry_of(domains, hash);
        entry->hash = hash;
        entry->counts.name = arena_str(&domains->names, name).data;
        domains->used++;
    }
    struct report_domain *counts = &entry->counts;
    counts->known++;
    counts->disabled += person->disabled;
    counts->recent += person->recent;
    counts->previous += person->previous;
    for (int i = 0; i < state->opening_count; i++) {
        int64_t age_ms = domains->options.now_ms - state->openings_ms[i];
        int64_t week = age_ms > 0 ? age_ms / WEEK_MS : 0;
        if (week < REPORT_DOMAIN_WEEKS)
            counts->weeks[week]++;
    }
}

/* Of what is held, what has enough recipients is kept. */
static void keep(struct report_domains *domains)
{
    for (size_t i = 0; i < domains->size; i++) {
        const struct report_domain *counts = &domains->table[i].counts;
        if (!domains->table[i].hash || counts->known < domains->options.min_recipients)
            continue;
        if (domains->count++ >= REPORT_DOMAINS_MAX)
            continue; /* report_domains_end tells */
        if (domains->count > domains->room) {
            domains->room = domains->room ? domains->room * 2 : 256;
            domains->rows = mem_realloc(domains->rows, domains->room * sizeof(domains->rows[0]));
        }
        struct report_domain *row = &domains->rows[domains->count - 1];
        *row = *counts;
        row->name = arena_str(&domains->row_names, str_of(counts->name)).data;
    }
}

bool report_domains_again(struct report_domains *domains)
{
    keep(domains);
    if (!domains->put_off_count)
        return false;
    domains->part = domains->put_off[--domains->put_off_count];
    memset(domains->table, 0, domains->size * sizeof(domains->table[0]));
    domains->used = 0;
    arena_reset(&domains->names, 0);
    return true;
}

static void judge(struct report_domain *row, const struct report_totals *totals, double z)
{
    row->share = share_of(row->disabled, row->known, z);
    row->others = share_of(totals->disabled - row->disabled, totals->known - row->known, z);
    row->unusual = row->share.lower > row->others.upper;
    int64_t recent = totals->recent - row->recent, previous = totals->previous - row->previous;
    struct share change = share_of(row->recent, row->recent + row->previous, z);
    struct share elsewhere = share_of(recent, recent + previous, z);
    row->trend = (change.lower > elsewhere.upper) - (change.upper < elsewhere.lower);
}

static int compare(const void *left, const void *right)
{
    const struct report_domain *a = left, *b = right;
    if (a->unusual != b->unusual)
        return a->unusual ? -1 : 1;
    if (a->share.lower != b->share.lower)
        return a->share.lower > b->share.lower ? -1 : 1;
    if (a->known != b->known)
        return a->known > b->known ? -1 : 1;
    return strcmp(a->name, b->name);
}

enum rcode report_domains_end(struct report_domains *domains, const struct report_totals *totals,
                              const struct report_domain **ret_rows, size_t *ret_count,
                              struct err *err)
{
    if (domains->count > REPORT_DOMAINS_MAX)
        return err_set(err, E_USAGE,
                       "%zu domains have %" PRId64 " recipients or more, which is more than %d: "
                       "raise --min-recipients",
                       domains->count, domains->options.min_recipients, REPORT_DOMAINS_MAX);
    /* Three questions for each domain. */
    double z = share_z(CHANCE / (3.0 * (double)(domains->count ? domains->count : 1)));
    for (size_t i = 0; i < domains->count; i++)
        judge(&domains->rows[i], totals, z);
    if (domains->count)
        qsort(domains->rows, domains->count, sizeof(domains->rows[0]), compare);
    *ret_rows = domains->rows;
    *ret_count = domains->count;
    return OK;
}
