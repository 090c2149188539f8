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
        {"450", 450, NULL, true},    {"450", 451, NULL, false},    {"450,451", 451, NULL, true},
        {"55x", 556, NULL, true},    {"55x", 565, NULL, false},    {"4xx", 421, "5.1.1", true},
        {"4xx", 0, "4.2.1", true},   {"5xx", 0, "4.2.1", false},   {"450", 0, "4.2.1", false},
        {"4xx", 0, NULL, false},     {"none", 0, NULL, true},      {"none", 450, NULL, false},
        {"none", 0, "4.2.1", false}, {"5xx, none", 0, NULL, true},
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

static void text_is_matched_in_its_normalised_form(void **unused)
{
    (void)unused;
    struct rule_source source = {.text = STR("boite.*desactivee")};
    assert_true(condition_matches(
        source,
        (struct bounce_facts){.diagnostic = STR("La bo\xc3\xaete est D\xc3\x89SACTIV\xc3\x89"
                                                "E")}));
    assert_true(condition_matches(
        source, (struct bounce_facts){.diagnostic = STR("La bo\xeete est d\xe9sactiv\xe9"
                                                        "e")}));
    source.text = STR("^sinks$");
    assert_true(condition_matches(/* letters that only differ from s and k in their case */
                                  source, (struct bounce_facts){
                                              .diagnostic = STR("\xc5\xbfin\xe2\x84\xaaS")}));
    source.text = STR("<@> at ~\\[0\\] is Unknown$"); /* caseless */
    assert_true(condition_matches(
        source,
        (struct bounce_facts){
            .diagnostic = STR("<Ada@example.org> at mx.example.org[192.0.2.1] is unknown")}));
}

static void lines_of_a_text_are_alternatives(void **unused)
{
    (void)unused;
    struct rule_source source = {.text = STR("^one$\n(two|three)x|four\n")};
    static const char *const matching[] = {"one", "twox", "threex", "four"};
    static const char *const others[] = {"one two", "three", "x", ""};
    for (int i = 0; i < 4; i++) {
        assert_true(
            condition_matches(source, (struct bounce_facts){.diagnostic = str_of(matching[i])}));
        assert_false(
            condition_matches(source, (struct bounce_facts){.diagnostic = str_of(others[i])}));
    }
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
    CASE(bad.status = STR("6.2.1"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 6.2.1");
    CASE(bad.status = STR("5.2"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 5.2");
    CASE(bad.status = STR("5.7.13-10"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 5.7.13-10");
    CASE(bad.status = STR("4-5.2.1"),
         "test.rate: status is no pattern such as x.2.1 or 5.7.501-513: 4-5.2.1");
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

static void bad_patterns_are_refused_where_they_stand(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *place, *what;
    } cases[] = {
        {"(rate", "30", "a group is not closed (character 6)"},
        {"rate\nmail\n\nx", "32", "an empty alternative matches every text (character 1)"},
        {"rate\n a|", "31", "an empty alternative matches every text (character 4)"},
        {"rate\nd\xc3\xa9sactiv", "31",
         "the normalised text never holds this letter; write it without its accent, or a dot for "
         "it (character 2)"},
        {"a\tb", "30",
         "of white space only single blanks stand in the normalised text (character 3)"},
        {"(?i)a", "30",
         "of groups only (…), (?:…), (?=…), (?!…), (?<=…), (?<!…) are for rules (character 2)"},
        {"(a)\\1", "30",
         "of escapes only \\b \\B \\d \\D \\w \\W \\s \\S and those of punctuation are for rules "
         "(character 4)"},
        {"a**", "30", "a quantifier upon a quantifier (character 3)"},
        {"\\b+", "30", "what takes no characters cannot be repeated (character 3)"},
        {"a{x", "30", "braces are a quantifier, {2} or {0,60}, or take a backslash (character 3)"},
        {"[[:digit:]]", "30", "named classes are not for rules (character 2)"},
        {"[a-\xd1\x8f]", "30", "of ranges only those of ASCII are for rules (character 6)"},
        {"[\xd0\xb0-\xd1\x8f]", "30", "of ranges only those of ASCII are for rules (character 7)"},
        {"rate\n(?<=a.{1,9})b", "31", "lookbehind assertion is not fixed length (character 1)"},
    };
    struct rule_source bad = rate_rule();
    bad.text_line = 30;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[512];
        bad.text = str_of(cases[i].text);
        snprintf(message, sizeof(message), "rules.yaml:%s: rule test.rate: text: %s",
                 cases[i].place, cases[i].what);
        assert_refused(&bad, 1, message);
    }
}

static void a_pattern_that_could_backtrack_for_ever_is_refused(void **unused)
{
    (void)unused;
    static const char *const runaways[] = {
        "^(a+)+$",        "(a|aa)+b", "(a*)*b",         "a.*b.*c", "\\d+\\d+x",
        "(\\w+ ?){1,9}x", "a+b*a+c",  "(x.{0,99}){9}y", "(.*a)+",  "(?=(a+)+$)aaab",
    };
    struct rule_source bad = rate_rule();
    bad.text_line = 30;
    for (size_t i = 0; i < sizeof(runaways) / sizeof(runaways[0]); i++) {
        bad.text = str_of(runaways[i]);
        struct rule_set *rules = NULL;
        struct err err;
        assert_int_equal(rule_set_new("rules.yaml", &bad, 1, &rules, &err), E_RULES);
        if (!strstr(err.text, "rules.yaml:30: rule test.rate: text: could backtrack for too long"))
            fail_msg("%s: %s", runaways[i], err.text);
    }
}

static void a_rule_that_an_earlier_one_shadows_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        struct rule_source earlier, later;
        bool shadows;
    } cases[] = {
        {{.text = STR("rate")}, {.text = STR("rate")}, true},
        {{.text = STR("cost\nrate|fee")}, {.text = STR("fee|rate")}, true},
        {{.text = STR("rate")}, {.text = STR("rate|fee")}, false},
        {{.text = STR("rate|x"), .reply = STR("4xx")}, {.text = STR("rate")}, false},
        {{.text = STR("rate")}, {.text = STR("rate"), .reply = STR("450")}, true},
        {{.reply = STR("4xx, 55x")}, {.text = STR("rate"), .reply = STR("450, 452")}, true},
        {{.reply = STR("450")}, {.text = STR("rate"), .reply = STR("450, 452")}, false},
        {{.status = STR("x.2.x")}, {.status = STR("4.2.1, 5.2.2")}, true},
        {{.status = STR("4.2.x")}, {.status = STR("x.2.1")}, false},
        {{.status = STR("none")}, {.status = STR("none")}, true},
        {{.status = STR("x.x.x")}, {.status = STR("none")}, false},
        {{.mx = STR("example.org")}, {.mx = STR("mx.example.org")}, true},
        {{.mx = STR("mx.example.org")}, {.mx = STR("example.org")}, false},
        {{.stage = STR("rcpt, data")}, {.stage = STR("DATA")}, true},
        {{.stage = STR("rcpt")}, {.text = STR("rate")}, false},
    };
    static const struct rule_sample none[] = {SAMPLE("nothing of it")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rule_source sources[2] = {cases[i].earlier, cases[i].later};
        struct rule_set *rules = NULL;
        struct err err;
        for (int j = 0; j < 2; j++) {
            sources[j].id = j ? STR("test.later") : STR("test.earlier");
            sources[j].class_name = STR("SOFT");
            sources[j].reason_name = STR("moved");
            sources[j].positive = sources[j].negative = none;
            sources[j].positive_count = sources[j].negative_count = 1;
            sources[j].line = 12 + 10 * j;
        }
        /* Samples are tried afterwards, and these fail. */
        assert_int_equal(rule_set_new("rules.yaml", sources, 2, &rules, &err), E_RULES);
        if (cases[i].shadows)
            assert_string_equal(err.text,
                                "rules.yaml:22: rule test.later: can never decide, because an "
                                "earlier rule matches all that it matches: test.earlier, line 12");
        else
            assert_non_null(strstr(err.text, " sample "));
    }
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
    sources[1].text = STR("mail at");
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

static void what_is_remembered_is_what_would_be_decided_again(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *rules = load(&source, 1);
    struct classifier *cached = classifier_new(rules);
    static const char *const texts[] = {NULL, "", "450 4.2.1 receiving mail at a rate", "552 a"};
    static const char *const statuses[] = {NULL, "4.2.1", "5.1.1"};
    static char long_text[8000];
    memset(long_text, 'y', sizeof(long_text));
    for (int round = 0; round < 300; round++)
        for (int i = 0; i < 4 * 3 * 2; i++) {
            struct bounce_facts facts = {.status = str_of(statuses[i / 4 % 3]),
                                         .diagnostic = str_of(texts[i % 4]),
                                         .reply_code = i / 12 ? 554 : 0};
            struct verdict verdict, fresh = verdict_of(rules, facts);
            classify(cached, &facts, &verdict);
            assert_str(verdict.rule, fresh.rule.data);
            /* long ones of other facts push out what is remembered */
            facts.reply_code = 400 + round % 200;
            facts.diagnostic = (struct str){long_text, sizeof(long_text) - (size_t)i};
            fresh = verdict_of(rules, facts);
            classify(cached, &facts, &verdict);
            assert_str(verdict.rule, fresh.rule.data);
        }
    assert_int_equal(classifier_stats(cached).calls, 300 * 24 * 2);
    assert_in_range(classifier_stats(cached).hits, 300, 300 * 24 * 2 - 100);
    /* The same octets in other fields are other facts. */
    struct bounce_facts one = {.remote_mta = STR("rcpt")}, other = {.stage = STR("rcpt")};
    struct verdict verdict;
    classify(cached, &one, &verdict);
    classify(cached, &other, &verdict);
    assert_str(verdict.rule, "none");
    classifier_free(cached);
    rule_set_free(rules);
}

static void recipients_and_ids_do_not_matter_to_what_is_remembered(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *rules = load(&source, 1);
    struct classifier *classifier = classifier_new(rules);
    for (int i = 0; i < 1000; i++) {
        char text[200];
        int len = snprintf(text, sizeof(text),
                           "450 4.2.1 <user%d@h%d.example.org> is receiving mail at a rate that "
                           "is too high [192.0.2.%d] q%08x12f",
                           i, i % 7, i % 250, (unsigned)i * 2654435761u);
        struct verdict verdict;
        classify(classifier,
                 &(struct bounce_facts){.diagnostic = {text, (size_t)len},
                                        .remote_mta = {text + 11, 4 + (size_t)i % 4}},
                 &verdict);
        assert_str(verdict.rule, "test.rate");
    }
    assert_int_equal(classifier_stats(classifier).hits, 999);
    classifier_free(classifier);
    rule_set_free(rules);
}

static void other_rules_take_over_between_two_calls(void **unused)
{
    (void)unused;
    struct rule_source source = rate_rule();
    struct rule_set *first = load(&source, 1);
    source.id = STR("test.newer");
    struct rule_set *second = load(&source, 1);
    struct classifier *classifier = classifier_new(first);
    struct verdict verdict;
    classify(classifier, &rate[0].facts, &verdict);
    assert_str(verdict.rule, "test.rate");
    classifier_use(classifier, second);
    rule_set_free(first);
    classify(classifier, &rate[0].facts, &verdict);
    assert_str(verdict.rule, "test.newer");
    classifier_free(classifier);
    rule_set_free(second);
}

struct trials {
    int count;
    unsigned mismatch[4];
};

static void note_trial(void *context, const struct rule_trial *trial)
{
    struct trials *trials = context;
    trials->mismatch[trials->count++] = trial->mismatch;
}

static void a_decision_is_explained_rule_by_rule(void **unused)
{
    (void)unused;
    struct rule_source sources[3] = {rate_rule(), rate_rule(), rate_rule()};
    sources[0].id = STR("test.strict");
    sources[0].mx = STR("example.org");
    sources[0].reply = STR("5xx");
    static const struct rule_sample strict[] = {
        {.facts = {.diagnostic = STR("550 receiving mail at a rate"),
                   .remote_mta = STR("example.org")}}};
    sources[0].positive = strict;
    sources[1].id = STR("test.other");
    sources[1].text = STR("nothing");
    static const struct rule_sample other[] = {SAMPLE("nothing")};
    sources[1].positive = other;
    struct rule_set *rules = load(sources, 3);
    struct classifier *classifier = classifier_new(rules);
    static struct explanation explanation;
    struct trials trials = {0};
    classify_explained(classifier, &rate[0].facts, note_trial, &trials, &explanation);
    assert_int_equal(trials.count, 3);
    assert_int_equal(trials.mismatch[0], 1u << CONDITION_MX | 1u << CONDITION_REPLY);
    assert_int_equal(trials.mismatch[1], 1u << CONDITION_TEXT);
    assert_int_equal(trials.mismatch[2], 0);
    assert_true(explanation.by_rule);
    assert_str(explanation.verdict.rule, "test.rate");
    assert_str((struct str){explanation.text, explanation.text_len},
               "450 4.2.1 receiving mail at a rate");
    assert_int_equal(explanation.reply, 450);
    assert_null(explanation.mx.data);
    trials.count = 0;
    classify_explained(
        classifier,
        &(struct bounce_facts){.status = STR("5.1.1"), .remote_mta = STR("MX.Example.org")},
        note_trial, &trials, &explanation);
    assert_int_equal(trials.count, 3);
    assert_false(explanation.by_rule);
    assert_str(explanation.verdict.rule, "code.5.1.1");
    assert_str(explanation.mx, "example.org");
    classifier_free(classifier);
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
        cmocka_unit_test(text_is_matched_in_its_normalised_form),
        cmocka_unit_test(lines_of_a_text_are_alternatives),
        cmocka_unit_test(bad_rules_are_refused_with_file_and_line),
        cmocka_unit_test(bad_patterns_are_refused_where_they_stand),
        cmocka_unit_test(a_pattern_that_could_backtrack_for_ever_is_refused),
        cmocka_unit_test(a_rule_that_an_earlier_one_shadows_is_refused),
        cmocka_unit_test(samples_are_tried_and_their_lines_named),
        cmocka_unit_test(an_id_is_taken_once),
        cmocka_unit_test(sources_may_go_after_loading),
        cmocka_unit_test(what_is_remembered_is_what_would_be_decided_again),
        cmocka_unit_test(recipients_and_ids_do_not_matter_to_what_is_remembered),
        cmocka_unit_test(other_rules_take_over_between_two_calls),
        cmocka_unit_test(a_decision_is_explained_rule_by_rule),
        cmocka_unit_test(any_octets_are_classified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
