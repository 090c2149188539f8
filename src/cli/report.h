/*
 * What a list looks like at a moment: counted from the states of the recipients topic, without I/O
 * (report.c, report_domains.c), and shown as a page (report_html.c).
 *
 * A suspension that has gone stale counts as over, a state beyond its retention as absent, as
 * everywhere (semantics §6). "Known" are recipients that have a state: those that have bounced at
 * least once. So a domain's share of disabled mailboxes is one of the bouncing recipients, not of
 * the list; what is compared are domains with each other.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "cli/share.h"
#include "domain/policy.h"
#include "domain/recipient.h"

#define REPORT_WEEKS 26        /* of the whole list */
#define REPORT_DOMAIN_WEEKS 12 /* of a domain */
#define REPORT_WINDOW_WEEKS 4  /* a change is between the last so many weeks and those before */
#define REPORT_AGES 6
#define REPORT_EPISODES 8 /* as many openings as a state remembers */
#define REPORT_DOMAINS_MAX 100000

/*    finding; the first that is true of a recipient */
#define REPORT_FINDINGS(X)                                                                         \
    X(FINDING_SUPPRESSED, "suppressed")                                                            \
    X(FINDING_SUSPENDED_LONG, "suspended_long")                                                    \
    X(FINDING_OFTEN_DISABLED, "often_disabled")                                                    \
    X(FINDING_NONE, "")
#define X(constant, string) constant,
enum report_finding { REPORT_FINDINGS(X) REPORT_FINDING_COUNT };
#undef X
extern const char *const report_finding_names[REPORT_FINDING_COUNT];

struct report_options {
    int64_t now_ms;
    const struct policy_set *policies;
    int64_t suspended_days;  /* longer is long */
    int64_t min_episodes;    /* within frequent.window: often */
    int64_t min_recipients;  /* of a domain, known ones */
    size_t domains_held_max; /* at a time; 0: the default */
};

/* The whole list. */
struct report_totals {
    int64_t known;
    int64_t by_status[RECIPIENT_STATUS_COUNT];
    int64_t by_suppression[SUPPRESSION_REASON_COUNT];
    int64_t by_reason[REASON_COUNT]; /* of suspended ones */
    int64_t by_finding[REPORT_FINDING_COUNT];
    int64_t by_age[REPORT_AGES];              /* of suspensions */
    int64_t by_episodes[REPORT_EPISODES + 1]; /* within frequent.window */
    int64_t weeks[REPORT_WEEKS];              /* episodes opened; [0] is the last week */
    int64_t lapsed, expired;
    /* Sums of what domains are compared by. */
    int64_t disabled, recent, previous;
};

extern const char *const report_age_names[REPORT_AGES];

/* What a report says of one recipient. */
struct report_person {
    bool absent; /* beyond its retention; nothing else is set */
    bool lapsed;
    enum recipient_status status; /* ACTIVE if it has lapsed */
    enum report_finding finding;
    int64_t since_ms;      /* suspended: since then; suppressed: the last bounce; or TIME_NULL */
    int64_t days;          /* whole ones since then, -1: not known */
    int64_t episodes;      /* opened within frequent.window */
    int64_t opened_ms;     /* the last one, or TIME_NULL */
    bool disabled;         /* mailbox suspended as disabled, or given up after all attempts */
    bool recent, previous; /* an episode was opened in the last weeks, in those before */
};

void report_person(const struct report_options *options, const struct recipient *state,
                   struct report_person *ret_person);

void report_add(struct report_totals *totals, const struct report_options *options,
                const struct recipient *state, const struct report_person *person);

/* --- domains --- */

struct report_domain {
    const char *name;
    int64_t known, disabled, recent, previous;
    uint32_t weeks[REPORT_DOMAIN_WEEKS]; /* episodes opened; [0] is the last week */
    /* As report_domains_end finds. */
    struct share share;  /* of disabled ones among the known */
    struct share others; /* the same of all other domains */
    bool unusual;        /* more are disabled than elsewhere */
    int trend;           /* 1: rising against the other domains, -1: falling, 0 */
};

/*
 * Counts by domain in bounded memory. When there are more domains than may be held at a time, some
 * are put off, by a hash of their names, and the caller goes through all states once more:
 *
 *     do {
 *         for all states: report_domains_add(domains, …);
 *     } while (report_domains_again(domains));
 *     rc = report_domains_end(domains, …);
 */
struct report_domains;

struct report_domains *report_domains_new(const struct report_options *options);
void report_domains_free(struct report_domains *domains);
void report_domains_add(struct report_domains *domains, const struct recipient *state,
                        const struct report_person *person);
bool report_domains_again(struct report_domains *domains);

/*
 * The domains with enough recipients: first the unusual ones, by the lower bound of their share,
 * then the others. A domain is unusual if even the lower bound of its share exceeds the upper bound
 * of that of all others; its trend is told in the same way from the share of recent openings among
 * recent and previous ones. The bounds are so wide that of all domains compared one is called
 * unusual, or rising, or falling by chance in one report of a hundred. E_USAGE: more than
 * REPORT_DOMAINS_MAX.
 */
enum rcode report_domains_end(struct report_domains *domains, const struct report_totals *totals,
                              const struct report_domain **ret_rows, size_t *ret_count,
                              struct err *err) WARN_UNUSED;

/* --- a page --- */

#define REPORT_ROWS_MAX 50 /* recipients or domains on a page */

/* One recipient on a page; texts are owned. */
struct report_row {
    char recipient[RECORD_KEY_MAX + 1]; /* the tenant before it */
    struct report_person person;
    enum suppression_reason suppressed_by;
    char reason[32], last_status[32];
    int64_t rank; /* greater ones come first */
};

enum report_kind { REPORT_HYGIENE, REPORT_FREQUENT, REPORT_DOMAINS };

struct report_page {
    enum report_kind kind;
    const char *app;
    const struct report_options *options;
    const struct report_totals *totals;
    const struct report_row *rows; /* recipients, the first REPORT_ROWS_MAX */
    size_t row_count;
    int64_t row_total; /* of which these are some */
    const struct report_domain *domains;
    size_t domain_count;
};

/* Appends a page of HTML that needs nothing else, no script either. */
void report_html(const struct report_page *page, struct buf *out);
