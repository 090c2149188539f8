/* Canonical recipients, tenants and keys (semantics §2) beyond the reference values. */
#include "world.h"

#include "domain/address.h"

static void assert_canonical(struct str text, const char *expected)
{
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    enum rcode rc = address_canonical(text, false, canonical, &len, &err);
    if (rc != OK)
        fail_msg("%.*s: %s", STR_ARG(text), err.text);
    assert_str((struct str){canonical, len}, expected);
    assert_int_equal(strlen(canonical), len);
}

static void assert_rejected(struct str text, const char *reason)
{
    char canonical[RECIPIENT_MAX + 1] = "untouched";
    size_t len = 4711;
    struct err err;
    if (address_canonical(text, false, canonical, &len, &err) == OK)
        fail_msg("%.*s is accepted", STR_ARG(text));
    assert_int_equal(err.code, E_INVALID_RECIPIENT);
    if (strcmp(err.text, reason) != 0)
        fail_msg("%.*s: %s, not %s", STR_ARG(text), err.text, reason);
    assert_string_equal(canonical, "untouched");
    assert_int_equal(len, 4711);
}

static void accepted_forms(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"ada@example.com", "ada@example.com"},
        {"\t ADA@EXAMPLE.COM \t", "ada@example.com"},
        {"<Ada@Example.Com>", "ada@example.com"},
        {"..a..@x", "..a..@x"},
        {"a+b!#$%&'*/=?^_`{|}~-@x.y", "a+b!#$%&'*/=?^_`{|}~-@x.y"},
        {"\"\"@x.y", "\"\"@x.y"},
        {"\"A@b\"@x.y", "\"a@b\"@x.y"},
        {"\"a\\\"b\\\\c\"@x.y", "\"a\\\"b\\\\c\"@x.y"},
        {"a@0-9.a--b.c", "a@0-9.a--b.c"},
        {"a@_dmarc.x_", "a@_dmarc.x_"},
        {"ÀÉ@x.y", "ÀÉ@x.y"}, /* only A-Z are lower-cased */
        {"a@BÜCHER.example", "a@xn--bcher-kva.example"},
        {"a@bu\xcc\x88"
         "cher.example",
         "a@xn--bcher-kva.example"},                /* NFC */
        {"a@example。com", "a@example.com"},        /* U+3002 */
        {"a@ｅｘａｍｐｌｅ．com", "a@example.com"}, /* full width */
        {"a@faß.example", "a@xn--fa-hia.example"},  /* non-transitional */
        {"a@XN--FA-HIA.example", "a@xn--fa-hia.example"},
        {"a@r3---x.bücher.example", "a@r3---x.xn--bcher-kva.example"},
        {"a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_canonical(str_of(cases[i].text), cases[i].canonical);
}

static void rejected_forms(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "no local part or no domain"},
        {"@", "no local part or no domain"},
        {" <> ", "no local part or no domain"},
        {"a\x7f@x.y", "blank or control character"},
        {"a\r\n@x.y", "blank or control character"},
        {"a\xc2\x85z@x.y", "blank or control character"}, /* a C1 control */
        {"a@x y", "blank or control character"},
        {"<<a@x>>", "special character outside quotes"},
        {"\"a\"b\"@x", "special character outside quotes"},
        {"\"a\\\"@x", "special character outside quotes"},
        {"\"a\\b\"@x", "special character outside quotes"},
        {"\"@x", "special character outside quotes"},
        {"a\"@x", "special character outside quotes"},
        {"a@x..y", "domain label"},
        {"a@.x", "domain label"},
        {"a@x-.y", "domain label"},
        {"a@x/y", "domain label"},
        {"a@bücher.", "domain label"},
        {"a@\xc2\xad.example", "domain label"}, /* maps to nothing */
        {"a@☃.example", "domain label"},        /* UTS 46 would, IDNA 2008 does not */
        {"a@xn--.example", "domain label"},
        {"a@xn--a.example", "domain label"},
        {"a@xn--abc-.example", "domain label"},
        {"a@xn--99999999999.example", "domain label"},
        {"a@xn--BCHER-kvA0.example", "domain label"},
        {"a@\xd7\x90"
         "1a.example",
         "domain label"}, /* bidirectional rule */
        {"\xff@x.y", "broken UTF-8"},
        {"a@\xc3.y", "broken UTF-8"},
        {"a\xc0\xaf@x.y", "broken UTF-8"},
        {"a\xed\xa0\x80@x.y", "broken UTF-8"},
        {"a\xf5\x80\x80\x80@x.y", "broken UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_rejected(str_of(cases[i].text), cases[i].reason);
    assert_rejected(STR_NULL, "no local part or no domain");
    assert_rejected(STR("a\0b@x.y"), "blank or control character");
}

/* LOCAL_LEN times 'a', '@', labels of 63 octets and one more so that the domain has DOMAIN_LEN. */
static struct str sized(char *buffer, size_t local_len, size_t domain_len)
{
    memset(buffer, 'a', local_len);
    buffer[local_len] = '@';
    for (size_t i = 0; i < domain_len; i++)
        buffer[local_len + 1 + i] = i % 64 == 63 ? '.' : 'b';
    return (struct str){buffer, local_len + 1 + domain_len};
}

static void sizes_are_bounded_to_the_octet(void **unused)
{
    (void)unused;
    char buffer[1024], canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    assert_int_equal(address_canonical(sized(buffer, 64, 255), false, canonical, &len, &err), OK);
    assert_int_equal(len, 320);
    assert_rejected(sized(buffer, 65, 255), "local part above 64 octets");
    sized(buffer, 64, 257);
    assert_rejected((struct str){buffer, 64 + 1 + 257}, "domain above 255 octets");
    memset(buffer, 'b', 70);
    buffer[1] = '@';
    assert_rejected((struct str){buffer, 2 + 64}, "domain label");
    assert_int_equal(address_canonical((struct str){buffer, 2 + 63}, false, canonical, &len, &err),
                     OK);
}

static void the_local_part_can_be_preserved(void **unused)
{
    (void)unused;
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    assert_int_equal(address_canonical(STR("Ada@EXAMPLE.com"), true, canonical, &len, &err), OK);
    assert_string_equal(canonical, "Ada@example.com");
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void the_canonical_form_is_its_own_and_no_octets_crash(void **unused)
{
    (void)unused;
    static const char *const pieces[] = {
        "a",       "B",    "@",         ".",      "-",        "_",
        "xn--",    "XN--", "\"",        "\\",     "<",        ">",
        " ",       "\t",   ":",         "ß",      "é",        "\xcc\x88",
        "。",      "\xff", "\xc3",      "é",      "例",       "א",
        "1",       "☃",    "bcher-kva", "fa-hia", "\xc2\xad", "\xe2\x80\x8d",
        "example", ".com", "@x.y",      "\x01"};
    uint32_t seed = 42;
    int accepted = 0;
    for (int round = 0; round < 200000; round++) {
        char text[512];
        size_t used = 0;
        for (uint32_t n = next_random(&seed) % 9; n; n--) {
            const char *piece = pieces[next_random(&seed) % (sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(text + used, piece, strlen(piece));
            used += strlen(piece);
        }
        char once[RECIPIENT_MAX + 1], twice[RECIPIENT_MAX + 1];
        size_t once_len, twice_len;
        struct err err;
        if (address_canonical((struct str){text, used}, false, once, &once_len, &err) != OK)
            continue;
        accepted++;
        struct str canonical = {once, once_len};
        if (address_canonical(canonical, false, twice, &twice_len, &err) != OK)
            fail_msg("%s is canonical and rejected: %s", once, err.text);
        assert_string_equal(once, twice);
        struct identity who = {STR(""), canonical}, again;
        char key[RECORD_KEY_MAX];
        assert_true(identity_of_key((struct str){key, identity_key(who, key)}, &again));
        assert_true(str_equal(again.recipient, canonical));
        assert_true(
            memchr(recipient_domain(canonical).data, '@', recipient_domain(canonical).len) == NULL);
    }
    assert_true(accepted > 1000);
}

static void tenants_have_their_alphabet(void **unused)
{
    (void)unused;
    char long_tenant[TENANT_MAX + 2];
    memset(long_tenant, 't', sizeof(long_tenant));
    assert_true(tenant_valid(STR("")));
    assert_true(tenant_valid(STR("acme.it_1-x")));
    assert_true(tenant_valid((struct str){long_tenant, TENANT_MAX}));
    assert_false(tenant_valid((struct str){long_tenant, TENANT_MAX + 1}));
    assert_false(tenant_valid(STR("Acme")));
    assert_false(tenant_valid(STR("a:b")));
    assert_false(tenant_valid(STR("é")));
    assert_false(tenant_valid(STR_NULL));
}

static void keys_name_one_recipient(void **unused)
{
    (void)unused;
    struct identity who;
    assert_true(identity_of_key(STR("acme:\"a:b\"@x.y"), &who));
    assert_str(who.tenant, "acme");
    assert_str(who.recipient, "\"a:b\"@x.y");
    assert_true(identity_of_key(STR("\"acme:a\"@x.y"), &who));
    assert_str(who.tenant, "");
    assert_false(identity_of_key(STR(""), &who));
    assert_false(identity_of_key(STR(":a@x"), &who));
    assert_false(identity_of_key(STR("Acme:a@x"), &who));
    assert_false(identity_of_key(STR("a:b:c@x"), &who));
    assert_false(identity_of_key(STR("acme:"), &who));
    assert_false(identity_of_key(STR("acme:@x"), &who));
    assert_false(identity_of_key(STR("acme"), &who));
    assert_false(identity_of_key(STR("a@"), &who));
}

static void the_domain_is_behind_the_last_at(void **unused)
{
    (void)unused;
    assert_str(recipient_domain(STR("\"a@b\"@x.y")), "x.y");
    assert_str(recipient_domain(STR("none")), "");
    assert_str(recipient_domain(STR_NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_forms),
        cmocka_unit_test(rejected_forms),
        cmocka_unit_test(sizes_are_bounded_to_the_octet),
        cmocka_unit_test(the_local_part_can_be_preserved),
        cmocka_unit_test(the_canonical_form_is_its_own_and_no_octets_crash),
        cmocka_unit_test(tenants_have_their_alphabet),
        cmocka_unit_test(keys_name_one_recipient),
        cmocka_unit_test(the_domain_is_behind_the_last_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
