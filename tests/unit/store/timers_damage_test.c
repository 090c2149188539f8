/*
 * Octets of timers that something else has changed. Whatever it was, it is E_STORE_CORRUPT before
 * anything follows from it: a timer left out would be a command that is never sent, and one taken
 * for another state would be sent twice or not at all.
 */
#include "timers_support.h"

#include <fcntl.h>
#include <unistd.h>

#include "store/timer_layout.h"

/* Due times whose octets read differently from either end. */
#define DUE_A 0x010203
#define DUE_B 0x020304
#define NEVER PLACE(INT64_MAX, INT64_MAX)

/* --- the layout alone --- */

static void any_octet_of_a_value_counts(void **state)
{
    struct fixture *f = *state;
    static const struct str keys[] = {STR("a@example.org"), STR("other")};
    for (int i = 0; i < 4; i++) {
        struct buf octets;
        char key_text[RECORD_KEY_MAX];
        struct timer found, timer = timer_of(77, 1000, "a@example.org", 1);
        uint64_t hash;
        timer.key = keys[i % 2];
        timer.headers = STR("headers");
        if (i / 2) {
            timer.state = TIMER_RELEASED;
            timer.key = timer.value = timer.headers = STR_NULL;
        }
        buf_init(&octets);
        timer_encode(&timer, &octets);
        MDB_val data = {octets.len, octets.data};
        assert_true(timer_decode(77, data, key_text, &found, &hash));
        assert_false(timer_decode(78, data, key_text, &found, &hash));
        for (size_t at = 0; at < octets.len; at++)
            for (int bit = 0; bit < 8; bit++) {
                octets.data[at] = (char)(octets.data[at] ^ 1 << bit);
                if (timer_decode(77, data, key_text, &found, &hash))
                    fail_msg("bit %d of octet %zu does not count", bit, at);
                octets.data[at] = (char)(octets.data[at] ^ 1 << bit);
            }
        for (data.mv_size = 0; data.mv_size < octets.len; data.mv_size++)
            assert_false(timer_decode(77, data, key_text, &found, &hash));
        buf_deinit(&octets);
    }
    assert_null(f->store);
}

/* --- in the file --- */

struct file {
    char path[512];
    char *octets;
    size_t size;
};

static struct file read_data(const struct fixture *f)
{
    struct file file;
    path_in(f, "data.mdb", file.path, sizeof(file.path));
    int fd = open(file.path, O_RDONLY);
    assert_true(fd >= 0);
    file.size = (size_t)lseek(fd, 0, SEEK_END);
    file.octets = mem_alloc(file.size);
    assert_int_equal(pread(fd, file.octets, file.size, 0), file.size);
    close(fd);
    return file;
}

static void write_data(const struct file *file)
{
    int fd = open(file->path, O_WRONLY);
    assert_int_equal(pwrite(fd, file->octets, file->size, 0), file->size);
    close(fd);
}

/* Writes the file with one bit flipped, of the octet at `at` of the pattern or behind it, wherever
 * the pattern stands. */
static void write_damaged(const struct file *file, struct str pattern, size_t at)
{
    struct file damaged = *file;
    int flips = 0;
    damaged.octets = mem_alloc(file->size);
    memcpy(damaged.octets, file->octets, file->size);
    for (char *found = file->octets;
         (found = memmem(found, file->size - (size_t)(found - file->octets), pattern.data,
                         pattern.len));
         found++) {
        damaged.octets[(size_t)(found - file->octets) + at] ^= 4;
        flips++;
    }
    write_data(&damaged);
    mem_free(damaged.octets);
    assert_true(flips > 0);
}

static struct file leave_timers(struct fixture *f)
{
    begin_new(f);
    add(f, timer_of(1, DUE_A, "a@example.org", 1));
    struct timer gone = timer_of(2, DUE_B, "b@example.org", 2);
    gone.state = TIMER_RELEASED;
    gone.key = gone.value = gone.headers = STR_NULL;
    add(f, gone);
    commit(f, 3);
    close_store(f);
    return read_data(f);
}

typedef enum rcode operation_fn(struct fixture *f);

static enum rcode get(struct fixture *f)
{
    char key_text[RECORD_KEY_MAX];
    struct timer timer;
    return timers_get(f->store, 1, key_text, &timer, &f->err);
}
static enum rcode release_it(struct fixture *f)
{
    return release(f, 1, TIMER_PLACE_FIRST);
}
static enum rcode release_for_good(struct fixture *f)
{
    return release(f, 1, NEVER);
}
static enum rcode drop_it(struct fixture *f)
{
    return timers_drop(f->store, 1, &f->err);
}
static enum rcode keep_it(struct fixture *f)
{
    return timers_keep(f->store, 1, PLACE(900, 9), &f->err);
}
static enum rcode forget_the_other(struct fixture *f)
{
    return forget(f, 10, NEVER);
}
static enum rcode find_it(struct fixture *f)
{
    struct timer timer = timer_of(1, DUE_A, "a@example.org", 1);
    struct timer_place last;
    return timers_find(f->store, timer.who, &timer.id, &last, &f->err);
}
static enum rcode unclaim_it(struct fixture *f)
{
    struct visits visits = {.count = 0};
    return timers_unclaim(f->store, who_of("a@example.org"), NULL, note_visit, &visits, &f->err);
}
static enum rcode bound_all(struct fixture *f)
{
    struct timers_bounds bounds;
    return timers_bounds(f->store, 0, &bounds, &f->err);
}
static enum rcode verify(struct fixture *f)
{
    return timers_verify(f->store, &f->err);
}

static void expect(struct fixture *f, operation_fn *operation, size_t at, enum rcode expected)
{
    open_store(f);
    assert_null(f->discarded);
    assert_ok(f, store_begin(f->store, &f->err));
    enum rcode rc = operation(f);
    if (rc != expected)
        fail_msg("octet %zu: %s", at, rcode_name(rc));
    if (expected != OK)
        assert_non_null(strstr(f->err.text, f->path));
    close_store(f);
}

/* The operation finds the damage, */
static void finds(struct fixture *f, const struct file *file, struct str pattern, size_t at,
                  operation_fn *operation)
{
    write_damaged(file, pattern, at);
    expect(f, operation, at, E_STORE_CORRUPT);
}

/* and succeeds without. */
static void every_operation_succeeds_on_what_was_left(void **state)
{
    struct fixture *f = *state;
    static operation_fn *const operations[] = {
        get,     release_it, release_for_good, drop_it,   keep_it,
        find_it, unclaim_it, forget_the_other, bound_all, verify};
    struct file file = leave_timers(f);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        write_data(&file);
        expect(f, operations[i], i, OK);
    }
    mem_free(file.octets);
}

static void a_changed_octet_of_a_value_is_found(void **state)
{
    struct fixture *f = *state;
    static operation_fn *const operations[] = {get, release_it, drop_it, keep_it, verify};
    struct timer timer = timer_of(1, DUE_A, "a@example.org", 1);
    struct file file = leave_timers(f);
    struct buf octets;
    buf_init(&octets);
    timer_encode(&timer, &octets);
    for (size_t at = 0; at < octets.len; at += 2)
        finds(f, &file, buf_view(&octets), at, operations[at / 2 % 5]);
    for (size_t at = 0; at < offsetof(struct timer_header, due_ms); at += 3)
        finds(f, &file, buf_view(&octets), at, bound_all);
    buf_deinit(&octets);
    mem_free(file.octets);
}

static void a_changed_octet_of_a_remembered_timer_is_found(void **state)
{
    struct fixture *f = *state;
    struct timer timer = timer_of(2, DUE_B, "b@example.org", 2);
    struct file file = leave_timers(f);
    struct buf octets;
    buf_init(&octets);
    timer.state = TIMER_RELEASED;
    timer.key = timer.value = timer.headers = STR_NULL;
    timer_encode(&timer, &octets);
    for (size_t at = 0; at < octets.len; at += 3)
        finds(f, &file, buf_view(&octets), at, at % 2 ? forget_the_other : verify);
    buf_deinit(&octets);
    mem_free(file.octets);
}

struct claim {
    unsigned char octets[CLAIM_KEY_MAX];
    size_t len;
};

static struct str key_of_claim(struct claim *ret_claim)
{
    struct timer timer = timer_of(1, DUE_A, "a@example.org", 1);
    size_t len = claim_prefix(timer.who, ret_claim->octets);
    len = claim_key(len, &timer.id, timer.offset, ret_claim->octets);
    return (struct str){(char *)ret_claim->octets, len};
}

/* What a recipient has waiting: due time and state stand in the claim as well. */
static void a_changed_octet_of_a_claim_is_found(void **state)
{
    struct fixture *f = *state;
    static operation_fn *const operations[] = {find_it, unclaim_it, verify};
    struct claim claim;
    struct str key = key_of_claim(&claim);
    struct file file = leave_timers(f);
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < sizeof(struct claim_value); at++)
            finds(f, &file, key, key.len + at, operations[i]);
    mem_free(file.octets);
}

/* A claim that names another: its recipient would not find it when everything is cancelled. It is
 * noticed at the latest when the timer is to leave. */
static void a_changed_key_of_a_claim_is_found(void **state)
{
    struct fixture *f = *state;
    static operation_fn *const operations[] = {release_it, release_for_good, verify};
    struct claim claim;
    struct str key = key_of_claim(&claim);
    struct file file = leave_timers(f);
    for (size_t i = 0; i < 3; i++)
        finds(f, &file, key, 1, operations[i]);
    mem_free(file.octets);
}

static void a_changed_due_time_is_found(void **state)
{
    struct fixture *f = *state;
    static operation_fn *const pending[] = {release_it, release_for_good, drop_it, verify};
    static operation_fn *const released[] = {forget_the_other, verify};
    unsigned char octets[PLACE_KEY_SIZE];
    struct str key = {(char *)octets, sizeof(octets)};
    struct file file = leave_timers(f);
    place_key(PLACE(DUE_A, 1), octets);
    for (size_t i = 0; i < 4; i++)
        finds(f, &file, key, 7, pending[i]);
    place_key(PLACE(DUE_B, 2), octets);
    for (size_t i = 0; i < 2; i++)
        finds(f, &file, key, 7, released[i]);
    mem_free(file.octets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        timers_test(any_octet_of_a_value_counts),
        timers_test(every_operation_succeeds_on_what_was_left),
        timers_test(a_changed_octet_of_a_value_is_found),
        timers_test(a_changed_octet_of_a_remembered_timer_is_found),
        timers_test(a_changed_octet_of_a_claim_is_found),
        timers_test(a_changed_key_of_a_claim_is_found),
        timers_test(a_changed_due_time_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
