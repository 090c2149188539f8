/*
 * A full disk is an error code and no SIGBUS. The disk is a small tmpfs, mounted in a child's own
 * mount name space: it is gone with the child. Without the right to mount the tests are skipped.
 */
#include "store_support.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_MOUNT 77
#define DISK_SIZE "size=6m"

/* In the child nothing of cmocka may be called: it would run the other tests there. */
#define CHECK(f, claim)                                                                            \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #claim, (f)->err.text);        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void on_small_disk(struct fixture *f, void (*body)(struct fixture *f))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("rimbalzo-test", f->parent, "tmpfs", 0, DISK_SIZE))
            _exit(CANNOT_MOUNT);
        body(f);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        fail_msg("the child died of signal %d: %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == CANNOT_MOUNT) {
        printf("skipped: no right to mount a tmpfs\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Leaves no octet free. */
static void fill_disk(struct fixture *f)
{
    char path[512], octets[4096] = "";
    snprintf(path, sizeof(path), "%s/ballast", f->parent);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(f, fd >= 0);
    while (write(fd, octets, sizeof(octets)) == (ssize_t)sizeof(octets))
        ;
    close(fd);
}

static void free_disk(struct fixture *f)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/ballast", f->parent);
    CHECK(f, unlink(path) == 0);
}

static enum rcode put_many(struct fixture *f, int from, int to)
{
    char recipient[64], value[256];
    memset(value, 'v', sizeof(value));
    value[250] = '\0';
    enum rcode rc = OK;
    for (int i = from; rc == OK && i < to; i++) {
        snprintf(recipient, sizeof(recipient), "user%06d@example.org", i);
        rc = store_put(f->store, who_of(recipient), str_of(value), 0, &f->err);
    }
    return rc;
}

static void open_here(struct fixture *f)
{
    CHECK(f, try_open(f) == OK);
}

static void no_room_at_first_open(struct fixture *f)
{
    char path[512];
    f->options.map_size_initial = 16 << 20;
    CHECK(f, try_open(f) == E_STORE_FULL);
    CHECK(f, strstr(f->err.text, "disk is full"));
    path_in(f, "data.mdb", path, sizeof(path));
    CHECK(f, access(path, F_OK) != 0);
    f->options.map_size_initial = 1 << 20;
    open_here(f);
    CHECK(f, !f->discarded);
}

static void opening_without_room_is_an_error_and_leaves_nothing(void **state)
{
    on_small_disk(*state, no_room_at_first_open);
}

static void use_up_the_map(struct fixture *f)
{
    open_here(f);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 500) == OK);
    CHECK(f, store_commit(f->store, 1, 1, 1, &f->err) == OK);
    fill_disk(f);
    /* All of the map can be written: its room is there already. */
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 100000) == E_STORE_MAP_FULL);
    store_abort(f->store);
    CHECK(f, store_grow(f->store, &f->err) == E_STORE_FULL);
    CHECK(f, store_usage(f->store).map_size == 1 << 20);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 400, 600) == OK);
    CHECK(f, store_commit(f->store, 2, 2, 2, &f->err) == OK);
    CHECK(f, store_verify(f->store, &f->err) == OK);
    free_disk(f);
    CHECK(f, store_grow(f->store, &f->err) == OK);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 3000) == OK);
    CHECK(f, store_commit(f->store, 3, 3, 3, &f->err) == OK);
    CHECK(f, store_verify(f->store, &f->err) == OK);
}

static void growing_without_room_is_an_error_and_the_map_still_works(void **state)
{
    on_small_disk(*state, use_up_the_map);
}

static void begin_needs_to_grow(struct fixture *f)
{
    open_here(f);
    enum rcode rc = OK;
    fill_disk(f);
    int i = 0;
    for (; i < 100 && rc == OK; i++) {
        rc = store_begin(f->store, &f->err);
        if (rc == OK)
            rc = put_many(f, i * 100, i * 100 + 100);
        if (rc == OK)
            rc = store_commit(f->store, i, i, i, &f->err);
    }
    CHECK(f, rc == E_STORE_FULL);
    CHECK(f, store_verify(f->store, &f->err) == OK);
    uint64_t entries = store_meta(f->store)->entries;
    close_store(f);
    free_disk(f);
    open_here(f);
    CHECK(f, !f->discarded && store_meta(f->store)->entries == entries);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, store_usage(f->store).map_size == 2 << 20);
}

static void beginning_without_room_to_grow_is_an_error(void **state)
{
    on_small_disk(*state, begin_needs_to_grow);
}

static void crash_and_reopen(struct fixture *f)
{
    open_here(f);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 500) == OK);
    CHECK(f, store_commit(f->store, 1, 1, 1, &f->err) == OK);
    fill_disk(f);
    abandon_store(f);
    /* Nothing new is needed: file and marker have their room. */
    open_here(f);
    CHECK(f, !f->discarded && store_meta(f->store)->entries == 500);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 1000) == OK);
    CHECK(f, store_commit(f->store, 2, 2, 2, &f->err) == OK);
    CHECK(f, store_verify(f->store, &f->err) == OK);
    close_store(f);
    /* Now the marker is gone, and cannot be made. */
    fill_disk(f);
    CHECK(f, try_open(f) == E_STORE_FULL);
    free_disk(f);
    open_here(f);
    CHECK(f, !f->discarded && store_meta(f->store)->entries == 1000);
}

static void a_crashed_store_reopens_on_a_full_disk(void **state)
{
    on_small_disk(*state, crash_and_reopen);
}

/* Somebody punched the file's room away (a copy of a sparse backup): it is claimed again at open.
 */
static void sparse_file(struct fixture *f)
{
    char path[512], copy[512];
    char octets[4096];
    open_here(f);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 500) == OK);
    CHECK(f, store_commit(f->store, 1, 1, 1, &f->err) == OK);
    close_store(f);
    path_in(f, "data.mdb", path, sizeof(path));
    snprintf(copy, sizeof(copy), "%s/copy", f->parent);
    int from = open(path, O_RDONLY), to = open(copy, O_WRONLY | O_CREAT, 0600);
    CHECK(f, from >= 0 && to >= 0);
    static const char zeros[4096];
    off_t at = 0;
    for (; read(from, octets, sizeof(octets)) == (ssize_t)sizeof(octets); at += 4096)
        if (memcmp(octets, zeros, sizeof(zeros)) != 0)
            CHECK(f, pwrite(to, octets, sizeof(octets), at) == (ssize_t)sizeof(octets));
    CHECK(f, ftruncate(to, at) == 0 && rename(copy, path) == 0);
    close(from);
    close(to);
    fill_disk(f);
    CHECK(f, try_open(f) == E_STORE_FULL);
    free_disk(f);
    open_here(f);
    CHECK(f, !f->discarded && store_meta(f->store)->entries == 500);
    CHECK(f, store_verify(f->store, &f->err) == OK);
}

static void a_sparse_file_claims_its_room_at_open(void **state)
{
    on_small_disk(*state, sparse_file);
}

static void full_disk_with_disk_durability(struct fixture *f)
{
    f->options.durability = STORE_DISK;
    open_here(f);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 0, 500) == OK);
    CHECK(f, store_commit(f->store, 1, 1, 1, &f->err) == OK);
    fill_disk(f);
    CHECK(f, store_begin(f->store, &f->err) == OK);
    CHECK(f, put_many(f, 500, 1500) == OK);
    CHECK(f, store_commit(f->store, 2, 2, 2, &f->err) == E_STORE_FULL);
    CHECK(f, store_meta(f->store)->entries == 500);
    close_store(f);
    free_disk(f);
    open_here(f);
    CHECK(f, !f->discarded && store_meta(f->store)->entries == 500);
    CHECK(f, store_meta(f->store)->input_next == 1);
    CHECK(f, store_verify(f->store, &f->err) == OK);
}

static void a_commit_that_finds_the_disk_full_is_an_error(void **state)
{
    on_small_disk(*state, full_disk_with_disk_durability);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(opening_without_room_is_an_error_and_leaves_nothing),
        store_test(growing_without_room_is_an_error_and_the_map_still_works),
        store_test(beginning_without_room_to_grow_is_an_error),
        store_test(a_crashed_store_reopens_on_a_full_disk),
        store_test(a_sparse_file_claims_its_room_at_open),
        store_test(a_commit_that_finds_the_disk_full_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
