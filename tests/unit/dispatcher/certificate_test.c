/* A partition's certificate, through the processor's own operations: what is written is read again,
 * by whoever restores with it; what another wrote is refused. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "dispatcher/dispatcher.h"
#include "tmpdir.h"

#define NOW_MS INT64_C(1700000000000)

/* A port that knows the time and counts what is sent. */
struct clock_port {
    struct port port;
    int64_t now_ms;
    int sent;
};

static int64_t port_wall(struct port *port)
{
    return ((struct clock_port *)port)->now_ms;
}

static enum rcode port_send(struct port *port, const struct port_message *message, struct err *err)
{
    (void)message;
    (void)err;
    ((struct clock_port *)port)->sent++;
    return OK;
}

static const struct port_ops port_ops = {.wall_ms = port_wall, .send = port_send};

struct fixture {
    char dir[TMPDIR_PATH_MAX], dir2[TMPDIR_PATH_MAX];
    struct clock_port port;
    struct codec *codec;
    struct processor *dispatcher;
    struct buf values[8];
    struct port_record records[8];
    size_t count;
    char text[PORT_METADATA_MAX + 1];
    struct err err;
};

static struct processor *new_dispatcher(const char *dir)
{
    struct err err = {0};
    struct processor *dispatcher;
    struct dispatcher_options options = {
        .state = {.dir = dir, .app = "rimbalzo", .cluster_id = "none", .map_size_initial = 1 << 20},
        .delay_ms_max = 1000000};
#define X(constant, key, name) options.topic_names[constant] = name;
    TOPICS(X)
#undef X
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.partition_counts[i] = 1;
    if (dispatcher_new(&options, &dispatcher, &err) != OK)
        fail_msg("%s", err.text);
    return dispatcher;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct local_state local;
    tmpdir_make(f->dir);
    tmpdir_make(f->dir2);
    f->port = (struct clock_port){.port.ops = &port_ops, .now_ms = NOW_MS};
    assert_int_equal(codec_new(&(struct codec_options){0}, &f->codec, &f->err), OK);
    f->dispatcher = new_dispatcher(f->dir);
    assert_int_equal(f->dispatcher->ops->open(f->dispatcher, 0, &local, &f->err), OK);
    assert_true(local.empty);
    for (int i = 0; i < 8; i++)
        buf_init(&f->values[i]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->dispatcher->ops->close(f->dispatcher, 0, true);
    dispatcher_free(f->dispatcher);
    for (int i = 0; i < 8; i++)
        buf_deinit(&f->values[i]);
    codec_free(f->codec);
    tmpdir_remove(f->dir);
    tmpdir_remove(f->dir2);
    mem_free(f);
    return 0;
}

/* A SCHEDULE at that offset, written at `time_ms`. */
static void schedule(struct fixture *f, int64_t offset, int64_t time_ms, int64_t due_ms)
{
    struct retry_command command = {.action = COMMAND_SCHEDULE,
                                    .who = {STR(""), STR("a@example.org")},
                                    .message_id = STR("m"),
                                    .due_at_ms = due_ms,
                                    .reason = REASON_OTHER};
    char id[UUID_TEXT_SIZE + 1];
    snprintf(id, sizeof(id), "%08x-0000-0000-0000-000000000000", (unsigned)offset);
    memcpy(command.command_id.text, id, UUID_TEXT_SIZE);
    struct buf *value = &f->values[f->count];
    buf_clear(value);
    codec_encode_command(f->codec, &command, value);
    f->records[f->count++] = (struct port_record){
        .offset = offset, .timestamp_ms = time_ms, .key = STR("k"), .value = buf_view(value)};
}

/* One transaction; leaves the certificate in `text`. */
static void transact(struct fixture *f, int64_t input_next)
{
    struct processor *dispatcher = f->dispatcher;
    static const int32_t partition = 0;
    struct batch batch = {.port = &f->port.port,
                          .records = f->records,
                          .count = f->count,
                          .max = 100,
                          .partitions = &partition,
                          .partition_count = 1};
    if (dispatcher->ops->process(dispatcher, &batch, &f->err) != OK)
        fail_msg("%s", f->err.text);
    size_t len = dispatcher->ops->certificate_write(dispatcher, 0, input_next, f->text);
    assert_int_equal(len, strlen(f->text));
    assert_int_equal(dispatcher->ops->commit(dispatcher, 0, input_next, 0, &f->err), OK);
    f->count = 0;
}

static enum rcode parse(struct fixture *f, struct str text, struct certificate *ret_certificate)
{
    return f->dispatcher->ops->certificate_parse(f->dispatcher, 42, text, ret_certificate, &f->err);
}

/* As the engine does it: the text is kept beside what was parsed. */
static struct certificate parsed(struct fixture *f, const char *text)
{
    struct certificate certificate;
    if (parse(f, str_of(text), &certificate) != OK)
        fail_msg("%s", f->err.text);
    snprintf(certificate.text, sizeof(certificate.text), "%s", text);
    return certificate;
}

static void a_partition_without_commands_certifies_nothing(void **state)
{
    struct fixture *f = *state;
    transact(f, 0);
    assert_string_equal(f->text, "v1 i=0 f=-1,-1 m=0 n=0 d=0000000000000000 r=0 t=0");
    transact(f, 17);
    assert_string_equal(f->text, "v1 i=17 f=-1,-1 m=17 n=0 d=0000000000000000 r=17 t=0");
}

static void what_is_written_is_read(void **state)
{
    struct fixture *f = *state;
    schedule(f, 3, NOW_MS - 50, NOW_MS + 100);
    schedule(f, 5, NOW_MS - 40, NOW_MS + 200);
    schedule(f, 9, NOW_MS - 30, NOW_MS - 20);
    transact(f, 12);
    struct certificate certificate = parsed(f, f->text);
    assert_int_equal(f->port.sent, 1);
    assert_int_equal(certificate.input_next, 12);
    assert_int_equal(certificate.log_next, 42);
    assert_int_equal(certificate.entries, 2);
    assert_true(certificate.digest != 0);
    assert_non_null(strstr(f->text, "v1 i=12 f=1699999999980,9 m=3 n=2 d="));
    assert_non_null(strstr(f->text, " r=3 t=0"));
    /* The first leaves, but is remembered as long as the log has not reached its due time. */
    f->port.now_ms = NOW_MS + 150;
    transact(f, 12);
    assert_int_equal(f->port.sent, 2);
    assert_non_null(strstr(f->text, "v1 i=12 f=1700000000100,3 m=5 n=1 d="));
    assert_non_null(strstr(f->text, " r=3 t=0"));
    schedule(f, 12, NOW_MS + 140, NOW_MS + 100000);
    transact(f, 13);
    assert_non_null(strstr(f->text, "v1 i=13 f=1700000000100,3 m=5 n=2 d="));
    assert_non_null(strstr(f->text, " r=5 t=1699999999950"));
    f->port.now_ms = NOW_MS + 100000;
    transact(f, 13);
    assert_non_null(strstr(f->text, "f=1700000100000,12 m=13 n=0 d=0000000000000000 r=5 "));
    assert_int_equal(f->port.sent, 4);
}

static void a_clock_set_back_is_a_step_of_the_frontier(void **state)
{
    struct fixture *f = *state;
    schedule(f, 0, NOW_MS, NOW_MS);
    transact(f, 1);
    f->port.now_ms = NOW_MS - 500;
    schedule(f, 1, NOW_MS, NOW_MS - 100);
    transact(f, 2);
    assert_int_equal(f->port.sent, 1);
    assert_non_null(strstr(f->text, " f=1700000000000,0/1:1699999999500,0 m=1 n=1 "));
    parsed(f, f->text);
    f->port.now_ms = NOW_MS - 100;
    transact(f, 2);
    assert_int_equal(f->port.sent, 2);
    assert_non_null(strstr(f->text, " f=1700000000000,0/1:1699999999900,1 m=2 n=0 "));
    parsed(f, f->text);
}

/* A certificate restores another dispatcher, from r to i; and what it proves is what is there. */
static void a_certificate_restores_another(void **state)
{
    struct fixture *f = *state;
    struct restore_range range;
    struct local_state local;
    char text[PORT_METADATA_MAX + 1];
    for (int64_t offset = 0; offset < 6; offset++)
        schedule(f, offset, NOW_MS + offset, NOW_MS + 100 * offset);
    transact(f, 6);
    struct port_record records[6];
    memcpy(records, f->records, sizeof(records));
    f->port.now_ms = NOW_MS + 250;
    transact(f, 6);
    snprintf(text, sizeof(text), "%s", f->text);
    struct certificate certificate = parsed(f, text);
    assert_int_equal(certificate.entries, 3);

    struct processor *other = new_dispatcher(f->dir2);
    const struct processor_ops *ops = other->ops;
    assert_int_equal(ops->open(other, 0, &local, &f->err), OK);
    ops->restore_range(other, 0, &certificate, &range);
    assert_int_equal(range.topic, TOPIC_DELAYED);
    assert_int_equal(range.from, 1);   /* released, and remembered */
    assert_int_equal(range.needed, 3); /* pending */
    assert_int_equal(range.to, 6);
    assert_int_equal(ops->restore_apply(other, 0, records + 1, 2, 3, &f->err), OK);
    assert_int_equal(ops->restore_finish(other, 0, &certificate, &f->err), E_STATE_MISMATCH);
    ops->restore_range(other, 0, &certificate, &range); /* it goes on where it was */
    assert_int_equal(range.from, 6); /* the attempt to prove it took it to the end */
    assert_int_equal(range.needed, 6);
    assert_int_equal(ops->discard(other, 0, &f->err), OK);
    ops->restore_range(other, 0, &certificate, &range);
    assert_int_equal(range.from, 1);
    assert_int_equal(ops->restore_apply(other, 0, records + 1, 5, 6, &f->err), OK);
    if (ops->restore_finish(other, 0, &certificate, &f->err) != OK)
        fail_msg("%s", f->err.text);
    assert_int_equal(dispatcher_stats(other)->pending, 3);
    assert_int_equal(dispatcher_stats(other)->next_due_ms, NOW_MS + 300);
    ops->close(other, 0, true);
    dispatcher_free(other);
}

static void certificates_of_another_form_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "",
        "v1",
        "v2 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0",
        "V1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0",
        "v1 i=9 t=5 n=0 d=0", /* the worker's */
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=9",
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=",
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0 ",
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0 x=1",
        "v1 i=9 f=1,2 m=9 n=0 r=9 t=0",
        "v1 f=1,2 i=9 m=9 n=0 d=0 r=9 t=0",
        "v1 i=-1 f=1,2 m=-1 n=0 d=0 r=-1 t=0",
        "v1 i=9 f=1,2 m=10 n=0 d=0 r=9 t=0", /* pending beyond what was read */
        "v1 i=9 f=1,2 m=5 n=0 d=0 r=6 t=0",  /* restored without what is pending */
        "v1 i=9 f=1,2 m=-1 n=0 d=0 r=-1 t=0",
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=-1 t=0",
        "v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=-1",
        "v1 i=9 f= m=9 n=0 d=0 r=9 t=0",
        "v1 i=9 f=1 m=9 n=0 d=0 r=9 t=0",
        "v1 i=9 f=1,2/3:1,2 m=9 n=0 d=0 r=9 t=0",
        "v1 i=9 f=x m=9 n=0 d=0 r=9 t=0",
    };
    struct certificate certificate, untouched;
    char long_text[PORT_METADATA_MAX + 20];
    memset(&untouched, 7, sizeof(untouched));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        certificate = untouched;
        if (parse(f, str_of(texts[i]), &certificate) != E_CERTIFICATE_INVALID)
            fail_msg("accepted: %s", texts[i]);
        assert_non_null(strstr(f->err.text, texts[i]));
        assert_memory_equal(&certificate, &untouched, sizeof(certificate));
    }
    assert_int_equal(parse(f, STR_NULL, &certificate), E_CERTIFICATE_INVALID);
    assert_int_equal(parse(f, STR("v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0\0"), &certificate),
                     E_CERTIFICATE_INVALID);
    memset(long_text, '1', sizeof(long_text));
    assert_int_equal(parse(f, (struct str){long_text, sizeof(long_text)}, &certificate),
                     E_CERTIFICATE_INVALID);
    parsed(f, "v1 i=9 f=1,2 m=9 n=0 d=0 r=9 t=0");
}

/* Eight steps, every number as long as can be: the group's metadata has room for it. */
static void the_longest_certificate_is_read(void **state)
{
    struct fixture *f = *state;
    char text[PORT_METADATA_MAX + 1];
    size_t len = (size_t)snprintf(text, sizeof(text), "v1 i=%lld f=%lld,%lld", LLONG_MAX, LLONG_MAX,
                                  LLONG_MAX);
    for (int i = 1; i < 8; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "/%lld:%lld,%lld",
                                LLONG_MAX - 8 + i, LLONG_MAX - i, LLONG_MAX);
    len += (size_t)snprintf(text + len, sizeof(text) - len,
                            " m=%lld n=%llu d=ffffffffffffffff r=%lld t=%lld", LLONG_MAX,
                            ULLONG_MAX, LLONG_MAX, LLONG_MAX);
    assert_true(len < sizeof(text));
    struct certificate certificate = parsed(f, text);
    assert_true(certificate.digest == UINT64_MAX && certificate.entries == UINT64_MAX);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_partition_without_commands_certifies_nothing), test(what_is_written_is_read),
        test(a_clock_set_back_is_a_step_of_the_frontier),     test(a_certificate_restores_another),
        test(certificates_of_another_form_are_refused),       test(the_longest_certificate_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
