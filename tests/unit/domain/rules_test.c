/* The rule engine: conditions, order, samples, messages, cache. */
#include "world.h"

#include "domain/classify.h"

#define SAMPLE(text_)                                                                              \
    {                                                                                              \
        .facts = {.diagnostic = {(text_), sizeof(text_) - 1}}, .line = 77                          \
    }

static const struct rule_sample disabled[] = {SAMPLE("450 4.2.1 mailbox disabled")};
static const struct rule_sample rate[] = {SAMPLE("450 4.2.1 receiving mail at a rate")};

/* A rule about "rate" that loads. */
static struct rule_source rate_rule(void)
{
    return (struct rule_source){
        .id = STR("test.rate"),
        .text = STR("receiving mail at a rate"),
        .class_name = STR("TRANSIENT"),
        .reason_name = STR("rate_limited"),
        .positive = rate,
        .positive_count = 1,
        .negative = disabled,
        .negative_count = 1,
        .line = 12,
    };
}

static struct rule_set *load(const struct rule_source *sources, int count)
{
    struct rule_set *rules = NULL;
    struct err err;
    if (rule_set_new("rules.yaml", sources, count, &rules, &err) != OK)
        fail_msg("%s", err.text);
    return rules;
}

static void assert_refused(const struct rule_source *sources, int count, const char *message)
{
    struct rule_set *rules = NULL;
    struct err err;
    assert_int_equal(rule_set_new("rules.yaml", sources, count, &rules, &err), E_RULES);
    assert_null(rules);
    assert_string_equal(err.text, message);
}

static struct verdict verdict_of(struct rule_set *rules, struct bounce_facts facts)
{
    struct verdict verdict;
    struct classifier *classifier = classifier_new(rules);
    classify(classifier, &facts, &verdict);
    classifier_free(classifier);
    return verdict;
}

static void text_comes_before_the_code(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *rules = load(&source, 1);
    struct verdict verdict = verdict_of(
        rules, (struct bounce_facts){.status = STR("4.2.1"),
                                     .diagnostic = STR("450-4.2.1 Receiving mail\n"
                                                       "450 4.2.1 at a RATE that prevents")});
    assert_int_equal(verdict.bounce_class, CLASS_TRANSIENT);
    assert_int_equal(verdict.reason, REASON_RATE_LIMITED);
    assert_str(verdict.rule, "test.rate");
    verdict = verdict_of(rules, (struct bounce_facts){.status = STR("4.2.1")});
    assert_str(verdict.rule, "code.4.2.1");
    rule_set_free(rules);
}

static void the_first_match_wins(void **unused)
{
    (void)unused;
    struct rule_source sources[2] = {rate_rule(), rate_rule()};
    sources[1].id = STR("test.mail");
    sources[1].text = STR("mail");
    static const struct rule_sample mail[] = {SAMPLE("your mail")};
    static const struct rule_sample other[] = {SAMPLE("other")};
    sources[1].positive = mail;
    sources[1].negative = other;
    struct rule_set *rules = load(sources, 2);
    assert_str(verdict_of(rules, rate[0].facts).rule, "test.rate");
    rule_set_free(rules);
}

/* Whether a rule without text but with this condition matches the facts. */
static bool condition_matches(struct rule_source source, struct bounce_facts facts)
{
    const struct rule_sample positive = {.facts = facts};
    source.id = STR("test.condition");
    source.class_name = STR("policy"); /* any case */
    source.reason_name = STR("Content");
    source.positive = source.negative = &positive;
    source.positive_count = source.negative_count = 1;
    struct rule_set *rules = NULL;
    struct err err;
    /* The one sample is positive and negative: the message tells which it is. */
    assert_int_equal(rule_set_new("f", &source, 1, &rules, &err), E_RULES);
    if (strstr(err.text, "a negative sample matches"))
        return true;
    if (!strstr(err.text, "a positive sample does not match"))
        fail_msg("%s", err.text);
    return false;
}

static void hosts_match_on_label_boundaries(void **unused)
{
    (void)unused;
    static const struct {
        const char *condition, *mx;
        bool matches;
    } cases[] = {
        {"google.com", "gmail-smtp-in.l.Google.COM.", true},
        {"google.com", "google.com", true},
        {"google.com", "notgoogle.com", false},
        {"google.com", "google.com.example", false},
        {"google.com", NULL, false},
        {"yahoodns.net, .google.com", "aspmx.l.google.com", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (condition_matches((struct rule_source){.mx = str_of(cases[i].condition)},
                              (struct bounce_facts){.remote_mta = str_of(cases[i].mx)}) !=
            cases[i].matches)
            fail_msg("%s of %s", cases[i].mx, cases[i].condition);
}

static void statuses_match_by_pattern(void **unused)
{
    (void)unused;
    static const struct {
        const char *condition, *status;
        bool matches;
    } cases[] = {
        {"x.2.1", "4.2.1", true},         {"x.2.1", "5.2.1", true},
        {"x.2.1", "5.2.11", false},       {"4.7.x", "4.7.650", true},
        {"4.7.x", "5.7.650", false},      {"5.7.501-513", "5.7.501", true},
        {"5.7.501-513", "5.7.513", true}, {"5.7.501-513", "5.7.514", false},
        {"5.1.1, x.2.2", "4.2.2", true},  {"X.X.X", "5.7.1", true},
        {"x.x.x", NULL, false},           {"none", NULL, true},
        {"none", "5.1.1", false},         {"none, 4.1.x", "4.1.8", true},
        {"x.0-1.x", "4.1.8", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (condition_matches((struct rule_source){.status = str_of(cases[i].condition)},
                              (struct bounce_facts){.status = str_of(cases[i].status)}) !=
            cases[i].matches)
            fail_msg("%s of %s", cases[i].status, cases[i].condition);
}

static void replies_match_by_pattern(void **unused)
{
    (void)unused;
    static const struct {
        const char *condition;
        int reply;
        const char *status;
        bool matches;
    } cases[] = {
        {"450", 450, NULL, true},  {"450", 451, NULL, false},  {"450,451", 451, NULL, true},
        {"55x", 556, NULL, true},  {"55x", 565, NULL, false},  {"4xx", 421, "5.1.1", true},
        {"4xx", 0, "4.2.1", true}, {"5xx", 0, "4.2.1", false}, {"450", 0, "4.2.1", false},
        {"4xx", 0, NULL, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (condition_matches((struct rule_source){.reply = str_of(cases[i].condition)},
                              (struct bounce_facts){.reply_code = cases[i].reply,
                                                    .status = str_of(cases[i].status)}) !=
            cases[i].matches)
            fail_msg("%d of %s", cases[i].reply, cases[i].condition);
}

static void stages_match_in_any_case_by_their_first_word(void **unused)
{
    (void)unused;
    static const struct {
        const char *condition, *stage;
        bool matches;
    } cases[] = {
        {"rcpt", "RCPT", true},         {"rcpt", "rcpt to", true}, {"RCPT", "Rcpt To:<a>", true},
        {"connect,ehlo", "ehlo", true}, {"rcpt", "data", false},   {"rcpt", NULL, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (condition_matches((struct rule_source){.stage = str_of(cases[i].condition)},
                              (struct bounce_facts){.stage = str_of(cases[i].stage)}) !=
            cases[i].matches)
            fail_msg("%s of %s", cases[i].stage, cases[i].condition);
}

static void text_is_matched_as_utf8_whatever_its_octets(void **unused)
{
    (void)unused;
    struct rule_source source = {.text = STR("bo.te.*d\xc3\xa9sactiv\xc3\xa9"
                                             "e")};
    assert_true(condition_matches(
        source,
        (struct bounce_facts){.diagnostic = STR("La bo\xc3\xaete est D\xc3\x89SACTIV\xc3\x89"
                                                "E")}));
    source.text = STR("bo.te.{1,20}d.sactiv.e");
    assert_true(condition_matches(
        source, (struct bounce_facts){.diagnostic = STR("La bo\xeete est d\xe9sactiv\xe9"
                                                        "e")}));
}

static void a_runaway_pattern_loses_its_match_and_no_time(void **unused)
{
    (void)unused;
    static char text[4000];
    memset(text, 'a', sizeof(text));
    struct rule_source source = {.text = STR("^(a+)+(b+)+$")};
    assert_false(
        condition_matches(source, (struct bounce_facts){.diagnostic = {text, sizeof(text)}}));
}

static void bad_rules_are_refused_with_file_and_line(void **unused)
{
    (void)unused;
    struct rule_source good = rate_rule(), bad;
#define CASE(change, message)                                                                      \
    do {                                                                                           \
        bad = good;                                                                                \
        change;                                                                                    \
        assert_refused(&bad, 1, "rules.yaml:12: rule " message);                                   \
    } while (0)
    CASE(bad.id = STR(""), ": an id has 1 to 63 letters, digits, dots, hyphens, underscores");
    CASE(bad.id = STR("a b"), "a b: an id has 1 to 63 letters, digits, dots, hyphens, underscores");
    CASE(bad.id = STR("code.4.2.1"), "code.4.2.1: ids none, code.… and reply.… are taken");
    CASE(bad.class_name = STR("MEDIUM"), "test.rate: unknown class: MEDIUM");
    CASE(bad.class_name = STR_NULL, "test.rate: unknown class");
    CASE(bad.reason_name = STR("why"), "test.rate: unknown reason: why");
    CASE(bad.text = STR("(rate"),
         "test.rate: text is no regular expression: missing closing parenthesis at offset 5");
    CASE(bad.status = STR("6.2.1"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 6.2.1");
    CASE(bad.status = STR("5.2"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 5.2");
    CASE(bad.status = STR("5.7.13-10"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 5.7.13-10");
    CASE(bad.status = STR("5.1.1,"),
         "test.rate: status is no list of patterns such as x.2.1: 5.1.1,");
    CASE(bad.reply = STR("45"), "test.rate: reply is no reply code such as 450 or 55x: 45");
    CASE(bad.reply = STR("5x0"), "test.rate: reply is no reply code such as 450 or 55x: 5x0");
    CASE(bad.mx = STR(","), "test.rate: mx is no list of host names: ,");
    CASE(bad.stage = STR("a,,b"), "test.rate: stage is no list of SMTP stages: a,,b");
    CASE(bad.positive_count = 0, "test.rate: needs at least one positive sample");
    CASE(bad.negative_count = 0, "test.rate: needs at least one negative sample");
#undef CASE
}

static void samples_are_tried_and_their_lines_named(void **unused)
{
    (void)unused;
    struct rule_source sources[2] = {rate_rule(), rate_rule()};
    sources[0].text = STR("cost");
    assert_refused(sources, 1,
                   "rules.yaml:77: rule test.rate: a positive sample does not match: "
                   "450 4.2.1 receiving mail at a rate");
    sources[0].text = STR("mail");
    assert_refused(sources, 1,
                   "rules.yaml:77: rule test.rate: a negative sample matches: "
                   "450 4.2.1 mailbox disabled");
    sources[0] = rate_rule();
    sources[1].id = STR("test.second");
    sources[1].line = 20;
    assert_refused(sources, 2,
                   "rules.yaml:77: rule test.second: a positive sample is decided by an earlier "
                   "rule: test.rate");
}

static void an_id_is_taken_once(void **unused)
{
    (void)unused;
    struct rule_source sources[2] = {rate_rule(), rate_rule()};
    sources[1].line = 20;
    assert_refused(sources, 2, "rules.yaml:20: rule test.rate: the id is taken already: line 12");
}

static void sources_may_go_after_loading(void **unused)
{
    (void)unused;
    char id[] = "test.rate", text[] = "receiving mail at a rate";
    struct rule_source source = rate_rule();
    source.id = str_of(id);
    source.text = str_of(text);
    struct rule_set *rules = load(&source, 1);
    memset(id, 'x', sizeof(id));
    memset(text, 'x', sizeof(text));
    assert_str(verdict_of(rules, rate[0].facts).rule, "test.rate");
    rule_set_free(rules);
}

static void the_cache_tells_facts_apart(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *rules = load(&source, 1);
    struct classifier *cached = classifier_new(rules);
    static const char *const texts[] = {NULL, "", "450 4.2.1 receiving mail at a rate", "552 a"};
    static const char *const statuses[] = {NULL, "4.2.1", "5.1.1"};
    static char long_text[2000];
    memset(long_text, 'y', sizeof(long_text));
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 4 * 3 * 2; i++) {
            struct bounce_facts facts = {.status = str_of(statuses[i / 4 % 3]),
                                         .diagnostic = str_of(texts[i % 4]),
                                         .reply_code = i / 12 ? 554 : 0};
            struct verdict verdict, fresh = verdict_of(rules, facts);
            classify(cached, &facts, &verdict);
            assert_str(verdict.rule, fresh.rule.data);
            facts.diagnostic = (struct str){long_text, sizeof(long_text)};
            classify(cached, &facts, &verdict); /* too long to be kept */
            assert_true(verdict.rule.len > 0);
        }
    /* The same octets in other fields are other facts. */
    struct bounce_facts one = {.remote_mta = STR("rcpt")}, other = {.stage = STR("rcpt")};
    struct verdict verdict;
    classify(cached, &one, &verdict);
    classify(cached, &other, &verdict);
    assert_str(verdict.rule, "none");
    classifier_free(cached);
    rule_set_free(rules);
}

static void any_octets_are_classified(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *rules = load(&source, 1);
    struct classifier *classifier = classifier_new(rules);
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t len = 0;
        for (seed = seed * 1664525 + 1013904223; len < seed >> 26; len++) {
            static const char alphabet[] = "450-.21 \n\r\xc3\xa9\xf0\x9f"
                                           "aR;[]";
            seed = seed * 1664525 + 1013904223;
            text[len] = alphabet[(seed >> 8) % sizeof(alphabet)];
        }
        struct str any = {text, len};
        struct bounce_facts facts = {any, (int32_t)seed, any, any, any};
        struct verdict verdict;
        classify(classifier, &facts, &verdict);
        assert_in_range(verdict.bounce_class, 0, BOUNCE_CLASS_COUNT - 1);
        assert_true(verdict.rule.len > 0);
    }
    classifier_free(classifier);
    rule_set_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_before_the_code),
        cmocka_unit_test(the_first_match_wins),
        cmocka_unit_test(hosts_match_on_label_boundaries),
        cmocka_unit_test(statuses_match_by_pattern),
        cmocka_unit_test(replies_match_by_pattern),
        cmocka_unit_test(stages_match_in_any_case_by_their_first_word),
        cmocka_unit_test(text_is_matched_as_utf8_whatever_its_octets),
        cmocka_unit_test(a_runaway_pattern_loses_its_match_and_no_time),
        cmocka_unit_test(bad_rules_are_refused_with_file_and_line),
        cmocka_unit_test(samples_are_tried_and_their_lines_named),
        cmocka_unit_test(an_id_is_taken_once),
        cmocka_unit_test(sources_may_go_after_loading),
        cmocka_unit_test(the_cache_tells_facts_apart),
        cmocka_unit_test(any_octets_are_classified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
