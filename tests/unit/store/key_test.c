#include "store_support.h"

#include "store/key.h"

static struct identity who(const char *tenant, const char *recipient)
{
    return (struct identity){str_of(tenant), str_of(recipient)};
}

static void key_is_tenant_domain_local(void **state)
{
    (void)state;
    char key[STORE_KEY_MAX];
    size_t len = store_key_encode(who("acme", "anna@example.org"), key);
    assert_int_equal(len, 4 + 1 + 11 + 1 + 4);
    assert_memory_equal(key, "acme\0example.org\0anna", len);
}

static void keys_decode_to_what_was_encoded(void **state)
{
    (void)state;
    static const char *const recipients[] = {"a@b", "anna@example.org", "\"a@b\"@example.org",
                                             "grüße@xn--bcher-kva.example"};
    static const char *const tenants[] = {"", "t", "a.b-c_d"};
    for (size_t r = 0; r < 4; r++) {
        for (size_t t = 0; t < 3; t++) {
            char key[STORE_KEY_MAX], recipient[RECIPIENT_MAX];
            struct identity found;
            size_t len = store_key_encode(who(tenants[t], recipients[r]), key);
            assert_true(len > 0);
            assert_true(store_key_decode((struct str){key, len}, recipient, &found));
            assert_true(str_equal(found.tenant, str_of(tenants[t])));
            assert_true(str_equal(found.recipient, str_of(recipients[r])));
        }
    }
}

static void longest_identity_fits(void **state)
{
    (void)state;
    char tenant[TENANT_MAX + 2], text[RECIPIENT_MAX + 3], key[STORE_KEY_MAX];
    memset(tenant, 't', sizeof(tenant));
    memset(text, 'x', sizeof(text));
    text[LOCAL_PART_MAX] = '@';
    struct identity longest = {{tenant, TENANT_MAX}, {text, RECIPIENT_MAX}};
    assert_int_equal(store_key_encode(longest, key), STORE_KEY_MAX);
    assert_true(STORE_KEY_MAX <= 511); /* LMDB's limit, as Debian builds it */
    longest.tenant.len++;
    assert_int_equal(store_key_encode(longest, key), 0);
    longest.tenant.len--;
    longest.recipient.len++;
    assert_int_equal(store_key_encode(longest, key), 0);
}

static void what_is_not_canonical_has_no_key(void **state)
{
    (void)state;
    char key[STORE_KEY_MAX];
    assert_int_equal(store_key_encode(who("", "no-at-sign"), key), 0);
    assert_int_equal(store_key_encode(who("", ""), key), 0);
    assert_int_equal(store_key_encode((struct identity){STR(""), STR("a\0b@example.org")}, key), 0);
    assert_int_equal(store_key_encode((struct identity){STR("t\0u"), STR("a@b")}, key), 0);
}

static void other_octets_are_no_key(void **state)
{
    (void)state;
    char recipient[RECIPIENT_MAX];
    struct identity found;
    assert_false(store_key_decode(STR(""), recipient, &found));
    assert_false(store_key_decode(STR("tenant"), recipient, &found));
    assert_false(store_key_decode(STR("tenant\0domain"), recipient, &found));
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void comparison_is_the_order_of_keys(void **state)
{
    (void)state;
    static const char *const recipients[] = {"a@b",     "b@a",         "a@b.c",   "aa@b",
                                             "a@b-c",   "\"x@y\"@b.c", "a@",      "é@b",
                                             "zz@a.zz", "a@bb",        "a@b.c.d", "a0@b.c"};
    static const char *const tenants[] = {"", "a", "a.b", "b"};
    enum { R = 12, T = 4 };
    for (size_t i = 0; i < R * T; i++) {
        for (size_t j = 0; j < R * T; j++) {
            struct identity a = who(tenants[i % T], recipients[i / T]);
            struct identity b = who(tenants[j % T], recipients[j / T]);
            char key_a[STORE_KEY_MAX], key_b[STORE_KEY_MAX];
            struct str octets_a = {key_a, store_key_encode(a, key_a)};
            struct str octets_b = {key_b, store_key_encode(b, key_b)};
            assert_int_equal(sign(store_key_compare(a, b)), sign(str_compare(octets_a, octets_b)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_is_tenant_domain_local),
        cmocka_unit_test(keys_decode_to_what_was_encoded),
        cmocka_unit_test(longest_identity_fits),
        cmocka_unit_test(what_is_not_canonical_has_no_key),
        cmocka_unit_test(other_octets_are_no_key),
        cmocka_unit_test(comparison_is_the_order_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
