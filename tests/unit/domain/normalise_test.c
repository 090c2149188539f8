/* The text that rules are matched against (semantics §3): joined, folded, without what varies. */
#include "world.h"

#include "domain/encoded.h"
#include "domain/letters.h"
#include "domain/normalise.h"

static void assert_normalised_octets(struct str text, const char *expected)
{
    static char scratch[RAW_MAX], normalised[NORMALISED_MAX];
    size_t len = reply_normalise(reply_text(text, scratch), normalised);
    if (!str_equal((struct str){normalised, len}, str_of(expected)))
        fail_msg("\"%.*s\" became \"%.*s\", not \"%s\"", STR_ARG(text), (int)len, normalised,
                 expected);
}

static void assert_normalised(const char *text, const char *expected)
{
    assert_normalised_octets(str_of(text), expected);
}

static void lines_are_joined_and_their_repeated_prefixes_removed(void **unused)
{
    (void)unused;
    assert_normalised("550-5.2.1 The account\r\n550-5.2.1 is Disabled.\r\n550 5.2.1  See x",
                      "550-5.2.1 the account is disabled. see x");
    assert_normalised("550-5.2.1 mail at a rate that 550-5.2.1 prevents more 550 5.2.1 x",
                      "550-5.2.1 mail at a rate that prevents more x");
    assert_normalised("450-one\n450-two\n450 three", "450-one two three");
    assert_normalised("450 one 450 two", "450 one 450 two");
    assert_normalised("450 one\n451 two", "450 one 451 two");
    assert_normalised("550 5.1.1 a\n550 5.1.1", "550 5.1.1 a");
    assert_normalised("550 a\n550", "550 a");
    assert_normalised("5.1.1 The account\n5.1.1 does not exist",
                      "5.1.1 the account does not exist");
    assert_normalised(" 550\t A  B \x01 C ", "550 a b c");
    assert_normalised("", "");
}

static void what_others_put_in_front_is_not_the_reply(void **unused)
{
    (void)unused;
    assert_normalised("SMTP;  550 A", "550 a");
    assert_normalised("X-Postfix; host a.b[192.0.2.1] said: 554 5.6.0 Spam", "554 5.6.0 spam");
    assert_normalised("SMTP error from remote mail server after RCPT TO:<a@b.example>:\n"
                      "    host mx.b.example [192.0.2.1]: 550 no such user",
                      "550 no such user");
    assert_normalised(
        "192.0.2.1 does not like recipient.\nRemote host said: 550 unknown\nGiving up",
        "550 unknown giving up");
    assert_normalised("5.1.0 - Unknown address error 550-'5.7.1 Access denied' (attempts: 0)",
                      "550-'5.7.1 access denied' (attempts: 0)");
    assert_normalised("550 5.0.350 Remote server returned an error -> 550 5.7.1 Spam",
                      "550 5.7.1 spam");
    assert_normalised("SMTP error for TEXT command, host: mx (192.0.2.1) reason: 550 5.2.0 No",
                      "550 5.2.0 no");
    assert_normalised("while talking to mx:\n>>> DATA\n<<< 554 Relay denied", "554 relay denied");
    assert_normalised("mx did not like our RCPT TO:\n5.2.2 Mailbox full", "5.2.2 mailbox full");
    /* None of these introduces anything. */
    assert_normalised("Message limit: 500 KB", "message limit: 500 kb");
    assert_normalised("Waited: 450 seconds", "waited: 450 seconds");
    assert_normalised("550 a: 551 b", "550 a: 551 b");
    assert_normalised("mail.local: unknown user: x\n554 x", "mail.local: unknown user: x 554 x");
}

static void letters_lose_their_case_and_their_accents(void **unused)
{
    (void)unused;
    assert_normalised("n\xe2\x80\x99"
                      "existe\xc2\xa0pas \xc3\x89",
                      "n'existe pas e");
    assert_normalised("Gr\xc3\xb6\xc3\x9f"
                      "e \xc5\x92uvre \xc3\x86 \xc5\x81\xc3\xb3\xc5\xba",
                      "grosse oeuvre ae loz");
    assert_normalised("caf\x65\xcc\x81 \xe2\x80\x9cx\xe2\x80\x9d \xe2\x80\x94 \xe2\x80\xa6",
                      "cafe \"x\" - ...");
    assert_normalised("\xef\xbc\xa8\xef\xbd\x89 \xe2\x84\xaa \xc5\xbf", "hi k s"); /* fullwidth */
    /* Other scripts stay. */
    assert_normalised("\xd0\x9d\xd0\xb5\xd1\x82 \xe9\x82\xae",
                      "\xd0\x9d\xd0\xb5\xd1\x82 \xe9\x82\xae");
}

static void broken_encodings_are_read_as_what_they_were(void **unused)
{
    (void)unused;
    /* Latin-1 and Windows-1252 octets */
    assert_normalised("d\xe9sactiv\xe9 n\x92"
                      "existe",
                      "desactive n'existe");
    /* UTF-8 that was taken for Latin-1 and encoded again */
    assert_normalised("d\xc3\x83\xc2\xa9sactiv\xc3\x83\xc2\xa9\xc3\x82\xc2\xa0!", "desactive !");
    /* what a gateway could not read */
    assert_normalised("bo\xef\xbf\xbdte d?sactiv", "bo?te d?sactiv");
    assert_normalised("\xf0\x9f\xff", "dyy");
    assert_normalised("x\xc3", "xa");
}

static void quoted_printable_leftovers_are_undone(void **unused)
{
    (void)unused;
    assert_normalised("bo=EEte d=C3=A9sactiv=E9e", "boite desactivee");
    assert_normalised("the mail=\r\nbox is dis=\nabled=20\nnow", "the mailbox is disabled now");
    assert_normalised("see http://x.example/?p=3DRate&q=E9", "see http://x.example/?p=rate&q=e9");
    assert_normalised("code=200 a=b == =", "code=0 a=b == =");
    assert_normalised("=", "=");
    assert_normalised("=E", "=e");
}

static void encoded_words_are_undone(void **unused)
{
    (void)unused;
    assert_normalised("550 =?iso-8859-1?Q?bo=EEte_pleine?=", "550 boite pleine");
    assert_normalised("550 =?UTF-8?B?Ym/DrnRl?= =?utf-8?q?_pleine?= .", "550 boite pleine .");
    assert_normalised("=?iso-2022-jp?B?GyRC?= x", "=?iso-0-jp?b?gyrc?= x");
    assert_normalised("=?utf-8?Q?open", "=?utf-0?q?open");
    assert_normalised("=?utf-8?X?abc?=", "=?utf-0?x?abc?=");
}

static void what_names_one_recipient_or_message_is_replaced(void **unused)
{
    (void)unused;
    assert_normalised("550 5.1.1 <Ada.L+x@Example.com>: unknown", "550 5.1.1 <@>: unknown");
    assert_normalised("ada@example.com... User unknown", "@... user unknown");
    assert_normalised("client [192.0.2.1] and 2001:db8::a1:2", "client [0] and 0");
    assert_normalised("mx.example.com[192.0.2.1]:25: lost", "~[0]:0: lost");
    assert_normalised("host example.org said, xn--p1ai.xn--p1ai", "host ~ said, ~");
    assert_normalised("2024-05-01T10:00:00.501Z 08DC6A3E at 12:34:56", "0 0 at 0");
    assert_normalised("try again in 293 seconds, 7 of 10", "try again in 0 seconds, 0 of 0");
    assert_normalised("id 1rAbCd-0003Xy-2f, a1si234567wrb.12 - gsmtp", "id 0, 0 - gsmtp");
    assert_normalised("AS(201806281) (S2017062302)", "as(0) (0)");
}

static void what_tells_one_kind_of_reply_from_another_stays(void **unused)
{
    (void)unused;
    assert_normalised("554 30 Sorry (554.30)", "554 30 sorry (554.30)");
    assert_normalised("421 [TSS04] S3150 OFR_506 LPN007_416 SC-001",
                      "421 [tss04] s3150 ofr_506 lpn007_416 sc-0");
    assert_normalised("550-5.7.606 x (#5.1.1) 4.94.2", "550-5.7.606 x (#5.1.1) 0");
    assert_normalised("see https://www.spamhaus.org/query/ip/192.0.2.1.",
                      "see https://www.spamhaus.org/query/ip/0.");
    assert_normalised("https://support.google.com/mail/?p=NoSuchUser d9443c01a7336-1fe8a1si12a.1",
                      "https://support.google.com/mail/?p=nosuchuser 0");
    assert_normalised("x-Unix ; 550 A", "550 a");
    assert_normalised("550 Not a valid sender; no user", "550 not a valid sender; no user");
    assert_normalised("Rejected; see there", "rejected; see there");
    assert_normalised("RESOLVER.ADR.RecipNotFound; not", "resolver.adr.recipnotfound; not");
    assert_normalised("User unknown.Please see www.example.com",
                      "user unknown.please see www.example.com");
    assert_normalised("@ a@ @b e.g. x.y", "@ a@ @b e.g. x.y");
}

static void long_texts_are_cut_between_code_points(void **unused)
{
    (void)unused;
    static char text[RAW_MAX], scratch[RAW_MAX], normalised[NORMALISED_MAX];
    for (size_t i = 0; i + 2 <= sizeof(text); i += 2)
        memcpy(text + i, "\xd0\xb6", 2);
    struct str odd = {text + 1, sizeof(text) - 1};
    size_t len = reply_normalise(reply_text(odd, scratch), normalised);
    assert_in_range(len, NORMALISED_MAX - 4, NORMALISED_MAX);
    assert_int_equal(normalised[len - 1] & 0xc0, 0x80);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 3000 == 10 ? ' ' : 'X';
    len = reply_normalise(reply_text((struct str){text, sizeof(text)}, scratch), normalised);
    assert_in_range(len, NORMALISED_MAX - 4, NORMALISED_MAX);
    assert_int_equal(normalised[len - 1], 'x');
}

/* The form of every code point is valid, no longer than it was, and its own form. */
static void every_letter_has_a_form_that_stays(void **unused)
{
    (void)unused;
    for (uint32_t point = 0; point < 0x11000; point++) {
        char octets[4] = {0};
        size_t len = 0;
        if (point < 0x80)
            octets[len++] = (char)point;
        else if (point < 0x800)
            octets[len++] = (char)(0xc0 | point >> 6);
        else if (point < 0x10000)
            octets[len++] = (char)(0xe0 | point >> 12);
        else
            octets[len++] = (char)(0xf0 | point >> 18);
        for (int shift = point < 0x80      ? -6
                         : point < 0x800   ? 0
                         : point < 0x10000 ? 6
                                           : 12;
             shift >= 0; shift -= 6)
            octets[len++] = (char)(0x80 | (point >> shift & 0x3f));
        if (point >= 0xd800 && point < 0xe000)
            continue;
        struct letter letter = letter_fold((struct str){octets, len}, 0);
        assert_int_equal(letter.used, len);
        assert_in_range(letter.len, 0, 4);
        for (size_t i = 0; i < letter.len;) {
            struct letter again = letter_fold((struct str){letter.octets, letter.len}, i);
            assert_memory_equal(again.octets, letter.octets + i, again.len);
            assert_int_equal(again.len, again.used);
            i += again.used;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_joined_and_their_repeated_prefixes_removed),
        cmocka_unit_test(what_others_put_in_front_is_not_the_reply),
        cmocka_unit_test(letters_lose_their_case_and_their_accents),
        cmocka_unit_test(broken_encodings_are_read_as_what_they_were),
        cmocka_unit_test(quoted_printable_leftovers_are_undone),
        cmocka_unit_test(encoded_words_are_undone),
        cmocka_unit_test(what_names_one_recipient_or_message_is_replaced),
        cmocka_unit_test(what_tells_one_kind_of_reply_from_another_stays),
        cmocka_unit_test(long_texts_are_cut_between_code_points),
        cmocka_unit_test(every_letter_has_a_form_that_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
