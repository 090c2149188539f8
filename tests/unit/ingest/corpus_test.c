/*
 * Real bounce mails with another project's labels: every labelled recipient must be found, with the
 * status of its label. The corpus is no part of this project: RIMBALZO_CORPUS names its folder,
 * with eml/ and labels.tsv (file, recipient_index, status, reply, reason, hard); by default it is
 * looked for beside the source. Without it the test says so and is skipped.
 *
 * A status x.0.9xx is the labels' own, for mails that have none: then none may be found, or x.0.0.
 * Complaints and vacation notices have labels too; for us they have no recipients.
 */
#include "ingest_support.h"

#include "base/arena.h"

#define PATH_MAX_OCTETS 4096
#define DETAIL_SYNTHETIC_MIN 900

static char corpus[PATH_MAX_OCTETS];

/* Where the labels are another opinion than ours. */
static const struct {
    const char *file, *why;
} disputed[] = {
    {"lhost-opensmtpd-06.eml", "the report has a status, 4.4.7, and says \"delayed\""},
    {"lhost-opensmtpd-15.eml", "the report has a status, 4.4.7, and says \"delayed\""},
};

static const char *dispute_of(const char *file)
{
    for (size_t i = 0; i < sizeof(disputed) / sizeof(disputed[0]); i++)
        if (strcmp(disputed[i].file, file) == 0)
            return disputed[i].why;
    return NULL;
}

static bool read_whole(const char *name, struct buf *out)
{
    char path[PATH_MAX_OCTETS + 512];
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", corpus, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    buf_clear(out);
    do {
        buf_reserve(out, 65536);
        len = fread(out->data + out->len, 1, 65536, file);
        out->len += len;
    } while (len);
    fclose(file);
    return true;
}

static int find_corpus(void **state)
{
    struct buf labels;
    const char *folder = getenv("RIMBALZO_CORPUS");
    (void)state;
    snprintf(corpus, sizeof(corpus), "%s", folder ? folder : SOURCE_DIR "/../shared/corpus");
    buf_init(&labels);
    if (!read_whole("labels.tsv", &labels)) {
        print_message("skipped: no corpus in %s (RIMBALZO_CORPUS)\n", corpus);
        corpus[0] = '\0';
    }
    buf_deinit(&labels);
    return 0;
}

/* The recipients of a mail: bounces, deliveries, and delays, which name theirs. */
static size_t recipients_of(const struct ingest_result *result, const struct ingest_entry **ret,
                            size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < result->count && count < max; i++)
        if (result->entries[i].record.recipient.data)
            ret[count++] = &result->entries[i];
    return count;
}

static bool is_synthetic(const char *status)
{
    int cls, subject, detail;
    return sscanf(status, "%d.%d.%d", &cls, &subject, &detail) == 3 && subject == 0 &&
           detail >= DETAIL_SYNTHETIC_MIN;
}

static bool same_status(const char *label, struct str status)
{
    if (!is_synthetic(label))
        return str_equal(status, str_of(label));
    return !status.data || (status.len > 4 && memcmp(status.data + 1, ".0.0", 4) == 0);
}

struct tally {
    int total, found, replies_total, replies_found, disputed;
};

/* One mail, with its labels: lines `status\treply\treason`. */
static void check_mail(struct ingest *ingest, const char *file, char lines[][128], int count,
                       struct tally *tally)
{
    struct buf mail;
    char name[600];
    const struct ingest_entry *recipients[64];
    struct ingest_result result;
    buf_init(&mail);
    snprintf(name, sizeof(name), "eml/%s", file);
    assert_true(read_whole(name, &mail));
    ingest_read(ingest, &(struct ingest_item){buf_view(&mail), RECEIVED_MS}, &result);
    size_t got = recipients_of(&result, recipients, 64);
    for (int i = 0; i < count; i++) {
        char status[32] = "", reply[32] = "", reason[32] = "";
        const char *tab = strchr(lines[i], '\t'), *tab2 = strchr(tab + 1, '\t');
        snprintf(status, sizeof(status), "%.*s", (int)(tab - lines[i]), lines[i]);
        snprintf(reply, sizeof(reply), "%.*s", (int)(tab2 - tab - 1), tab + 1);
        snprintf(reason, sizeof(reason), "%s", tab2 + 1);
        if (strcmp(reason, "feedback") == 0 || strcmp(reason, "vacation") == 0) {
            assert_int_equal(got, 0);
            continue;
        }
        bool there = (size_t)i < got;
        struct str found = there ? recipients[i]->record.status : STR_NULL;
        tally->total++;
        if (there && same_status(status, found)) {
            tally->found++;
        } else {
            const char *why = dispute_of(file);
            print_message("%s %d: label %s, found %s%.*s%s%s\n", file, i, status,
                          there ? "status " : "no recipient", STR_ARG(found),
                          why ? "; disputed: " : "", why ? why : "");
            tally->disputed += why != NULL;
        }
        tally->replies_total += reply[0] != '\0';
        tally->replies_found +=
            there && reply[0] && recipients[i]->record.reply_code == atoi(reply);
    }
    buf_deinit(&mail);
}

static void every_labelled_recipient_is_found(void **unused)
{
    struct ingest *ingest;
    struct buf labels;
    struct tally tally = {0};
    char lines[64][128], file[256] = "", *next;
    int count = 0;
    (void)unused;
    if (!corpus[0])
        skip();
    ingest = ingest_new(&(struct ingest_options){.format = INGEST_DSN});
    buf_init(&labels);
    assert_true(read_whole("labels.tsv", &labels));
    buf_append(&labels, "", 1);
    for (char *line = strchr(labels.data, '\n') + 1; line && *line; line = next) {
        char *tab = strchr(line, '\t'), *tab2 = strchr(tab + 1, '\t');
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (strncmp(file, line, (size_t)(tab - line)) != 0 || file[tab - line]) {
            if (count)
                check_mail(ingest, file, lines, count, &tally);
            snprintf(file, sizeof(file), "%.*s", (int)(tab - line), line);
            count = 0;
        }
        assert_true(count < 64);
        snprintf(lines[count], sizeof(lines[count]), "%s", tab2 + 1);
        *strrchr(lines[count++], '\t') = '\0'; /* the hard flag is another test's */
    }
    if (count)
        check_mail(ingest, file, lines, count, &tally);
    print_message("%d of %d labelled recipients found with their status, %d disputed; %d of %d "
                  "reply codes\n",
                  tally.found, tally.total, tally.disputed, tally.replies_found,
                  tally.replies_total);
    assert_true(tally.total > 0);
    assert_int_equal(tally.found + tally.disputed, tally.total);
    assert_int_equal(tally.replies_found, tally.replies_total);
    buf_deinit(&labels);
    ingest_free(ingest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_labelled_recipient_is_found),
    };
    return cmocka_run_group_tests(tests, find_corpus, NULL);
}
