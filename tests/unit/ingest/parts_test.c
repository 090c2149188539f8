/* What adapters are made of: cutting streams, times, replies, stages. */
#include "ingest_support.h"

#include "domain/types.h"
#include "ingest/ingest_internal.h"
#include "ingest/reply.h"
#include "ingest/split.h"
#include "ingest/when.h"

/* --- split --- */

/* All pieces with "|" behind each, "!" before those that have a fault; the window grows by `step`
 * octets at a time. */
static void assert_split(enum split_kind kind, const char *text, const char *expected, size_t step)
{
    struct split split;
    struct split_piece piece;
    struct buf pieces;
    size_t from = 0, until = 0, len = strlen(text);
    bool last = false;
    buf_init(&pieces);
    buf_str(&pieces, STR(""));
    split_init(&split, kind);
    while (!last) {
        last = until == len;
        while (split_next(&split, (struct str){text + from, until - from}, last, &piece)) {
            assert_true(piece.octets.data == text + piece.offset);
            int64_t line = 1;
            for (int64_t i = 0; i < piece.offset; i++)
                line += text[i] == '\n';
            assert_int_equal(piece.line, line);
            buf_printf(&pieces, "%s%.*s|", piece.fault ? "!" : "", STR_ARG(piece.octets));
        }
        from += split.done;
        split_shift(&split);
        until = until + step < len ? until + step : len;
    }
    assert_str(buf_view(&pieces), expected);
    buf_deinit(&pieces);
}

static void assert_split_in_steps(enum split_kind kind, const char *text, const char *expected)
{
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_split(kind, text, expected, steps[i]);
}

static void json_is_cut_into_objects(void **unused)
{
    (void)unused;
    assert_split_in_steps(SPLIT_JSON, "", "");
    assert_split_in_steps(SPLIT_JSON, "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}|{\"b\":2}|");
    assert_split_in_steps(SPLIT_JSON, "[{\"a\":1}, {\"b\":[{}]}]", "{\"a\":1}|{\"b\":[{}]}|");
    assert_split_in_steps(SPLIT_JSON, "[\n{\n\"a\":\n{}\n}\n,\n{}\n]\n", "{\n\"a\":\n{}\n}|{}|");
    assert_split_in_steps(SPLIT_JSON, "\xef\xbb\xbf{}", "{}|");
    assert_split_in_steps(SPLIT_JSON, "{\"a\":\"}\\\"{\"}", "{\"a\":\"}\\\"{\"}|");
}

static void broken_json_costs_itself_only(void **unused)
{
    (void)unused;
    assert_split_in_steps(SPLIT_JSON, "{\"a\":1}\n{\"b\":\n{\"c\":3}\n",
                          "{\"a\":1}|!{\"b\":|{\"c\":3}|");
    assert_split_in_steps(SPLIT_JSON, "{\"b\":[1\n{\"c\":3}\n", "!{\"b\":[1|{\"c\":3}|");
    assert_split_in_steps(SPLIT_JSON, "{\"b\":\"x\n{\"c\":3}\n", "!{\"b\":\"x|{\"c\":3}|");
    assert_split_in_steps(SPLIT_JSON, "nonsense {}\n{\"c\":3}", "!nonsense {}|{\"c\":3}|");
    assert_split_in_steps(SPLIT_JSON, "{\"c\":3", "!{\"c\":3|");
    assert_split_in_steps(SPLIT_JSON, "[{\"c\":3}", "{\"c\":3}|!|");
    assert_split_in_steps(SPLIT_JSON, "{}]\n{}", "{}|!]|{}|");
}

static void a_value_without_end_is_given_up(void **unused)
{
    (void)unused;
    size_t len = SPLIT_JSON_MAX + 100;
    char *text = malloc(len + 4);
    struct split split;
    struct split_piece piece;
    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + len, "\n{}\n", 4);
    struct str window = {text, len + 4};
    split_init(&split, SPLIT_JSON);
    assert_true(split_next(&split, window, true, &piece));
    assert_non_null(piece.fault);
    assert_int_equal(piece.octets.len, SPLIT_JSON_MAX);
    assert_true(split_next(&split, window, true, &piece));
    assert_null(piece.fault);
    assert_str(piece.octets, "{}");
    assert_false(split_next(&split, window, true, &piece));
    free(text);
}

#define FROM_A "From MAILER-DAEMON  Thu Apr 29 23:34:45 2015\n"
#define FROM_B "From a@b.example Fri May 01 01:02:03 2015\n"

static void an_mbox_is_cut_into_mails(void **unused)
{
    (void)unused;
    assert_split_in_steps(SPLIT_MAIL, "Subject: x\n\nFrom here on\n" FROM_A,
                          "Subject: x\n\nFrom here on\n" FROM_A "|");
    assert_split_in_steps(SPLIT_MAIL, FROM_A "Subject: x\n\nhello\n\n" FROM_B "Subject: y\n",
                          "Subject: x\n\nhello\n|Subject: y\n|");
    /* not behind an empty line, or without a time: part of the mail */
    assert_split_in_steps(SPLIT_MAIL, FROM_A "a\n" FROM_B "\nFrom the start of a line it is\n",
                          "a\n" FROM_B "\nFrom the start of a line it is\n|");
    assert_split_in_steps(SPLIT_MAIL, "", "");
}

/* --- times --- */

static void assert_rfc3339(const char *text, const char *expected)
{
    int64_t time_ms = when_rfc3339(str_of(text));
    if (!expected) {
        assert_true(time_ms == TIME_NULL);
        return;
    }
    assert_time(time_ms, expected);
}

static void times_are_read_in_all_their_forms(void **unused)
{
    (void)unused;
    assert_rfc3339("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z");
    assert_rfc3339("2026-01-31t12:00:00.5z", "2026-01-31T12:00:00.500Z");
    assert_rfc3339("2026-01-31 12:00:00.1239999", "2026-01-31T12:00:00.123Z");
    assert_rfc3339("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000Z");
    assert_rfc3339("2026-01-31T23:30:00-0530", "2026-02-01T05:00:00.000Z");
    assert_rfc3339("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z");
    assert_rfc3339("2026-13-31T12:00:00Z", NULL);
    assert_rfc3339("2026-01-31T12:00:00 CET", NULL);
    assert_rfc3339("2026-01-31", NULL);
    assert_rfc3339("", NULL);
    assert_time(when_epoch(STR("1521472262.908181")), "2018-03-19T15:11:02.908Z");
    assert_time(when_epoch(STR("1521472262908")), "2018-03-19T15:11:02.908Z");
    assert_true(when_epoch(STR("-1")) == TIME_NULL);
    assert_true(when_epoch(STR("1e9")) == TIME_NULL);
    assert_true(when_epoch(STR("")) == TIME_NULL);
    assert_true(when_epoch_number(1e300) == TIME_NULL);
}

/* --- replies --- */

static void assert_reply(const char *text, int code, const char *status)
{
    struct reply reply = reply_read(str_of(text));
    char found[32] = "";
    if (reply.status.cls)
        snprintf(found, sizeof(found), "%d.%d.%d", reply.status.cls, reply.status.subject,
                 reply.status.detail);
    assert_int_equal(reply.code, code);
    assert_string_equal(found, status);
}

static void the_reply_that_decides_is_found(void **unused)
{
    (void)unused;
    assert_reply("", 0, "");
    assert_reply("550 5.1.1 unknown", 550, "5.1.1");
    assert_reply("host mx[192.0.2.1] said: 450-4.2.1 rate", 450, "4.2.1");
    assert_reply("Remote host said: 550-5.7.26 a\n550 5.7.26 b", 550, "5.7.26");
    assert_reply("554 4.4.7 expired <421 4.4.2 timed out>", 421, "4.4.2");
    assert_reply("'550 4.4.7 QUEUE.Expired', before: '441 4.4.1 error'", 441, "4.4.1");
    assert_reply("554 4.4.7 expired", 554, "4.4.7");
    assert_reply("Sorry, no mailbox here (#5.1.1)", 0, "5.1.1");
    assert_reply("5.1.0 - Unknown address error 550-'5.7.1 denied'", 550, "5.7.1");
    assert_reply("ERROR_CODE :550, ERROR_CODE :5.1.1 unknown", 550, "5.1.1");
    assert_reply("550 no such user", 550, "");
}

static void other_numbers_are_no_replies(void **unused)
{
    (void)unused;
    assert_reply("exceeds the limit of 500 recipients", 0, "");
    assert_reply("after MAIL FROM:<a@b.example> SIZE=543 bytes", 0, "");
    assert_reply("192.0.2.450 and v5.5.5.5", 0, "");
    assert_reply("see ticket id=550", 0, "");
    assert_reply("250 2.0.0 queued", 0, "");
}

static void stages_and_hosts_are_found(void **unused)
{
    (void)unused;
    assert_str(reply_stage(STR("said: 550 no (in reply to RCPT\n    TO command)")), "rcpt");
    assert_str(reply_stage(STR("after end of data: 554")), "data");
    assert_str(reply_stage(STR("mx refused to talk to me: 421")), "connect");
    assert_str(reply_stage(STR("550 unknown")), NULL);
    assert_str(ingest_stage(STR("rcpt to:<a@b>")), "rcpt");
    assert_str(ingest_stage(STR(" . ")), "data");
    assert_str(ingest_stage(STR("QUIT")), NULL);
    assert_str(reply_host(STR("host mx.example.org[192.0.2.1] said")), "mx.example.org");
    assert_str(reply_host(STR("... while talking to mx.example.org.:")), "mx.example.org");
    assert_str(reply_host(STR("host 192.0.2.1 said")), NULL);
    assert_str(reply_untyped(STR(" smtp; 550 no")), "550 no");
    assert_str(reply_untyped(STR("550 no; really")), "550 no; really");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_cut_into_objects),
        cmocka_unit_test(broken_json_costs_itself_only),
        cmocka_unit_test(a_value_without_end_is_given_up),
        cmocka_unit_test(an_mbox_is_cut_into_mails),
        cmocka_unit_test(times_are_read_in_all_their_forms),
        cmocka_unit_test(the_reply_that_decides_is_found),
        cmocka_unit_test(other_numbers_are_no_replies),
        cmocka_unit_test(stages_and_hosts_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
