/* What a report makes of states, and its page. */
#include <math.h>
#include <string.h>

#include "cli/report.h"
#include "command.h"

#define DAY_MS 86400000LL
#define NOW_MS (1770000000LL * 1000)

static struct policy_set policies;

static struct report_options options_of(size_t held_max)
{
    policy_set_defaults(&policies);
    return (struct report_options){.now_ms = NOW_MS,
                                   .policies = &policies,
                                   .suspended_days = 14,
                                   .min_episodes = 2,
                                   .min_recipients = 20,
                                   .domains_held_max = held_max};
}

/* A recipient whose episodes were opened so many days ago (oldest first; -1: no more); the last one
 * is open if it is suspended. */
static struct recipient state_of(const char *recipient, enum recipient_status status, int first,
                                 int second)
{
    struct recipient state = {.who = {STR(""), str_of(recipient)},
                              .status = status,
                              .episode_opened_at_ms = TIME_NULL,
                              .due_at_ms = TIME_NULL,
                              .last_bounce_at_ms = NOW_MS - DAY_MS,
                              .last_event_at_ms = NOW_MS - DAY_MS,
                              .last_delivery_at_ms = TIME_NULL};
    int days[] = {first, second};
    for (int i = 0; i < 2 && days[i] >= 0; i++)
        state.openings_ms[state.opening_count++] = NOW_MS - days[i] * DAY_MS;
    if (status == STATUS_SUSPENDED) {
        state.in_episode = true;
        state.reason = REASON_MAILBOX_DISABLED;
        state.episode_opened_at_ms = state.openings_ms[state.opening_count - 1];
        state.due_at_ms = NOW_MS + DAY_MS;
    }
    return state;
}

static struct report_person person_of(const struct recipient *state)
{
    struct report_options options = options_of(0);
    struct report_person person;
    report_person(&options, state, &person);
    return person;
}

static void shares_keep_to_wilson(void **unused)
{
    (void)unused;
    struct share share = share_of(10, 100, 1.959964);
    assert_true(fabs(share.lower - 0.05523) < 1e-4 && fabs(share.upper - 0.17437) < 1e-4);
    share = share_of(0, 10, 1.959964);
    assert_true(share.lower == 0 && fabs(share.upper - 0.27753) < 1e-4);
    share = share_of(10, 10, 1.959964);
    assert_true(share.upper == 1 && fabs(share.lower - 0.72247) < 1e-4);
    share = share_of(0, 0, 3);
    assert_true(share.lower == 0 && share.upper == 1);
    assert_true(fabs(share_z(0.025) - 1.959964) < 1e-5);
    assert_true(fabs(share_z(1e-6) - 4.753424) < 1e-5);
}

static void a_person_has_the_first_finding_that_is_true(void **unused)
{
    (void)unused;
    struct recipient suppressed = state_of("a@example.org", STATUS_SUPPRESSED, 40, 3);
    struct recipient longer = state_of("a@example.org", STATUS_SUSPENDED, 14, -1);
    struct recipient shorter = state_of("a@example.org", STATUS_SUSPENDED, 13, -1);
    struct recipient often = state_of("a@example.org", STATUS_SUSPENDED, 100, 3);
    struct recipient once = state_of("a@example.org", STATUS_ACTIVE, 200, 3);
    assert_int_equal(person_of(&suppressed).finding, FINDING_SUPPRESSED);
    assert_int_equal(person_of(&longer).finding, FINDING_SUSPENDED_LONG);
    assert_int_equal(person_of(&longer).days, 14);
    assert_int_equal(person_of(&shorter).finding, FINDING_NONE);
    assert_int_equal(person_of(&often).finding, FINDING_OFTEN_DISABLED);
    assert_int_equal(person_of(&once).episodes, 1); /* the window is 180 days */
}

static void what_has_lapsed_is_active_and_what_has_expired_is_absent(void **unused)
{
    (void)unused;
    struct recipient lapsed = state_of("a@example.org", STATUS_SUSPENDED, 60, -1);
    struct recipient expired = state_of("a@example.org", STATUS_ACTIVE, -1, -1);
    struct report_options options = options_of(0);
    struct report_totals totals = {0};
    lapsed.due_at_ms = NOW_MS - 30 * DAY_MS;
    expired.last_event_at_ms = NOW_MS - 400 * DAY_MS;
    struct report_person person = person_of(&lapsed);
    assert_true(person.lapsed && !person.disabled && !person.absent);
    assert_int_equal(person.status, STATUS_ACTIVE);
    report_add(&totals, &options, &lapsed, &person);
    person = person_of(&expired);
    assert_true(person.absent);
    report_add(&totals, &options, &expired, &person);
    assert_int_equal(totals.known, 1);
    assert_int_equal(totals.lapsed, 1);
    assert_int_equal(totals.expired, 1);
    assert_int_equal(totals.by_status[STATUS_SUSPENDED], 0);
    assert_int_equal(totals.weeks[8], 1);
}

static void disabled_is_who_is_suspended_for_that_or_given_up(void **unused)
{
    (void)unused;
    struct recipient full = state_of("a@example.org", STATUS_SUSPENDED, 3, -1);
    struct recipient hard = state_of("a@example.org", STATUS_SUPPRESSED, -1, -1);
    assert_true(person_of(&full).disabled);
    full.reason = REASON_MAILBOX_FULL;
    assert_false(person_of(&full).disabled);
    hard.suppressed_by = SUPPRESSION_HARD_BOUNCE;
    assert_false(person_of(&hard).disabled);
    hard.suppressed_by = SUPPRESSION_ATTEMPTS_EXHAUSTED;
    assert_true(person_of(&hard).disabled);
}

/* --- domains --- */

enum { DOMAINS = 60, PEOPLE = 50 };

/* DOMAINS domains of PEOPLE recipients, of which every fifth is disabled; bad.example has most of
 * them disabled, new.example all of them lately, tiny.example has few, but all disabled. */
static void visit(struct report_options *options, struct report_domains *domains,
                  struct report_totals *totals, const char *domain, int person)
{
    char name[64];
    bool is_bad = !strcmp(domain, "bad.example"), is_new = !strcmp(domain, "new.example");
    bool is_tiny = !strcmp(domain, "tiny.example");
    bool disabled = is_bad ? person % 5 != 0 : is_tiny || person % 5 == 0;
    snprintf(name, sizeof(name), "user%d@%s", person, domain);
    struct recipient state = state_of(name, disabled ? STATUS_SUSPENDED : STATUS_ACTIVE,
                                      is_new            ? 3
                                      : person % 2 == 0 ? 10
                                                        : 40,
                                      -1);
    struct report_person found;
    report_person(options, &state, &found);
    if (totals)
        report_add(totals, options, &state, &found);
    report_domains_add(domains, &state, &found);
}

struct rows {
    struct report_options options;
    struct report_domains *domains;
    struct report_totals totals;
    const struct report_domain *rows;
    size_t count;
    int passes;
};

static void count_domains(struct rows *rows, size_t held_max)
{
    struct err err;
    rows->options = options_of(held_max);
    rows->domains = report_domains_new(&rows->options);
    do {
        struct report_totals *totals = rows->passes++ ? NULL : &rows->totals;
        for (int d = 0; d < DOMAINS; d++)
            for (int p = 0; p < PEOPLE; p++) {
                char domain[64];
                snprintf(domain, sizeof(domain), "d%d.example", d);
                visit(&rows->options, rows->domains, totals, domain, p);
            }
        for (int p = 0; p < PEOPLE; p++) {
            visit(&rows->options, rows->domains, totals, "bad.example", p);
            visit(&rows->options, rows->domains, totals, "new.example", p);
            if (p < 19)
                visit(&rows->options, rows->domains, totals, "tiny.example", p);
        }
    } while (report_domains_again(rows->domains));
    assert_int_equal(
        report_domains_end(rows->domains, &rows->totals, &rows->rows, &rows->count, &err), OK);
}

static void only_what_chance_does_not_explain_is_unusual(void **unused)
{
    (void)unused;
    struct rows rows = {0};
    count_domains(&rows, 0);
    assert_int_equal(rows.passes, 1);
    assert_int_equal(rows.count, DOMAINS + 2); /* not the tiny one */
    assert_string_equal(rows.rows[0].name, "bad.example");
    assert_int_equal(rows.rows[0].disabled, 40);
    for (size_t i = 0; i < rows.count; i++) {
        assert_int_equal(rows.rows[i].unusual, i == 0);
        assert_int_equal(rows.rows[i].trend, !strcmp(rows.rows[i].name, "new.example"));
    }
    assert_int_equal(rows.rows[0].weeks[1], PEOPLE / 2);
    assert_int_equal(rows.rows[0].weeks[5], PEOPLE / 2);
    report_domains_free(rows.domains);
}

static void little_memory_makes_more_passes_and_the_same_rows(void **unused)
{
    (void)unused;
    struct rows all = {0}, few = {0};
    count_domains(&all, 0);
    count_domains(&few, 7);
    assert_true(few.passes > 8);
    assert_int_equal(few.count, all.count);
    for (size_t i = 0; i < all.count; i++) {
        assert_string_equal(few.rows[i].name, all.rows[i].name);
        assert_int_equal(few.rows[i].known, all.rows[i].known);
        assert_int_equal(few.rows[i].disabled, all.rows[i].disabled);
        assert_memory_equal(few.rows[i].weeks, all.rows[i].weeks, sizeof(all.rows[i].weeks));
    }
    report_domains_free(all.domains);
    report_domains_free(few.domains);
}

/* --- the page --- */

static void what_a_state_holds_cannot_leave_its_place_in_the_page(void **unused)
{
    (void)unused;
    struct report_options options = options_of(0);
    struct report_totals totals = {.known = 1, .by_status = {0, 1, 0}};
    struct report_row row = {.recipient = "<script>&\"'\x01\xff@example.org"};
    struct buf page = {0};
    row.person.finding = FINDING_SUSPENDED_LONG;
    snprintf(row.last_status, sizeof(row.last_status), "<b>");
    report_html(&(struct report_page){.kind = REPORT_HYGIENE,
                                      .app = "a<pp",
                                      .options = &options,
                                      .totals = &totals,
                                      .rows = &row,
                                      .row_count = 1,
                                      .row_total = 1},
                &page);
    buf_append(&page, "", 1);
    assert_null(strstr(page.data, "<script"));
    assert_null(strstr(page.data, "<b>"));
    assert_non_null(
        strstr(page.data, "&lt;script&gt;&amp;&quot;'\xef\xbf\xbd\xef\xbf\xbd@example"));
    assert_non_null(strstr(page.data, "a&lt;pp"));
    assert_null(strstr(page.data, "nan"));
    buf_deinit(&page);
}

static void the_command_says_what_it_takes(void **unused)
{
    (void)unused;
    assert_usage((struct command){.run = cmd_report, .args = {"-o", "csv"}},
                 "say hygiene, frequent or domains");
    assert_usage((struct command){.run = cmd_report, .args = {"hygiene", "-o", "pdf"}},
                 "-o takes table, csv, json, jsonl, tsv or html, not \"pdf\"");
    assert_usage((struct command){.run = cmd_report, .args = {"people"}},
                 "\"people\" is none of hygiene, frequent and domains");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_keep_to_wilson),
        cmocka_unit_test(a_person_has_the_first_finding_that_is_true),
        cmocka_unit_test(what_has_lapsed_is_active_and_what_has_expired_is_absent),
        cmocka_unit_test(disabled_is_who_is_suspended_for_that_or_given_up),
        cmocka_unit_test(only_what_chance_does_not_explain_is_unusual),
        cmocka_unit_test(little_memory_makes_more_passes_and_the_same_rows),
        cmocka_unit_test(what_a_state_holds_cannot_leave_its_place_in_the_page),
        cmocka_unit_test(the_command_says_what_it_takes),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
