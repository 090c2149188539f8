/* rimbalzo ingest: sources, sinks, rejects, the account. The adapters have tests of their own. */
#include "command.h"

#include <avro.h>
#include <jansson.h>
#include <sys/stat.h>

#include "cli/settings.h"

#define ARGS(...) .run = cmd_ingest, .args = {__VA_ARGS__}

#define BOUNCE(address)                                                                            \
    "{\"event\":\"bounce\",\"email\":\"" address "\",\"timestamp\":1770000000,\"reason\":"         \
    "\"550 5.1.1 user unknown\",\"sg_event_id\":\"" address "\",\"sg_message_id\":\"m.1\"}\n"
#define DELIVERED(address)                                                                         \
    "{\"event\":\"delivered\",\"email\":\"" address "\",\"timestamp\":1770000001,"                 \
    "\"sg_event_id\":\"d" address "\"}\n"
#define OPENED "{\"event\":\"open\",\"email\":\"a@example.org\"}\n"

#define MAIL(address)                                                                              \
    "From: MAILER-DAEMON@mx.example\nSubject: failure notice\nDate: Tue, 3 Mar 2026 10:00:00 "     \
    "+0000\n\nHi. This is the qmail-send program at mx.example.\n\n<" address ">:\n550 5.1.1 no\n"

/* The value of a member in the first line of `text` that has `address`; "-" if there is none. */
static const char *member_of(const char *text, const char *address, const char *name,
                             char value[256])
{
    strcpy(value, "-");
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        json_error_t error;
        json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
        const char *recipient = json_string_value(json_object_get(object, "recipient"));
        const json_t *member = json_object_get(object, name);
        bool found = recipient && strcmp(recipient, address) == 0;
        if (found && json_is_string(member))
            snprintf(value, 256, "%s", json_string_value(member));
        else if (found && json_is_integer(member))
            snprintf(value, 256, "%lld", (long long)json_integer_value(member));
        json_decref(object);
        if (found)
            break;
    }
    return value;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* --- JSON lines --- */

static void json_lines_show_each_recipient_with_its_verdict(void **unused)
{
    (void)unused;
    char value[256];
    struct result result = run_command(
        (struct command){ARGS("--from", "sendgrid", "-o", "jsonl", "--tenant", "shop"),
                         .input = STR(BOUNCE("a@example.org") DELIVERED("b@example.org") OPENED)});
    assert_int_equal(result.code, EXIT_CODE_OK);
    static const char *const expected[][2] = {
        {"file", "stdin"},
        {"line", "1"},
        {"event_type", "bounce"},
        {"status", "5.1.1"},
        {"reply_code", "550"},
        {"class", "HARD"},
        {"reason", "user_unknown"},
        {"rule", "user.unknown"},
        {"diagnostic", "550 5.1.1 user unknown"},
        {"tenant", "shop"},
        {"occurred_at", "2026-02-02T02:40:00.000Z"},
        {"message_id", "m"},
        {"source", "sendgrid"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_string_equal(member_of(result.out.data, "a@example.org", expected[i][0], value),
                            expected[i][1]);
    assert_string_equal(member_of(result.out.data, "b@example.org", "event_type", value),
                        "delivery");
    assert_string_equal(member_of(result.out.data, "b@example.org", "class", value), "-");
    result_deinit(&result);
}

static void all_that_was_read_is_accounted_for(void **unused)
{
    (void)unused;
    struct result result = run_command((struct command){
        ARGS("--from", "sendgrid", "--dry-run"),
        .input = STR(BOUNCE("a@example.org") BOUNCE("b@example.org") DELIVERED("b@example.org")
                         OPENED "{\"event\":\"deferred\"}\n{\"event\":\"bounce\"}\nnonsense\n")});
    assert_int_equal(result.code, EXIT_CODE_DATA);
    assert_string_equal(result.out.data, "");
    char *end = strstr(result.err.data, " in ");
    assert_non_null(end);
    *end = '\0';
    assert_contains(result.err.data,
                    "stdin:6: invalid_recipient: recipient \"\": no local part or no domain");
    assert_contains(result.err.data, "stdin:7: malformed: no JSON object");
    const char *table = strstr(result.err.data, "OUTCOME");
    assert_non_null(table);
    assert_string_equal(table, "OUTCOME   REASON             RECIPIENTS\n"
                               "bounce    HARD                        2\n"
                               "delivery  -                           1\n"
                               "skipped   delayed                     1\n"
                               "skipped   other_event                 1\n"
                               "rejected  malformed                   1\n"
                               "rejected  invalid_recipient           1\n"
                               "all       -                           7\n"
                               "7 items of 1 files");
    result_deinit(&result);
}

static void rules_may_be_others(void **unused)
{
    (void)unused;
    char value[256];
    write_file("rules.yaml",
               STR("- id: mine\n  text: user unknown\n  class: SOFT\n  reason: moved\n"
                   "  positive:\n    - text: 550 user unknown\n  negative:\n    - "
                   "text: 550 other\n"));
    struct result result = run_command(
        (struct command){ARGS("--from", "sendgrid", "-o", "jsonl", "--rules", "rules.yaml"),
                         .input = STR(BOUNCE("a@example.org"))});
    assert_int_equal(result.code, EXIT_CODE_OK);
    assert_string_equal(member_of(result.out.data, "a@example.org", "rule", value), "mine");
    result_deinit(&result);
}

static void delayed_recipients_of_mails_are_shown(void **unused)
{
    (void)unused;
    char value[256];
    struct result result = run_command((struct command){
        ARGS("--from", "dsn", "-o", "jsonl"),
        .input =
            STR("From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; boundary=b\n\n"
                "--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "
                "a@example.org\nAction: delayed\nStatus: 4.4.1\n\n--b--\n")});
    assert_int_equal(result.code, EXIT_CODE_OK);
    assert_string_equal(member_of(result.out.data, "a@example.org", "event_type", value),
                        "delayed");
    assert_string_equal(member_of(result.out.data, "a@example.org", "status", value), "4.4.1");
    assert_string_equal(member_of(result.out.data, "a@example.org", "class", value), "-");
    result_deinit(&result);
}

/* --- sources --- */

static void folders_maildirs_and_mboxes_are_read(void **unused)
{
    (void)unused;
    char value[256];
    mkdir("maildir", 0700);
    mkdir("maildir/new", 0700);
    mkdir("maildir/cur", 0700);
    mkdir("maildir/tmp", 0700);
    write_file("maildir/new/1.x", STR(MAIL("new@example.org")));
    write_file("maildir/cur/2.x:2,S", STR(MAIL("cur@example.org")));
    write_file("maildir/tmp/3.x", STR(MAIL("tmp@example.org")));
    mkdir("folder", 0700);
    mkdir("folder/sub", 0700);
    write_file("folder/1.eml", STR(MAIL("one@example.org")));
    write_file("folder/.hidden", STR(MAIL("hidden@example.org")));
    write_file("box",
               STR("From x Thu Apr 29 23:34:45 2015\n" MAIL(
                   "box1@example.org") "\nFrom x "
                                       "Thu Apr 29 23:34:45 2015\n" MAIL("box2@example.org")));
    struct result result = run_command(
        (struct command){ARGS("--from", "dsn", "-o", "jsonl", "maildir", "folder", "box", "-"),
                         .input = STR(MAIL("stdin@example.org"))});
    assert_int_equal(result.code, EXIT_CODE_OK);
    static const char *const expected[][2] = {
        {"new@example.org", "maildir/new/1.x"},
        {"cur@example.org", "maildir/cur/2.x:2,S"},
        {"tmp@example.org", "-"},
        {"one@example.org", "folder/1.eml"},
        {"hidden@example.org", "-"},
        {"box1@example.org", "box"},
        {"box2@example.org", "box"},
        {"stdin@example.org", "stdin"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_string_equal(member_of(result.out.data, expected[i][0], "file", value),
                            expected[i][1]);
    assert_contains(result.err.data, "folder/sub: a folder within a folder is not read");
    assert_contains(result.err.data, "6 items of 5 files");
    result_deinit(&result);
}

static void a_file_that_cannot_be_read_does_not_stop_the_others(void **unused)
{
    (void)unused;
    char value[256];
    write_file("there", STR(BOUNCE("a@example.org")));
    struct result result = run_command(
        (struct command){ARGS("--from", "sendgrid", "-o", "jsonl", "missing", "there")});
    assert_int_equal(result.code, EXIT_CODE_IO);
    assert_contains(result.err.data, "missing: cannot be read");
    assert_string_equal(member_of(result.out.data, "a@example.org", "file", value), "there");
    result_deinit(&result);
}

static void the_time_of_an_event_without_one_is_its_files(void **unused)
{
    (void)unused;
    char value[256];
    struct timespec times[2] = {{1770000000, 0}, {1770000000, 0}};
    write_file("events", STR("{\"event\":\"bounce\",\"email\":\"a@example.org\"}"));
    assert_int_equal(utimensat(AT_FDCWD, "events", times, 0), 0);
    struct result result =
        run_command((struct command){ARGS("--from", "sendgrid", "-o", "jsonl", "events")});
    assert_string_equal(member_of(result.out.data, "a@example.org", "occurred_at", value),
                        "2026-02-02T02:40:00.000Z");
    result_deinit(&result);
}

/* --- rejects --- */

static void the_place_of_what_is_rejected_is_told(void **unused)
{
    (void)unused;
    struct result result = run_command((struct command){ARGS("--from", "sendgrid", "--dry-run"),
                                                        .input = STR("[{},\n {}, {}]\n")});
    assert_int_equal(result.code, EXIT_CODE_DATA);
    assert_contains(
        result.err.data,
        "stdin:1: invalid_field: \"event\" is missing: no event of SendGrid (at octet 1)\n");
    assert_contains(
        result.err.data,
        "stdin:2: invalid_field: \"event\" is missing: no event of SendGrid (at octet 6)\n");
    assert_contains(
        result.err.data,
        "stdin:2: invalid_field: \"event\" is missing: no event of SendGrid (at octet 10)\n");
    result_deinit(&result);
}

static void rejected_values_can_be_read_again(void **unused)
{
    (void)unused;
    struct buf rejects;
    buf_init(&rejects);
    struct result result = run_command((struct command){
        ARGS("--from", "sendgrid", "-o", "jsonl", "--rejects", "bad"),
        .input = STR(
            BOUNCE("a@example.org") "{\"event\":\"bounce\"}\n{\"cut\n" BOUNCE("b@example.org"))});
    assert_int_equal(result.code, EXIT_CODE_DATA);
    read_file("bad", &rejects);
    assert_string_equal(rejects.data, "{\"event\":\"bounce\"}\n{\"cut\n");
    result_deinit(&result);
    result = run_command((struct command){ARGS("--from", "sendgrid", "--dry-run", "bad")});
    assert_contains(result.err.data, "2 items of 1 files");
    result_deinit(&result);
    buf_deinit(&rejects);
}

static void rejected_mails_go_into_an_mbox(void **unused)
{
    (void)unused;
    static const char bad[] =
        "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail\n\nFrom now "
        "on it is lost\n";
    struct buf rejects;
    buf_init(&rejects);
    mkdir("mails", 0700);
    write_file("mails/1", STR(bad));
    write_file("mails/2", STR(MAIL("a@example.org")));
    write_file("mails/3", STR(bad));
    struct result result = run_command(
        (struct command){ARGS("--from", "dsn", "-o", "jsonl", "--rejects", "bad.mbox", "mails")});
    assert_int_equal(result.code, EXIT_CODE_DATA);
    assert_contains(result.err.data, "mails/1:1: invalid_field: reports a failure, but");
    result_deinit(&result);
    read_file("bad.mbox", &rejects);
    assert_contains(rejects.data, "\n>From now on it is lost\n");
    result = run_command((struct command){ARGS("--from", "dsn", "--dry-run", "bad.mbox")});
    assert_contains(result.err.data, "2 items of 1 files");
    assert_contains(result.err.data, "bad.mbox:");
    result_deinit(&result);
    buf_deinit(&rejects);
}

static void what_cannot_be_written_is_an_error(void **unused)
{
    (void)unused;
    struct result result = run_command(
        (struct command){ARGS("--from", "sendgrid", "-o", "jsonl", "--rejects", "no/such/folder"),
                         .input = STR(BOUNCE("a@example.org"))});
    assert_int_equal(result.code, EXIT_CODE_IO);
    assert_contains(result.err.data, "--rejects no/such/folder: cannot be written");
    result_deinit(&result);
}

/* --- an Avro file, read by avro-c --- */

static void an_avro_file_holds_both_records(void **unused)
{
    (void)unused;
    avro_file_reader_t reader;
    avro_value_t value, branch, field;
    const char *text;
    size_t size;
    int discriminant;
    struct result result = run_command(
        (struct command){ARGS("--from", "sendgrid", "-o", "avro"),
                         .input = STR(BOUNCE("a@example.org") DELIVERED("b@example.org"))});
    assert_int_equal(result.code, EXIT_CODE_OK);
    result_deinit(&result);
    assert_int_equal(avro_file_reader("stdout", &reader), 0);
    avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(avro_file_reader_read_value(reader, &value), 0);
        assert_int_equal(avro_value_get_discriminant(&value, &discriminant), 0);
        assert_int_equal(discriminant, i);
        assert_int_equal(avro_value_get_current_branch(&value, &branch), 0);
        assert_int_equal(avro_value_get_by_name(&branch, "recipient", &field, NULL), 0);
        assert_int_equal(avro_value_get_string(&field, &text, &size), 0);
        assert_string_equal(text, i ? "b@example.org" : "a@example.org");
    }
    assert_int_not_equal(avro_file_reader_read_value(reader, &value), 0);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    avro_file_reader_close(reader);
}

/* --- usage --- */

static void bad_arguments_are_usage_errors(void **unused)
{
    (void)unused;
    assert_usage((struct command){ARGS("-o", "jsonl")},
                 "--from is missing: dsn, kumomta, ses, sendgrid, postmark, mailgun or sisimai");
    assert_usage((struct command){ARGS("--from", "fax")},
                 "--from takes dsn, kumomta, ses, sendgrid, postmark, mailgun or sisimai, not "
                 "\"fax\"");
    assert_usage((struct command){ARGS("--from", "dsn", "-o", "table")},
                 "-o takes jsonl or avro, not \"table\"");
    assert_usage((struct command){ARGS("--from", "dsn", "--tenant", "Big Shop")},
                 "--tenant takes up to 64 of a-z, 0-9, '.', '_' and '-', not \"Big Shop\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_lines_show_each_recipient_with_its_verdict, enter_dir,
                                        leave_dir),
        cmocka_unit_test_setup_teardown(all_that_was_read_is_accounted_for, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(rules_may_be_others, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(delayed_recipients_of_mails_are_shown, enter_dir,
                                        leave_dir),
        cmocka_unit_test_setup_teardown(folders_maildirs_and_mboxes_are_read, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_does_not_stop_the_others,
                                        enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(the_time_of_an_event_without_one_is_its_files, enter_dir,
                                        leave_dir),
        cmocka_unit_test_setup_teardown(the_place_of_what_is_rejected_is_told, enter_dir,
                                        leave_dir),
        cmocka_unit_test_setup_teardown(rejected_values_can_be_read_again, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(rejected_mails_go_into_an_mbox, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_an_error, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(an_avro_file_holds_both_records, enter_dir, leave_dir),
        cmocka_unit_test_setup_teardown(bad_arguments_are_usage_errors, enter_dir, leave_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
