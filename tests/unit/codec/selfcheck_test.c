#include "codec_support.h"

#include "codec/selfcheck.h"

static void what_we_write_is_what_avro_c_writes(void **state)
{
    struct fixture *f = *state;
    assert_code(OK, codec_selfcheck(f->codec, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {codec_test(what_we_write_is_what_avro_c_writes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
