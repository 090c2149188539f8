/*
 * Status and reply codes from anywhere: what is found stands in the text, in the bounds of its
 * kind, and is the same when it is read by itself.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "domain/code_range.h"
#include "domain/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct status_code *a, const struct status_code *b)
{
    return a->cls == b->cls && a->subject == b->subject && a->detail == b->detail;
}

static void check(const struct status_code *code)
{
    char written[32];
    struct status_code again;
    struct status_range range;
    assert(code->cls == 2 || code->cls == 4 || code->cls == 5);
    assert(code->subject >= 0 && code->subject <= 999 && code->detail >= 0 && code->detail <= 999);
    snprintf(written, sizeof(written), "%d.%d.%d", code->cls, code->subject, code->detail);
    assert(status_parse(str_of(written), &again) && same(code, &again));
    assert(status_range_parse(str_of(written), &range) && status_range_holds(&range, code));
}

static void check_ranges(struct str text)
{
    struct status_range status, any;
    struct reply_range reply;
    if (status_range_parse(text, &status)) {
        assert(status_range_covers(&status, &status));
        assert(status_range_parse(STR("x.x.x"), &any));
        assert(status_range_covers(&any, &status) == (status.cls != NO_STATUS));
    }
    if (reply_range_parse(text, &reply)) {
        assert(reply.min <= reply.max && (reply.min == 0 || reply.min >= 200) && reply.max <= 599);
        assert(reply_range_holds(&reply, reply.min) && reply_range_holds(&reply, reply.max));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct status_code code, found;
    int reply = reply_find(text);
    assert(reply == 0 || (reply >= 200 && reply <= 599));
    if (status_parse(text, &code)) {
        check(&code);
        assert(code.subject > STATUS_SUBJECT_MAX || status_find(text, &found));
    }
    if (status_find(text, &found)) {
        assert(found.subject <= STATUS_SUBJECT_MAX);
        check(&found);
    }
    check_ranges(text);
    return 0;
}
