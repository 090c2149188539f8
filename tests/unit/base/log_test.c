/* Log lines: repeats are counted and told, addresses are hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/log_address.h"
#include "base/log_limit.h"

static int64_t now_ms;

static int64_t injected(void)
{
    return now_ms;
}

static FILE *file;
static int kept;

static void begin(enum log_format format)
{
    fflush(stderr);
    file = tmpfile();
    assert_non_null(file);
    kept = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    log_configure(LOG_INFO, format);
    log_configure_clock(injected);
}

/* What was logged; a raw NUL becomes a question mark. */
static void end(struct buf *out)
{
    char piece[4096];
    size_t len;
    log_flush();
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_append(out, piece, len);
    fclose(file);
    for (size_t i = 0; i < out->len; i++)
        if (!out->data[i])
            out->data[i] = '?';
    buf_append(out, "", 1);
}

static int lines_with(const struct buf *out, const char *text)
{
    int count = 0;
    for (const char *at = out->data; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void complain(int partition, const char *text)
{
    log_warn("trouble", text, LOG_I("partition", partition), LOG_I("offset", now_ms));
}

/* --- repeats --- */

static void what_comes_too_often_is_counted_and_told_when_the_window_ends(void **unused)
{
    struct buf out;
    (void)unused;
    buf_init(&out);
    begin(LOG_LOGFMT);
    for (int i = 0; i < LOG_REPEATS_MAX + 7; i++)
        complain(3, "again");
    complain(4, "another partition"); /* is another place */
    now_ms += LOG_WINDOW_MS - 1;
    log_tick();
    assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), lseek(fileno(file), 0, SEEK_END));
    long before = (long)lseek(fileno(file), 0, SEEK_END);
    now_ms += 1;
    log_tick();
    assert_true(lseek(fileno(file), 0, SEEK_END) > before);
    complain(3, "a new window");
    end(&out);
    assert_int_equal(lines_with(&out, "msg=again"), LOG_REPEATS_MAX + 1);
    assert_int_equal(lines_with(&out, "repeated="), 1);
    assert_int_equal(lines_with(&out, "code=trouble msg=again partition=3 offset=0 repeated=7\n"),
                     1);
    assert_int_equal(lines_with(&out, "msg=\"a new window\""), 1);
    assert_int_equal(lines_with(&out, "msg=\"another partition\""), 1);
    buf_deinit(&out);
}

static void any_later_line_tells_of_a_window_that_is_over(void **unused)
{
    struct buf out;
    (void)unused;
    buf_init(&out);
    begin(LOG_LOGFMT);
    for (int i = 0; i < LOG_REPEATS_MAX + 2; i++)
        complain(1, "often");
    now_ms += LOG_WINDOW_MS;
    log_info("other", "something else");
    log_configure(LOG_ERROR, LOG_LOGFMT);
    end(&out);
    const char *told = strstr(out.data, "repeated=2\n");
    assert_non_null(told);
    assert_true(told < strstr(out.data, "code=other"));
    buf_deinit(&out);
}

/* More places than are watched: each is told of. */
static void no_place_is_forgotten_for_want_of_room(void **unused)
{
    struct buf out;
    (void)unused;
    buf_init(&out);
    begin(LOG_LOGFMT);
    for (int partition = 0; partition < 3 * LOG_PLACES_MAX; partition++, now_ms++)
        for (int i = 0; i < LOG_REPEATS_MAX + 1 + partition % 3; i++)
            complain(partition, "many");
    end(&out);
    assert_int_equal(lines_with(&out, "repeated="), 3 * LOG_PLACES_MAX);
    assert_int_equal(lines_with(&out, "repeated=3\n"), LOG_PLACES_MAX);
    assert_int_equal(lines_with(&out, "msg=many"), 3 * LOG_PLACES_MAX * (LOG_REPEATS_MAX + 1));
    buf_deinit(&out);
}

#define THREADS 4
#define LINES_EACH 5000

static void *shout(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES_EACH; i++) {
        complain(1, "loud");
        if (i % 100 == 0)
            log_tick();
    }
    return NULL;
}

static void threads_lose_no_line(void **unused)
{
    struct buf out;
    pthread_t threads[THREADS];
    (void)unused;
    buf_init(&out);
    begin(LOG_LOGFMT);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shout, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end(&out);
    char told[64];
    snprintf(told, sizeof(told), " repeated=%d\n", THREADS * LINES_EACH - LOG_REPEATS_MAX);
    assert_int_equal(lines_with(&out, told), 1);
    assert_int_equal(lines_with(&out, "msg=loud"), LOG_REPEATS_MAX + 1);
    buf_deinit(&out);
}

/* --- JSON --- */

static void every_line_is_json_whatever_the_octets(void **unused)
{
    struct buf out;
    unsigned char octets[256 * 2];
    int lines = 0;
    (void)unused;
    for (int i = 0; i < 256; i++) {
        octets[2 * i] = 0xc2; /* with the next: every C1 control, and broken sequences */
        octets[2 * i + 1] = (unsigned char)i;
    }
    buf_init(&out);
    begin(LOG_JSON);
    for (size_t len = 0; len <= sizeof(octets); len += 37, now_ms += LOG_WINDOW_MS)
        log_warn("octets", "any \x01\xff\"\\ text", LOG_I("partition", (int64_t)len),
                 LOG_T("text", ((struct str){(const char *)octets, len})),
                 LOG_A("key", ((struct str){(const char *)octets, len})));
    for (int i = 0; i < LOG_REPEATS_MAX + 3; i++)
        complain(1, "a@example.org said \x7f");
    end(&out);
    for (char *line = out.data, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        json_error_t error;
        json_t *value = json_loadb(line, (size_t)(next - line),
                                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (!value)
            fail_msg("%s: %.*s", error.text, (int)(next - line), line);
        assert_string_equal(json_string_value(json_object_get(value, "level")), "warn");
        assert_true(json_is_string(json_object_get(value, "code")));
        assert_true(json_is_string(json_object_get(value, "ts")));
        json_decref(value);
        for (char *c = line; c < next; c++)
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        lines++;
    }
    assert_int_equal(lines, 14 + LOG_REPEATS_MAX + 1);
    assert_int_equal(lines_with(&out, "\"repeated\":3}"), 1);
    assert_int_equal(lines_with(&out, "\xc2\x85"), 0); /* a new line to some readers */
    buf_deinit(&out);
}

/* --- addresses --- */

static struct log_addresses keyed(void)
{
    return (struct log_addresses){.key = "0123456789abcdef0123", .key_len = 20};
}

static void masks(const char *text, const char *wanted)
{
    struct log_addresses addresses = keyed();
    struct buf out;
    buf_init(&out);
    log_address_mask(&addresses, str_of(text), &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, wanted);
    buf_deinit(&out);
}

#define HASH_A                                                                                     \
    "hash:ee08f05a143ba4b8" /* printf %s a@example.org | openssl dgst -sha1 -hmac KEY              \
                             */

static void addresses_are_replaced_by_what_openssl_makes_of_them(void **unused)
{
    (void)unused;
    masks("a@example.org", HASH_A);
    masks("A@Example.ORG", HASH_A);
    masks("no mailbox <a@example.org>, it says.", "no mailbox <" HASH_A ">, it says.");
    masks("is a@example.org. Or \"a@example.org\"", "is " HASH_A ". Or \"" HASH_A "\"");
    masks("a@example.org a@example.org", HASH_A " " HASH_A);
    masks("tenant:a@example.org", "tenant:" HASH_A);
}

static void no_form_of_an_address_passes(void **unused)
{
    static const char *const forms[] = {
        "\"john doe\"@example.org",       "john.doe+x=y@example.org", "john@[192.0.2.1]",
        "j\xc3\xb6hn@ex\xc3\xa4mple.org", "<john@example>",           "x:john@example.org:y",
        "john@example.org@john.example",  "\"john@doe\"@example.org", "john@[192.0.2.1",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct log_addresses addresses = keyed();
        struct buf out;
        buf_init(&out);
        assert_true(log_address_within(str_of(forms[i])));
        log_address_mask(&addresses, str_of(forms[i]), &out);
        buf_append(&out, "", 1);
        if (strstr(out.data, "john@") || strstr(out.data, "doe") || strstr(out.data, "@ex") ||
            strstr(out.data, "192"))
            fail_msg("%s became %s", forms[i], out.data);
        buf_deinit(&out);
    }
}

static void what_is_no_address_stays(void **unused)
{
    static const char *const texts[] = {"",      "@",        "a@",         "@b",
                                        "a @ b", "at 3 @ 4", "kafka:9092", "@@"};
    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(log_address_within(str_of(texts[i])));
        masks(texts[i], texts[i]);
    }
}

static void lines_hide_addresses_unless_they_are_wanted(void **unused)
{
    struct buf out;
    (void)unused;
    buf_init(&out);
    begin(LOG_LOGFMT);
    log_warn("w", "none: a@example.org", LOG_A("key", STR("john doe")));
    log_configure_addresses(false, STR("0123456789abcdef0123"));
    log_warn("w", "keyed: a@example.org", LOG_A("key", STR("t1:a@example.org")),
             LOG_S("text", "<a@example.org>"));
    log_warn("w", "broken", LOG_A("key", STR("john doe")), LOG_A("none", STR_NULL));
    log_configure_addresses(true, STR(""));
    log_warn("w", "shown: a@example.org", LOG_A("key", STR("a@example.org")));
    log_configure_addresses(false, STR(""));
    end(&out);
    assert_non_null(strstr(out.data, "msg=\"none: hash:hidden\" key=hash:hidden\n"));
    assert_non_null(
        strstr(out.data, "msg=\"keyed: " HASH_A "\" key=t1:" HASH_A " text=\"<" HASH_A ">\"\n"));
    assert_non_null(strstr(out.data, "msg=broken key=hash:"));
    assert_non_null(strstr(out.data, "msg=\"shown: a@example.org\" key=a@example.org\n"));
    assert_int_equal(lines_with(&out, "john"), 0);
    assert_int_equal(lines_with(&out, "@example.org"), 2);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_too_often_is_counted_and_told_when_the_window_ends),
        cmocka_unit_test(any_later_line_tells_of_a_window_that_is_over),
        cmocka_unit_test(no_place_is_forgotten_for_want_of_room),
        cmocka_unit_test(threads_lose_no_line),
        cmocka_unit_test(every_line_is_json_whatever_the_octets),
        cmocka_unit_test(addresses_are_replaced_by_what_openssl_makes_of_them),
        cmocka_unit_test(no_form_of_an_address_passes),
        cmocka_unit_test(what_is_no_address_stays),
        cmocka_unit_test(lines_hide_addresses_unless_they_are_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
