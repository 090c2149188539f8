/* Rows as table, JSON, JSON lines, TSV and CSV. */
#include "command.h"

static const char *const columns[] = {"name", "count", "is_new"};

static void assert_output(enum output_format format, struct cell (*rows)[3], int row_count,
                          const char *expected)
{
    char *text = NULL;
    size_t len;
    FILE *stream = open_memstream(&text, &len);
    struct output output;
    assert_non_null(stream);
    output_begin(&output, format, stream, columns, 3);
    for (int i = 0; i < row_count; i++)
        output_row(&output, rows[i]);
    output_end(&output);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static void rows_look_as_their_format_wants(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {
        {cell_text(STR("a")), cell_number(7), cell_bool(true)},
        {cell_text(STR_NULL), cell_number(-1234567890123), cell_bool(false)},
        {cell_text(STR("caf\xc3\xa9")), {.kind = CELL_NULL}, {.kind = CELL_NULL}},
    };
    assert_output(OUTPUT_TABLE, rows, 3,
                  "NAME           COUNT  IS_NEW\n"
                  "a                  7  true\n"
                  "-     -1234567890123  false\n"
                  "caf\xc3\xa9               -  -\n");
    assert_output(OUTPUT_TSV, rows, 3,
                  "name\tcount\tis_new\n"
                  "a\t7\ttrue\n"
                  "\t-1234567890123\tfalse\n"
                  "caf\xc3\xa9\t\t\n");
    assert_output(OUTPUT_JSONL, rows, 2,
                  "{\"name\":\"a\",\"count\":7,\"is_new\":true}\n"
                  "{\"name\":null,\"count\":-1234567890123,\"is_new\":false}\n");
    assert_output(OUTPUT_JSON, rows, 2,
                  "[\n"
                  "  {\"name\":\"a\",\"count\":7,\"is_new\":true},\n"
                  "  {\"name\":null,\"count\":-1234567890123,\"is_new\":false}\n"
                  "]\n");
}

static void csv_quotes_what_it_must_and_nothing_else(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {
        {cell_text(STR("a,b")), cell_number(-7), cell_bool(true)},
        {cell_text(STR("say \"no\"\n")), {.kind = CELL_NULL}, cell_bool(false)},
        {cell_text(STR("a b\tc")), cell_milli(1500), {.kind = CELL_NULL}},
    };
    assert_output(OUTPUT_CSV, rows, 3,
                  "name,count,is_new\r\n"
                  "\"a,b\",-7,true\r\n"
                  "\"say \"\"no\"\"\n\",,false\r\n"
                  "a b\tc,1.500,\r\n");
}

static void thousandths_have_three_decimals_and_stand_as_numbers(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {
        {cell_milli(0), cell_milli(1234567890123), cell_milli(5)},
        {cell_milli(1050), {.kind = CELL_NULL}, cell_milli(999)},
    };
    assert_output(OUTPUT_TABLE, rows, 2,
                  " NAME           COUNT  IS_NEW\n"
                  "0.000  1234567890.123   0.005\n"
                  "1.050               -   0.999\n");
    assert_output(OUTPUT_JSONL, rows, 1,
                  "{\"name\":0.000,\"count\":1234567890.123,\"is_new\":0.005}\n");
}

static void no_rows_are_a_header_or_an_empty_array(void **unused)
{
    (void)unused;
    assert_output(OUTPUT_TABLE, NULL, 0, "NAME  COUNT  IS_NEW\n");
    assert_output(OUTPUT_TSV, NULL, 0, "name\tcount\tis_new\n");
    assert_output(OUTPUT_JSONL, NULL, 0, "");
    assert_output(OUTPUT_JSON, NULL, 0, "[]\n");
}

static void hostile_octets_break_no_format(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {{cell_text(STR("a\tb\nc\rd\\e\"\x1b[2J\xff\xc2\x9b")), cell_number(1),
                              cell_text(STR("\0"))}};
    assert_output(OUTPUT_TABLE, rows, 1,
                  "NAME                         COUNT  IS_NEW\n"
                  "a\\tb\\nc\\x0dd\\e\"\\x1b[2J\xef\xbf\xbd\\x9b      1  \\x00\n");
    assert_output(OUTPUT_JSONL, rows, 1,
                  "{\"name\":\"a\\tb\\nc\\rd\\\\e\\\"\\u001b[2J\xef\xbf\xbd\xc2\x9b\",\"count\":1,"
                  "\"is_new\":\"\\u0000\"}\n");
}

static void a_tsv_cell_is_one_cell_whatever_it_holds(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {{cell_text(STR("a\tb\nc\rd\\e\xff")), cell_number(1), cell_bool(1)}};
    assert_output(OUTPUT_TSV, rows, 1, "name\tcount\tis_new\na\\tb\\nc\\rd\\\\e\xff\t1\ttrue\n");
}

static void a_csv_cell_is_quoted_when_it_must_be(void **unused)
{
    (void)unused;
    struct cell rows[][3] = {
        {cell_text(STR("a,b")), cell_number(1), cell_text(STR("say \"no\""))},
        {cell_text(STR("two\r\nlines")), cell_milli(1500), cell_text(STR(""))},
        {cell_text(STR_NULL), cell_number(-3), cell_bool(false)},
    };
    assert_output(OUTPUT_CSV, rows, 3,
                  "name,count,is_new\r\n"
                  "\"a,b\",1,\"say \"\"no\"\"\"\r\n"
                  "\"two\r\nlines\",1.500,\"\"\r\n"
                  ",-3,false\r\n");
}

/* As many rows as no piece holds; the one before the last is wider than all before. */
static void a_table_of_any_length_goes_out_in_pieces_under_one_header(void **unused)
{
    (void)unused;
    enum { COUNT = 200000 };
    struct output output;
    char *text = NULL;
    size_t len, held_max = 0, lines = 0;
    FILE *stream = open_memstream(&text, &len);
    output_begin(&output, OUTPUT_TABLE, stream, columns, 3);
    for (int i = 0; i < COUNT; i++) {
        struct cell row[3] = {cell_text(i == COUNT - 2 ? STR("the longest of all") : STR("name")),
                              cell_number(i), cell_bool(true)};
        output_row(&output, row);
        held_max = output.cells.len > held_max ? output.cells.len : held_max;
    }
    output_end(&output);
    fclose(stream);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, COUNT + 1);
    assert_true(held_max < 2 << 20);
    assert_memory_equal(text, "NAME  COUNT  IS_NEW\nname      0  true\n", 38);
    assert_non_null(
        strstr(text, "\nthe longest of all  199998  true\nname                199999  true\n"));
    free(text);
}

static void a_long_table_keeps_its_widths(void **unused)
{
    (void)unused;
    struct buf expected = {0};
    struct cell(*rows)[3] = mem_alloc(5000 * sizeof(*rows));
    buf_str(&expected, STR("NAME                  COUNT  IS_NEW\n"));
    for (int i = 0; i < 5000; i++) {
        rows[i][0] = cell_text(i == 4999 ? STR("the longest of all.") : STR("short"));
        rows[i][1] = cell_number(i);
        rows[i][2] = cell_bool(true);
        buf_printf(&expected, "%-20s  %5d  true\n", i == 4999 ? "the longest of all." : "short", i);
    }
    rows[0][0] = cell_text(STR("twenty characters..."));
    memcpy(expected.data + strlen("NAME                  COUNT  IS_NEW\n"), "twenty characters...",
           20);
    buf_append(&expected, "", 1);
    assert_output(OUTPUT_TABLE, rows, 5000, expected.data);
    mem_free(rows);
    buf_deinit(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_look_as_their_format_wants),
        cmocka_unit_test(csv_quotes_what_it_must_and_nothing_else),
        cmocka_unit_test(thousandths_have_three_decimals_and_stand_as_numbers),
        cmocka_unit_test(no_rows_are_a_header_or_an_empty_array),
        cmocka_unit_test(hostile_octets_break_no_format),
        cmocka_unit_test(a_tsv_cell_is_one_cell_whatever_it_holds),
        cmocka_unit_test(a_csv_cell_is_quoted_when_it_must_be),
        cmocka_unit_test(a_long_table_keeps_its_widths),
        cmocka_unit_test(a_table_of_any_length_goes_out_in_pieces_under_one_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
