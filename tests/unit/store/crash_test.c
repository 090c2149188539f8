/* A child process works on the store and is killed; what is left must be its last commit. */
#include "store_support.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define BATCH 200

/* In the child nothing of cmocka may be called: it would run the other tests there. */
static void must(struct fixture *f, enum rcode rc)
{
    if (rc == OK)
        return;
    fprintf(stderr, "child: %s: %s\n", rcode_name(rc), f->err.text);
    _exit(1);
}

/* Batch `number`: 200 recipients, and one whose value is the number. */
static enum rcode write_batch(struct fixture *f, int number)
{
    char recipient[64], value[320];
    memset(value, 'a' + number % 26, sizeof(value));
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < BATCH; i++) {
        snprintf(recipient, sizeof(recipient), "u%05d@example.org",
                 (number * 7919 + i * 104729) % 20000);
        struct str octets = {value, (size_t)(250 + (number + i) % 9)};
        rc = store_put(f->store, who_of(recipient), octets, 0, &f->err);
    }
    snprintf(value, sizeof(value), "%d", number);
    return rc == OK ? store_put(f->store, who_of("number@example.org"), str_of(value), 0, &f->err)
                    : rc;
}

static void stage_batch(struct fixture *f, int number)
{
    enum rcode rc;
    must(f, store_begin(f->store, &f->err));
    while ((rc = write_batch(f, number)) == E_STORE_MAP_FULL) {
        store_abort(f->store);
        must(f, store_grow(f->store, &f->err));
        must(f, store_begin(f->store, &f->err));
    }
    must(f, rc);
}

static void commit_batch(struct fixture *f, int number)
{
    stage_batch(f, number);
    must(f, store_commit(f->store, number, number, number, &f->err));
}

static void report(int pipe_out)
{
    if (write(pipe_out, "r", 1) != 1)
        _exit(1);
}

/* Runs `body` in a child and returns when it has reported. */
static pid_t start_child(struct fixture *f, void (*body)(struct fixture *f, int pipe_out))
{
    int ready[2];
    char octet;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const char *discarded;
        must(f, store_open(&f->options, &f->store, &discarded, &f->err));
        body(f, ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    ssize_t len = read(ready[0], &octet, 1);
    close(ready[0]);
    if (len != 1) {
        waitpid(child, NULL, 0);
        fail_msg("the child ended early");
    }
    return child;
}

static void kill_child(pid_t child)
{
    int status;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The store is whole and is that of batch `input_next`. */
static int64_t assert_whole(struct fixture *f)
{
    char number[24];
    open_store(f);
    if (f->discarded)
        fail_msg("discarded: %s", f->discarded);
    assert_ok(f, store_verify(f->store, &f->err));
    int64_t at = store_meta(f->store)->input_next;
    snprintf(number, sizeof(number), "%lld", (long long)at);
    assert_value(f, "number@example.org", at ? number : NULL);
    store_abort(f->store);
    close_store(f);
    return at;
}

static void commit_then_stage(struct fixture *f, int pipe_out)
{
    commit_batch(f, 1);
    commit_batch(f, 2);
    stage_batch(f, 3);
    report(pipe_out);
}

static void commit_only(struct fixture *f, int pipe_out)
{
    commit_batch(f, 1);
    commit_batch(f, 2);
    report(pipe_out);
}

static void open_only(struct fixture *f, int pipe_out)
{
    (void)f;
    report(pipe_out);
}

static void kill_within_a_transaction_leaves_the_last_commit(void **state)
{
    struct fixture *f = *state;
    kill_child(start_child(f, commit_then_stage));
    assert_int_equal(assert_whole(f), 2);
}

static void kill_after_a_commit_keeps_it(void **state)
{
    struct fixture *f = *state;
    kill_child(start_child(f, commit_only));
    assert_int_equal(assert_whole(f), 2);
}

static void kill_within_a_transaction_on_disk_leaves_the_last_commit(void **state)
{
    struct fixture *f = *state;
    f->options.durability = STORE_DISK;
    kill_child(start_child(f, commit_then_stage));
    f->options.boot_id = "boot-b";
    assert_int_equal(assert_whole(f), 2);
}

static void kill_of_a_new_store_leaves_an_empty_one(void **state)
{
    struct fixture *f = *state;
    kill_child(start_child(f, open_only));
    assert_int_equal(assert_whole(f), 0);
}

static void work_on(struct fixture *f, int pipe_out)
{
    report(pipe_out);
    for (int number = (int)store_meta(f->store)->input_next + 1;; number++)
        commit_batch(f, number);
}

static void kill_at_any_time_leaves_a_commit(void **state)
{
    struct fixture *f = *state;
    int64_t at = 0;
    for (int i = 0; i < 60; i++) {
        pid_t child = start_child(f, work_on);
        (void)poll(NULL, 0, (int)(clock_monotonic_us() % 23));
        kill_child(child);
        int64_t next = assert_whole(f);
        assert_true(next >= at);
        at = next;
    }
    assert_true(at > 0);
}

/* The child is killed while it opens: creating, allocating, writing the marker. */
static void kill_while_opening_leaves_a_commit(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (child == 0) {
            const char *discarded;
            must(f, store_open(&f->options, &f->store, &discarded, &f->err));
            commit_batch(f, 1);
            for (;;)
                pause();
        }
        int64_t until_us = clock_monotonic_us() + i * 100;
        while (clock_monotonic_us() < until_us)
            ;
        kill_child(child);
        int64_t at = assert_whole(f);
        assert_true(at == 0 || at == 1);
        if (i % 3 == 0)
            tmpdir_remove(f->path);
    }
}

static void abandoning_is_a_crash(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    commit_batch(f, 1);
    stage_batch(f, 2);
    abandon_store(f);
    assert_int_equal(assert_whole(f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(kill_within_a_transaction_leaves_the_last_commit),
        store_test(kill_after_a_commit_keeps_it),
        store_test(kill_within_a_transaction_on_disk_leaves_the_last_commit),
        store_test(kill_of_a_new_store_leaves_an_empty_one),
        store_test(kill_at_any_time_leaves_a_commit),
        store_test(kill_while_opening_leaves_a_commit),
        store_test(abandoning_is_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
