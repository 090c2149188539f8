/*
 * Replies from anywhere, with the rules compiled in. The first four lines are status, reply code,
 * MX and stage, empty ones are absent; the rest is the text.
 *
 * What must hold: the normalised text is valid UTF-8 in lower case with single blanks; and what is
 * decided from memory is what is decided afresh, and by trying every rule in order.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "cli/settings.h"
#include "domain/classify.h"
#include "domain/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct classifier *classifier;

static void setup(void)
{
    struct rule_set *rules;
    struct err err;
    if (classifier)
        return;
    if (settings_rules(NULL, &rules, &err) != OK)
        abort();
    classifier = classifier_new(rules);
}

static struct str take_line(struct str *text)
{
    const char *feed = text->len ? memchr(text->data, '\n', text->len) : NULL;
    struct str line = {text->data, feed ? (size_t)(feed - text->data) : text->len};
    size_t used = line.len + (feed != NULL);
    *text = (struct str){text->data + used, text->len - used};
    return line.len ? line : STR_NULL;
}

static int32_t number_of(struct str line)
{
    int32_t number = 0;
    for (size_t i = 0; i < line.len && i < 6; i++)
        number = 10 * number + (line.data[i] - '0');
    return number;
}

static void check_text(struct str text)
{
    for (size_t i = 0, len; i < text.len; i += len) {
        char c = text.data[i];
        len = utf8_len(text, i);
        assert(len > 0);
        assert(len > 1 || ((unsigned char)c >= ' ' && c != 0x7f && !(c >= 'A' && c <= 'Z')));
        assert(c != ' ' || (i > 0 && i + 1 < text.len && text.data[i - 1] != ' '));
    }
}

static void ignore(void *context, const struct rule_trial *trial)
{
    (void)context;
    (void)trial;
}

static void check_same(const struct verdict *a, const struct verdict *b)
{
    assert(a->bounce_class == b->bounce_class && a->reason == b->reason);
    assert(str_equal(a->rule, b->rule));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct explanation explanation;
    struct verdict first, again, afresh;
    struct str text = {(const char *)data, size};
    setup();
    struct bounce_facts facts = {.status = take_line(&text)};
    facts.reply_code = number_of(take_line(&text));
    facts.remote_mta = take_line(&text);
    facts.stage = take_line(&text);
    facts.diagnostic = text;
    classify(classifier, &facts, &first);
    classify(classifier, &facts, &again);
    classify_afresh(classifier, &facts, &afresh);
    classify_explained(classifier, &facts, ignore, NULL, &explanation);
    check_same(&first, &again);
    check_same(&first, &afresh);
    check_same(&first, &explanation.verdict);
    assert(first.rule.len > 0 && explanation.text_len <= EXPLAINED_TEXT_MAX);
    check_text((struct str){explanation.text, explanation.text_len});
    return 0;
}
