/* Files that something else has changed: octets, length, content. */
#include "store_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATTERN "a value that can be found in the file"

static void data_path(const struct fixture *f, char path[512])
{
    path_in(f, "data.mdb", path, 512);
}

/* Changes `from` to `to` wherever the octets before and after it, `len` in all, are in the file. */
static size_t change_octets(const struct fixture *f, const char *from, const char *to, size_t len)
{
    char path[512];
    struct stat status;
    size_t changed = 0;
    data_path(f, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    size_t size = (size_t)status.st_size;
    char *octets = mem_alloc(size);
    assert_int_equal(pread(fd, octets, size, 0), size);
    for (char *at = octets; (at = memmem(at, size - (size_t)(at - octets), from, len)); at++) {
        assert_int_equal(pwrite(fd, to, len, at - octets), len);
        changed++;
    }
    mem_free(octets);
    close(fd);
    return changed;
}

static void leave_entries(struct fixture *f)
{
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", PATTERN);
    put(f, "b@example.org", "another");
    commit(f, 1);
    close_store(f);
}

static void leave_many_entries(struct fixture *f)
{
    char recipient[64], value[256];
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < 1000; i++) {
        snprintf(recipient, sizeof(recipient), "user%04d@example.org", i);
        put(f, recipient, value);
    }
    commit(f, 1);
    close_store(f);
}

static void assert_damage_is_found(struct fixture *f)
{
    struct str found;
    open_store(f);
    assert_null(f->discarded);
    assert_int_equal(store_verify(f->store, &f->err), E_STORE_CORRUPT);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_int_equal(store_get(f->store, who_of("a@example.org"), &found, &f->err),
                     E_STORE_CORRUPT);
    assert_non_null(strstr(f->err.text, f->path));
}

static void a_changed_octet_of_a_value_is_found(void **state)
{
    struct fixture *f = *state;
    leave_entries(f);
    assert_true(change_octets(f, PATTERN, "A" PATTERN, strlen(PATTERN)) > 0);
    assert_damage_is_found(f);
    assert_value(f, "b@example.org", "another");
}

static void a_swapped_key_is_found(void **state)
{
    struct fixture *f = *state;
    struct str found;
    leave_entries(f);
    /* The value is whole, but another recipient's. */
    assert_true(change_octets(f, "\0example.org\0a", "\0example.org\0A", 14) > 0);
    open_store(f);
    assert_int_equal(store_verify(f->store, &f->err), E_STORE_CORRUPT);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_int_equal(store_get(f->store, who_of("A@example.org"), &found, &f->err),
                     E_STORE_CORRUPT);
}

static void an_unknown_version_of_an_entry_is_found(void **state)
{
    struct fixture *f = *state;
    char from[24], to[24];
    leave_entries(f);
    memcpy(from, "\0example.org\0a\2", 15);
    memcpy(to, "\0example.org\0a\3", 15);
    assert_true(change_octets(f, from, to, 15) > 0);
    assert_damage_is_found(f);
}

static void an_unknown_kind_of_an_entry_is_found(void **state)
{
    struct fixture *f = *state;
    char from[24], to[24];
    leave_entries(f);
    memcpy(from, "\0example.org\0a\2\0", 16);
    memcpy(to, from, 16);
    to[15] = STORE_KINDS;
    assert_true(change_octets(f, from, to, 16) > 0);
    assert_damage_is_found(f);
}

static void a_kind_that_is_not_the_one_recorded_is_found(void **state)
{
    struct fixture *f = *state;
    char from[24], to[24];
    leave_entries(f);
    memcpy(from, "\0example.org\0a\2\0", 16);
    memcpy(to, from, 16);
    to[15] = 1;
    assert_true(change_octets(f, from, to, 16) > 0);
    open_store(f);
    assert_int_equal(store_verify(f->store, &f->err), E_STORE_CORRUPT);
}

static enum rcode visit_nothing(void *context, struct identity who, struct str value,
                                struct err *err)
{
    (void)context;
    (void)who;
    (void)value;
    (void)err;
    return OK;
}

static void scan_finds_damage_too(void **state)
{
    struct fixture *f = *state;
    struct store_cursor cursor = {0};
    leave_entries(f);
    assert_true(change_octets(f, PATTERN, "A" PATTERN, strlen(PATTERN)) > 0);
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    assert_int_equal(store_scan(f->store, &cursor, 10, visit_nothing, NULL, &f->err),
                     E_STORE_CORRUPT);
}

static void reset_cures_damage(void **state)
{
    struct fixture *f = *state;
    leave_entries(f);
    assert_true(change_octets(f, PATTERN, "A" PATTERN, strlen(PATTERN)) > 0);
    open_store(f);
    assert_int_equal(store_verify(f->store, &f->err), E_STORE_CORRUPT);
    assert_ok(f, store_reset(f->store, &f->err));
    assert_ok(f, store_verify(f->store, &f->err));
    put_and_commit(f, "a@example.org", "new", 2);
    assert_value(f, "a@example.org", "new");
}

static void assert_discarded_as(struct fixture *f, const char *why)
{
    open_store(f);
    assert_non_null(f->discarded);
    assert_string_equal(f->discarded, why);
    assert_int_equal(store_meta(f->store)->entries, 0);
    put_and_commit(f, "a@example.org", "new", 1);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void truncated_to(struct fixture *f, off_t size)
{
    char path[512];
    leave_many_entries(f);
    data_path(f, path);
    assert_int_equal(truncate(path, size), 0);
    assert_discarded_as(f, "the file is damaged or truncated");
}

static void a_truncated_file_is_discarded(void **state)
{
    truncated_to(*state, 10 * 4096);
}

static void a_file_truncated_within_its_head_is_discarded(void **state)
{
    truncated_to(*state, 100);
}

static void a_truncated_file_is_discarded_on_disk(void **state)
{
    struct fixture *f = *state;
    f->options.durability = STORE_DISK;
    truncated_to(f, 10 * 4096);
}

static void a_file_that_is_no_database_is_discarded(void **state)
{
    struct fixture *f = *state;
    char path[512], junk[8192];
    leave_entries(f);
    data_path(f, path);
    memset(junk, 'j', sizeof(junk));
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
    close(fd);
    assert_discarded_as(f, "the file is damaged or truncated");
}

static void damaged_positions_are_discarded(void **state)
{
    struct fixture *f = *state;
    unsigned char before[24] = {2}, after[24];
    leave_entries(f);
    /* {version, zeros, sequence 1, entries 2} */
    before[8] = 1;
    before[16] = 2;
    memcpy(after, before, sizeof(after));
    after[16] = 3;
    assert_true(change_octets(f, (char *)before, (char *)after, sizeof(before)) > 0);
    assert_discarded_as(f, "format unknown");
}

static void a_missing_file_is_an_empty_store(void **state)
{
    struct fixture *f = *state;
    char path[512];
    leave_entries(f);
    data_path(f, path);
    assert_int_equal(unlink(path), 0);
    open_store(f);
    assert_null(f->discarded);
    assert_int_equal(store_meta(f->store)->entries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_changed_octet_of_a_value_is_found),
        store_test(a_swapped_key_is_found),
        store_test(an_unknown_version_of_an_entry_is_found),
        store_test(an_unknown_kind_of_an_entry_is_found),
        store_test(a_kind_that_is_not_the_one_recorded_is_found),
        store_test(scan_finds_damage_too),
        store_test(reset_cures_damage),
        store_test(a_truncated_file_is_discarded),
        store_test(a_file_truncated_within_its_head_is_discarded),
        store_test(a_truncated_file_is_discarded_on_disk),
        store_test(a_file_that_is_no_database_is_discarded),
        store_test(damaged_positions_are_discarded),
        store_test(a_missing_file_is_an_empty_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
