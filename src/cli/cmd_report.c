/* rimbalzo report hygiene|frequent|domains: what the recipients topic says of the whole list; no
 * worker is needed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/changelog.h"
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "codec/record.h"
#include "domain/address.h"

enum { KEY_TENANT = 't', KEY_DAYS = 0x6000, KEY_EPISODES, KEY_RECIPIENTS, KEY_ALL };

static const char *const kind_names[] = {
    [REPORT_HYGIENE] = "hygiene", [REPORT_FREQUENT] = "frequent", [REPORT_DOMAINS] = "domains"};
#define KIND_COUNT 3

static const char *const format_names[] = {
    [OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", [OUTPUT_JSONL] = "jsonl",
    [OUTPUT_TSV] = "tsv",     [OUTPUT_CSV] = "csv",   "html"};
#define FORMAT_HTML ((int)OUTPUT_CSV + 1)

struct options {
    struct settings_options settings;
    int kind;   /* enum report_kind, -1: not given */
    int format; /* enum output_format or FORMAT_HTML */
    const char *tenant;
    int64_t days, episodes, recipients;
    bool all;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        return 0;
    case 'o':
        options->format = name_index(format_names, FORMAT_HTML + 1, str_of(arg));
        if (options->format < 0)
            argp_error(state, "-o takes table, csv, json, jsonl, tsv or html, not \"%s\"", arg);
        return 0;
    case KEY_TENANT:
        options->tenant = arg;
        return 0;
    case KEY_DAYS:
        options->days = cli_number_arg(state, "days", arg, 0);
        return 0;
    case KEY_EPISODES:
        options->episodes = cli_number_arg(state, "min-episodes", arg, 1);
        return 0;
    case KEY_RECIPIENTS:
        options->recipients = cli_number_arg(state, "min-recipients", arg, 1);
        return 0;
    case KEY_ALL:
        options->all = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->kind >= 0)
            argp_error(state, "\"%s\" is one argument too many", arg);
        options->kind = name_index(kind_names, KIND_COUNT, str_of(arg));
        if (options->kind < 0)
            argp_error(state, "\"%s\" is none of hygiene, frequent and domains", arg);
        return 0;
    case ARGP_KEY_END:
        if (options->kind < 0)
            argp_error(state, "say hygiene, frequent or domains");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- the states of the list, one after the other --- */

struct run {
    const struct options *options;
    struct report_options report;
    struct deployment deployment;
    struct codec *codec;
    struct kafka_reader *reader;
    struct report_totals totals;
    struct report_domains *domains; /* of that report */
    bool again;                     /* the totals are known, only domains are counted */
    struct output output;
    /* of a page */
    struct report_row *rows;
    size_t row_count, least; /* least: index of the row with the smallest rank, if full */
    int64_t row_total;
    int64_t unreadable;
};

static struct cell time_cell(int64_t time_ms, char text[32])
{
    if (time_ms == TIME_NULL)
        return cell_text(STR_NULL);
    clock_format(time_ms, text);
    return cell_text(str_of(text));
}

static struct cell name_cell(const char *name)
{
    return cell_text(*name ? str_of(name) : STR_NULL);
}

static const char *const person_columns[] = {
    "recipient",   "tenant",         "finding",     "status",          "suppressed_by",
    "reason",      "since",          "days",        "episodes",        "frequency",
    "last_opened", "last_bounce_at", "last_status", "last_delivery_at"};
#define PERSON_COLUMNS ((int)(sizeof(person_columns) / sizeof(person_columns[0])))

static void show_person(struct run *run, const struct recipient *state,
                        const struct report_person *person)
{
    char times[4][32];
    const struct cell cells[PERSON_COLUMNS] = {
        cell_text(state->who.recipient),
        cell_text(state->who.tenant),
        name_cell(report_finding_names[person->finding]),
        name_cell(recipient_status_names[person->status]),
        name_cell(suppression_reason_names[state->suppressed_by]),
        name_cell(person->status == STATUS_SUSPENDED ? reason_names[state->reason] : ""),
        time_cell(person->since_ms, times[0]),
        person->days >= 0 ? cell_number(person->days) : cell_text(STR_NULL),
        cell_number(person->episodes),
        name_cell(frequency_names[state->frequency]),
        time_cell(person->opened_ms, times[1]),
        time_cell(state->last_bounce_at_ms, times[2]),
        cell_text(state->last_status),
        time_cell(state->last_delivery_at_ms, times[3]),
    };
    output_row(&run->output, cells);
}

/* The longest suspended first, then the often disabled, then the suppressed; or by episodes. */
static int64_t rank_of(const struct run *run, const struct report_person *person)
{
    int64_t day = person->opened_ms == TIME_NULL ? 0 : person->opened_ms / 86400000;
    if (run->options->kind == REPORT_FREQUENT)
        return person->episodes * 10000000 + day;
    switch (person->finding) {
    case FINDING_SUSPENDED_LONG:
        return 200000000 + person->days;
    case FINDING_OFTEN_DISABLED:
        return 100000000 + person->episodes * 1000000 + day;
    case FINDING_SUPPRESSED:
    case FINDING_NONE:
    case REPORT_FINDING_COUNT:
        break;
    }
    return -person->days; /* the latest first */
}

static void keep_row(struct run *run, const struct recipient *state,
                     const struct report_person *person)
{
    int64_t rank = rank_of(run, person);
    bool full = run->row_count == REPORT_ROWS_MAX;
    char key[RECORD_KEY_MAX];
    run->row_total++;
    if (full && rank <= run->rows[run->least].rank)
        return;
    struct report_row *row = &run->rows[full ? run->least : run->row_count++];
    *row =
        (struct report_row){.person = *person, .suppressed_by = state->suppressed_by, .rank = rank};
    size_t len = identity_key(state->who, key);
    snprintf(row->recipient, sizeof(row->recipient), "%.*s", (int)len, key);
    if (person->status == STATUS_SUSPENDED)
        snprintf(row->reason, sizeof(row->reason), "%s", reason_names[state->reason]);
    snprintf(row->last_status, sizeof(row->last_status), "%.*s", STR_ARG(state->last_status));
    for (size_t i = 0; run->row_count == REPORT_ROWS_MAX && i < run->row_count; i++)
        if (i == 0 || run->rows[i].rank < run->rows[run->least].rank)
            run->least = i;
}

static bool is_shown(const struct run *run, const struct report_person *person)
{
    if (run->options->kind == REPORT_HYGIENE)
        return person->finding != FINDING_NONE;
    return run->options->kind == REPORT_FREQUENT && person->episodes >= run->options->episodes;
}

static enum rcode take(void *context, const struct port_record *record, struct err *err)
{
    struct run *run = context;
    const char *tenant = run->options->tenant;
    struct recipient state;
    struct report_person person;
    struct err why;
    enum rcode rc = codec_decode_recipient(run->codec, record->value, &state, &why);
    if (rc != OK && rcode_disposition(rc) != DISPOSITION_REJECT) {
        *err = why;
        return rc;
    }
    if (rc != OK) {
        run->unreadable += !run->again;
        return OK;
    }
    if (tenant && !str_equal(state.who.tenant, str_of(tenant)))
        return OK;
    report_person(&run->report, &state, &person);
    if (!run->again)
        report_add(&run->totals, &run->report, &state, &person);
    if (run->domains)
        report_domains_add(run->domains, &state, &person);
    if (person.absent || !is_shown(run, &person))
        return OK;
    if (run->options->format == FORMAT_HTML)
        keep_row(run, &state, &person);
    else
        show_person(run, &state, &person);
    return OK;
}

static enum rcode read_all(struct run *run, struct err *err)
{
    struct changelog changelog = {run->reader, run->deployment.topics[TOPIC_RECIPIENTS]};
    struct progress progress;
    int32_t partitions;
    enum rcode rc = kafka_reader_partition_count(run->reader, changelog.topic, &partitions, err);
    progress_begin(&progress, "partitions");
    for (int32_t p = 0; rc == OK && p < partitions; p++) {
        progress_show(&progress, p, partitions);
        rc = changelog_live(&changelog, p, take, run, err);
    }
    progress_clear(&progress);
    return rc;
}

/* --- domains --- */

static const char *const domain_columns[] = {
    "domain",       "recipients", "disabled", "share",  "share_lower", "share_upper",
    "others_upper", "unusual",    "previous", "recent", "trend"};
#define DOMAIN_COLUMNS ((int)(sizeof(domain_columns) / sizeof(domain_columns[0])))

static struct cell share_cell(double share)
{
    return cell_milli((int64_t)(share * 1000 + 0.5));
}

static void show_domains(struct run *run, const struct report_domain *domains, size_t count)
{
    static const char *const trends[] = {"falling", "", "rising"};
    for (size_t i = 0; i < count; i++) {
        const struct report_domain *domain = &domains[i];
        const struct cell cells[DOMAIN_COLUMNS] = {
            cell_text(str_of(domain->name)),      cell_number(domain->known),
            cell_number(domain->disabled),        share_cell(domain->share.value),
            share_cell(domain->share.lower),      share_cell(domain->share.upper),
            share_cell(domain->others.upper),     cell_bool(domain->unusual),
            cell_number(domain->previous),        cell_number(domain->recent),
            name_cell(trends[domain->trend + 1]),
        };
        if (run->options->all || domain->unusual || domain->trend)
            output_row(&run->output, cells);
    }
    if (!run->options->all && !run->output.row_count)
        fprintf(stderr,
                "none of %zu domains with %" PRId64 " recipients or more differs from the others; "
                "--all shows them\n",
                count, run->report.min_recipients);
}

/* --- the command --- */

static int compare_rows(const void *left, const void *right)
{
    const struct report_row *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return strcmp(a->recipient, b->recipient);
}

static void put_page(struct run *run, const struct report_domain *domains, size_t count)
{
    struct buf page = {0};
    qsort(run->rows, run->row_count, sizeof(run->rows[0]), compare_rows);
    report_html(&(struct report_page){.kind = (enum report_kind)run->options->kind,
                                      .app = run->deployment.app,
                                      .options = &run->report,
                                      .totals = &run->totals,
                                      .rows = run->rows,
                                      .row_count = run->row_count,
                                      .row_total = run->row_total,
                                      .domains = domains,
                                      .domain_count = count},
                &page);
    (void)fwrite(page.data, 1, page.len, stdout); /* see cli_finish */
    buf_deinit(&page);
}

static void tell(const struct run *run)
{
    const struct report_totals *totals = &run->totals;
    fprintf(stderr,
            "%" PRId64 " known recipients: %" PRId64 " active, %" PRId64 " suspended, %" PRId64
            " suppressed\n",
            totals->known, totals->by_status[STATUS_ACTIVE], totals->by_status[STATUS_SUSPENDED],
            totals->by_status[STATUS_SUPPRESSED]);
    if (run->unreadable)
        fprintf(stderr, "rimbalzo: %" PRId64 " states cannot be read\n", run->unreadable);
}

static enum rcode report(struct run *run, struct err *err)
{
    const struct options *options = run->options;
    bool of_domains = options->kind == REPORT_DOMAINS, page = options->format == FORMAT_HTML;
    const struct report_domain *domains = NULL;
    size_t count = 0;
    if (of_domains)
        run->domains = report_domains_new(&run->report);
    if (!page)
        output_begin(&run->output, (enum output_format)options->format, stdout,
                     of_domains ? domain_columns : person_columns,
                     of_domains ? DOMAIN_COLUMNS : PERSON_COLUMNS);
    enum rcode rc;
    do {
        rc = read_all(run, err);
        run->again = true;
    } while (rc == OK && run->domains && report_domains_again(run->domains));
    if (rc == OK && of_domains)
        rc = report_domains_end(run->domains, &run->totals, &domains, &count, err);
    if (rc == OK && page)
        put_page(run, domains, count);
    else if (rc == OK && of_domains)
        show_domains(run, domains, count);
    if (!page && rc == OK)
        output_end(&run->output);
    if (rc == OK)
        tell(run);
    return rc;
}

static int run(const struct options *options, const struct settings *settings)
{
    struct run run = {.options = options};
    struct schemas schemas = {0};
    struct err err = {0};
    run.report = (struct report_options){.now_ms = clock_wall_ms(),
                                         .policies = &settings->policies,
                                         .suspended_days = options->days,
                                         .min_episodes = options->episodes,
                                         .min_recipients = options->recipients};
    run.rows = mem_zalloc(REPORT_ROWS_MAX * sizeof(run.rows[0]));
    enum rcode rc = deployment_init(&run.deployment, settings->config, &err);
    if (rc == OK)
        rc = schemas_open(settings->config, SCHEMAS_NONE, &schemas, &err);
    if (rc == OK)
        rc = codec_new(&schemas.codec, &run.codec, &err);
    if (rc == OK)
        rc = kafka_reader_open(run.deployment.properties, run.deployment.worker_group, &run.reader,
                               &err);
    if (rc == OK)
        rc = report(&run, &err);
    kafka_reader_close(run.reader);
    codec_free(run.codec);
    schemas_close(&schemas);
    report_domains_free(run.domains);
    deployment_deinit(&run.deployment);
    buf_deinit(&run.output.cells);
    mem_free(run.rows);
    return rc == OK ? cli_finish(EXIT_CODE_OK) : cli_fail(&err);
}

int cmd_report(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"output", 'o', "FORMAT", 0, "table, csv, json, jsonl, tsv or html", 0},
        {"tenant", KEY_TENANT, "TENANT", 0, "only recipients of this tenant", 0},
        {"days", KEY_DAYS, "N", 0, "hygiene: suspended for so many days is long (14)", 0},
        {"min-episodes", KEY_EPISODES, "N", 0, "so many within frequent.window are often (2)", 0},
        {"min-recipients", KEY_RECIPIENTS, "N", 0, "domains: only with so many known ones (20)", 0},
        {"all", KEY_ALL, NULL, 0, "domains: also those like the others", 0},
        {0}};
    static const struct argp_child children[] = {{&settings_argp, 0, "Configuration:", 1}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "hygiene|frequent|domains",
        "Reports on the whole list.\v"
        "hygiene lists whom a mailing should leave out: suppressed, suspended for long, or often "
        "disabled; frequent those whose mailbox was disabled several times within "
        "frequent.window; domains those with an unusual share of disabled mailboxes among their "
        "known recipients, or where the recent weeks differ from those before, by intervals so "
        "wide that chance alone marks one domain in one report of a hundred. html is a page with "
        "charts that needs nothing else. The recipients topic is read, and no worker is needed.",
        children,
        NULL,
        NULL};
    struct options options = {
        .kind = -1, .format = OUTPUT_TABLE, .days = 14, .episodes = 2, .recipients = 20};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = run(&options, &settings);
    settings_deinit(&settings);
    return code;
}
