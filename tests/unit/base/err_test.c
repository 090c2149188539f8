/* Errors, the clock's format, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

static void every_code_has_a_name_of_its_own(void **unused)
{
    (void)unused;
    for (int i = 0; i < RCODE_COUNT; i++) {
        assert_true(strlen(rcode_name((enum rcode)i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(rcode_name((enum rcode)i), rcode_name((enum rcode)j));
    }
    assert_string_equal(rcode_name((enum rcode)RCODE_COUNT), "bug");
    assert_string_equal(rcode_name((enum rcode) - 1), "bug");
    assert_int_equal(rcode_disposition((enum rcode)RCODE_COUNT), DISPOSITION_FATAL);
}

static void codes_tell_what_to_do(void **unused)
{
    (void)unused;
    assert_int_equal(rcode_disposition(E_INVALID_RECIPIENT), DISPOSITION_REJECT);
    assert_int_equal(rcode_disposition(E_LOG_ABORTABLE), DISPOSITION_ABORT);
    assert_int_equal(rcode_disposition(E_PRODUCER_FENCED), DISPOSITION_REBUILD);
    assert_int_equal(rcode_disposition(E_STORE_CORRUPT), DISPOSITION_RESTORE);
    assert_int_equal(rcode_disposition(E_CERTIFICATE_LOST), DISPOSITION_STOP);
    assert_int_equal(rcode_disposition(E_TIMEOUT), DISPOSITION_RETRY);
    assert_int_equal(rcode_disposition(E_CONFIG), DISPOSITION_FATAL);
}

static void texts_are_set_prefixed_and_cut(void **unused)
{
    (void)unused;
    struct err err;
    assert_int_equal(err_set(&err, E_IO, "no %s", "luck"), E_IO);
    assert_string_equal(err.text, "no luck");
    assert_int_equal(err_prefix(&err, "line %d", 7), E_IO);
    assert_string_equal(err.text, "line 7: no luck");
    char large[2 * ERR_TEXT_MAX];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    (void)err_set(&err, E_IO, "%s", large);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    (void)err_prefix(&err, "front");
    assert_memory_equal(err.text, "front: xxx", 10);
    assert_in_range(strlen(err.text), 900, ERR_TEXT_MAX - 1);
    (void)err_prefix(&err, "%s", large);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_set(NULL, E_CONFIG, "nobody listens"), E_CONFIG);
}

static void errno_is_spelled_out(void **unused)
{
    (void)unused;
    struct err err;
    errno = ENOENT;
    assert_int_equal(err_errno(&err, E_IO, "open x"), E_IO);
    assert_string_equal(err.text, "open x: No such file or directory");
}

static void times_are_rfc_3339_in_utc(void **unused)
{
    (void)unused;
    char text[32];
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(1700000000123, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123Z");
    clock_format(253402300799999, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    int64_t before = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= before);
    assert_true(clock_wall_ms() > 1600000000000);
}

/* What one call of log_write puts on stderr. */
static void captured(enum log_format format, struct str value, char *ret_line, size_t size)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_configure(LOG_INFO, format);
    log_debug("hidden", "below the level");
    log_info("ready", "one line", LOG_I("partition", 3), LOG_T("text", value));
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    ssize_t len = read(ends[0], ret_line, size - 1);
    close(ends[0]);
    assert_true(len > 0);
    for (ssize_t i = 0; i < len; i++)
        if (ret_line[i] == '\0')
            ret_line[i] = '?'; /* so that a raw NUL is seen */
    ret_line[len] = '\0';
}

static void log_lines_are_logfmt_or_json_and_escape_what_they_must(void **unused)
{
    (void)unused;
    char line[512];
    captured(LOG_LOGFMT, STR("plain/value:1"), line, sizeof(line));
    assert_non_null(
        strstr(line, " level=info code=ready msg=\"one line\" partition=3 text=plain/value:1\n"));
    captured(LOG_LOGFMT, STR("a \"b\"\n\x01\\"), line, sizeof(line));
    assert_non_null(strstr(line, " text=\"a \\\"b\\\"\\n\\u0001\\\\\"\n"));
    captured(LOG_LOGFMT, STR("a\0b"), line, sizeof(line));
    assert_non_null(strstr(line, " text=\"a\\u0000b\"\n"));
    captured(LOG_LOGFMT, STR(""), line, sizeof(line));
    assert_non_null(strstr(line, " text=\"\"\n"));
    captured(LOG_JSON, STR("a \"b\""), line, sizeof(line));
    assert_non_null(strstr(
        line,
        "\"code\":\"ready\",\"msg\":\"one line\",\"partition\":3,\"text\":\"a \\\"b\\\"\"}\n"));
    assert_int_equal(line[0], '{');
    captured(LOG_JSON, STR("\xff\xc3"), line, sizeof(line));
    assert_non_null(strstr(line, "\"text\":\"\\ufffd\\ufffd\"}\n"));
    captured(LOG_JSON, STR("\xc3\xa9"), line, sizeof(line));
    assert_non_null(strstr(line, "\"text\":\"\xc3\xa9\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(codes_tell_what_to_do),
        cmocka_unit_test(texts_are_set_prefixed_and_cut),
        cmocka_unit_test(errno_is_spelled_out),
        cmocka_unit_test(times_are_rfc_3339_in_utc),
        cmocka_unit_test(log_lines_are_logfmt_or_json_and_escape_what_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
