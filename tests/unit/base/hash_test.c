/* Hash functions against published and reference values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"

static void xxh3_is_the_64_bit_form_with_seed_0(void **unused)
{
    (void)unused;
    assert_true(hash_xxh3("", 0) == 0x2d06800538d394c2ULL);
    assert_true(hash_xxh3("e1", 2) == 2269290854245001967ULL);
    assert_true(hash_xxh3("5b3e6f0a-9c1d-5c7e-8f5e-2f6d0c1b7a42", 36) == 12622646906963121233ULL);
}

static void a_record_s_hash_is_that_of_key_and_value_together(void **unused)
{
    (void)unused;
    char text[1000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    for (size_t split = 0; split <= sizeof(text); split += 111)
        assert_true(hash_record((struct str){text, split},
                                (struct str){text + split, sizeof(text) - split}) ==
                    hash_xxh3(text, sizeof(text)));
    assert_true(hash_record(STR("abc"), STR_NULL) == hash_xxh3("abc", 3));
}

/* The vectors of Kafka's own UtilsTest. */
static void murmur2_is_java_s(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true((int32_t)hash_murmur2(cases[i].text, strlen(cases[i].text)) == cases[i].hash);
}

static void partitions_are_never_negative(void **unused)
{
    (void)unused;
    assert_int_equal(hash_partition(STR("ada@example.com"), 12), 5);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "k%d", i);
        assert_in_range(hash_partition((struct str){key, (size_t)len}, 7), 0, 6);
    }
}

static void assert_sha1(const char *text, size_t repeat, const char *expected)
{
    struct sha1 sha1;
    unsigned char digest[SHA1_SIZE];
    char hex[2 * SHA1_SIZE + 1];
    sha1_init(&sha1);
    for (size_t i = 0; i < repeat; i++)
        sha1_update(&sha1, text, strlen(text));
    sha1_final(&sha1, digest);
    for (int i = 0; i < SHA1_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
}

/* FIPS 180-4 examples, RFC 3174 7.3. */
static void sha1_is_that_of_the_standard(void **unused)
{
    (void)unused;
    assert_sha1("", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_sha1("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    assert_sha1("a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    assert_sha1("0123456701234567012345670123456701234567012345670123456701234567", 10,
                "dea356a2cddd90c7a7ecedc5ebb563934f460452");
}

static void sha1_does_not_depend_on_the_pieces(void **unused)
{
    (void)unused;
    char text[200];
    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        unsigned char whole[SHA1_SIZE], pieces[SHA1_SIZE];
        struct sha1 sha1;
        sha1_init(&sha1);
        sha1_update(&sha1, text, len);
        sha1_final(&sha1, whole);
        sha1_init(&sha1);
        for (size_t at = 0, step = 1; at < len; at += step, step = step % 70 + 3)
            sha1_update(&sha1, text + at, len - at < step ? len - at : step);
        sha1_final(&sha1, pieces);
        assert_memory_equal(whole, pieces, SHA1_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh3_is_the_64_bit_form_with_seed_0),
        cmocka_unit_test(a_record_s_hash_is_that_of_key_and_value_together),
        cmocka_unit_test(murmur2_is_java_s),
        cmocka_unit_test(partitions_are_never_negative),
        cmocka_unit_test(sha1_is_that_of_the_standard),
        cmocka_unit_test(sha1_does_not_depend_on_the_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
