#include "cli/replay_show.h"

/*    column     what it shows */
#define COLUMNS(X)                                                                                 \
    X(partition, cell_number(partition))                                                           \
    X(recipient, cell_text(difference->who.recipient))                                             \
    X(tenant, cell_text(difference->who.tenant))                                                   \
    X(change, cell_text(str_of(difference_kind_names[difference->kind])))                          \
    X(field, cell_text(str_of(recipient_field_names[field])))                                      \
    X(live, value_cell(difference->live, &live))                                                   \
    X(recomputed, value_cell(difference->wanted, &wanted))

#define X(column, value) #column,
static const char *const column_names[] = {COLUMNS(X)};
#undef X

void replay_show_begin(struct replay_show *show, enum output_format format, int64_t limit)
{
    *show = (struct replay_show){.limit = format == OUTPUT_TABLE ? limit : -1};
    output_begin(&show->output, format, stdout, column_names,
                 sizeof(column_names) / sizeof(column_names[0]));
}

static struct cell value_cell(const struct recipient *state, const struct buf *value)
{
    return cell_text(state && value->len ? buf_view(value) : STR_NULL);
}

static void show_field(struct replay_show *show, int32_t partition,
                       const struct difference *difference, int field)
{
    struct buf live, wanted;
    buf_init(&live);
    buf_init(&wanted);
    recipient_field(difference->live, field, &live);
    recipient_field(difference->wanted, field, &wanted);
    const struct cell cells[] = {
#define X(column, value) value,
        COLUMNS(X)
#undef X
    };
    output_row(&show->output, cells);
    buf_deinit(&live);
    buf_deinit(&wanted);
}

static int status_of(const struct recipient *state)
{
    return state ? (int)state->status : RECIPIENT_STATUS_COUNT;
}

enum rcode replay_show_difference(void *context, const struct replay_partition *partition,
                                  const struct difference *difference, bool explained,
                                  struct err *err)
{
    struct replay_show *show = context;
    (void)err;
    if (explained)
        return OK;
    show->moves[status_of(difference->live)][status_of(difference->wanted)]++;
    if (show->limit >= 0 && show->shown >= show->limit)
        return OK;
    show->shown++;
    /* Of a recipient that only one side knows, the first field says it: its status. */
    bool both = difference->live && difference->wanted;
    for (int i = 0; i < (both ? recipient_field_count : 1); i++)
        if (!both || recipient_field_differs(difference->live, difference->wanted, i))
            show_field(show, partition->partition, difference, i);
    return OK;
}

static const char *status_name(int status)
{
    return status == RECIPIENT_STATUS_COUNT ? "unknown" : recipient_status_names[status];
}

static void tell_moves(const struct replay_show *show)
{
    for (int from = 0; from < STATUS_KINDS; from++)
        for (int to = 0; to < STATUS_KINDS; to++)
            if (from != to && show->moves[from][to])
                fprintf(stderr, "rimbalzo:   %s, recomputed %s: %lld\n", status_name(from),
                        status_name(to), (long long)show->moves[from][to]);
}

int64_t replay_show_end(struct replay_show *show, const struct replay_job *job)
{
    int64_t counts[DIFFERENCE_KIND_COUNT] = {0}, all = 0, unprovable = 0;
    output_end(&show->output);
    for (int32_t p = 0; p < job->count; p++) {
        unprovable += job->partitions[p].unprovable;
        for (int kind = 0; kind < DIFFERENCE_KIND_COUNT; kind++)
            counts[kind] += job->partitions[p].differences[kind];
    }
    for (int kind = 0; kind < DIFFERENCE_KIND_COUNT; kind++)
        all += counts[kind];
    fprintf(stderr, "rimbalzo: %lld recipient%s differ%s", (long long)all, all == 1 ? "" : "s",
            all == 1 ? "s" : "");
    for (int kind = 0, said = 0; kind < DIFFERENCE_KIND_COUNT; kind++)
        if (counts[kind])
            fprintf(stderr, "%s%s %lld", said++ ? ", " : ": ", difference_kind_names[kind],
                    (long long)counts[kind]);
    fputs("\n", stderr);
    tell_moves(show);
    if (show->limit >= 0 && all > show->limit)
        fprintf(stderr, "rimbalzo: the first %lld are shown; -o jsonl shows all\n",
                (long long)show->limit);
    if (unprovable)
        fprintf(stderr,
                "rimbalzo: %lld recipients have events that the input does not hold any more: "
                "nothing is said of them\n",
                (long long)unprovable);
    return all;
}
