#include "store_support.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A store with one entry, closed cleanly. */
static void leave_clean(struct fixture *f)
{
    open_store(f);
    put_and_commit(f, "a@example.org", "value", 7);
    close_store(f);
}

static void leave_crashed(struct fixture *f)
{
    open_store(f);
    put_and_commit(f, "a@example.org", "value", 7);
    abandon_store(f);
}

static void assert_kept(struct fixture *f)
{
    open_store(f);
    assert_null(f->discarded);
    assert_value(f, "a@example.org", "value");
    store_abort(f->store);
    assert_int_equal(store_meta(f->store)->input_next, 7);
    assert_ok(f, store_verify(f->store, &f->err));
}

static void assert_discarded(struct fixture *f, const char *why)
{
    open_store(f);
    assert_non_null(f->discarded);
    assert_string_equal(f->discarded, why);
    assert_value(f, "a@example.org", NULL);
    store_abort(f->store);
    assert_int_equal(store_meta(f->store)->entries, 0);
    assert_int_equal(store_meta(f->store)->sequence, 0);
    assert_ok(f, store_verify(f->store, &f->err));
}

static bool has_file(const struct fixture *f, const char *name)
{
    char path[512];
    path_in(f, name, path, sizeof(path));
    return access(path, F_OK) == 0;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[512];
    path_in(f, name, path, sizeof(path));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void directory_is_for_its_owner_only(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    open_store(f);
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    char file[512];
    path_in(f, "data.mdb", file, sizeof(file));
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void file_has_the_maps_size_on_disk(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    char file[512];
    open_store(f);
    path_in(f, "data.mdb", file, sizeof(file));
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_size, store_usage(f->store).map_size);
    assert_true(status.st_blocks * 512 >= status.st_size);
}

static void clean_close_keeps_state_and_removes_the_marker(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    assert_true(has_file(f, "open"));
    close_store(f);
    assert_false(has_file(f, "open"));
    leave_clean(f);
    f->options.boot_id = "boot-b";
    assert_kept(f);
}

static void clean_close_aborts_an_open_transaction(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    open_store(f);
    assert_ok(f, store_begin(f->store, &f->err));
    put(f, "a@example.org", "dropped");
    put(f, "b@example.org", "dropped");
    close_store(f);
    assert_kept(f);
}

static void crash_of_the_process_keeps_state(void **state)
{
    leave_crashed(*state);
    assert_kept(*state);
}

static void crash_of_the_machine_discards(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f);
    f->options.boot_id = "boot-b";
    assert_discarded(f, "unclean shutdown under another boot of the machine");
}

static void crash_of_the_machine_keeps_state_on_disk(void **state)
{
    struct fixture *f = *state;
    f->options.durability = STORE_DISK;
    leave_crashed(f);
    f->options.boot_id = "boot-b";
    assert_kept(f);
}

static void what_counts_is_the_durability_of_the_run_that_crashed(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f);
    f->options.boot_id = "boot-b";
    f->options.durability = STORE_DISK;
    assert_discarded(f, "unclean shutdown under another boot of the machine");
}

static void durability_can_change_between_runs(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f);
    f->options.durability = STORE_DISK;
    assert_kept(f);
    close_store(f);
    f->options.durability = STORE_REBUILD;
    assert_kept(f);
}

static void kernels_boot_id_is_the_default(void **state)
{
    struct fixture *f = *state;
    f->options.boot_id = NULL;
    leave_crashed(f);
    assert_kept(f);
    abandon_store(f);
    f->options.boot_id = "boot-a";
    assert_discarded(f, "unclean shutdown under another boot of the machine");
}

static void an_unreadable_marker_discards(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    write_file(f, "open", "rimbalzo-open 2 something newer\n");
    assert_discarded(f, "the marker of an unclean shutdown is unreadable");
}

static void an_empty_marker_is_none(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    write_file(f, "open", "");
    assert_kept(f);
}

static void another_identity_discards(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    f->options.identity = "cluster rimbalzo.bounces 0 of 24 format 1";
    assert_discarded(f, "identity differs");
    close_store(f);
    open_store(f);
    assert_null(f->discarded);
}

static void long_absence_discards(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    f->options.now_ms = NOW_MS + f->options.offline_ms_max - 1000;
    assert_kept(f);
    close_store(f); /* used again: the time starts anew */
    f->options.now_ms += f->options.offline_ms_max - 1000;
    assert_kept(f);
    close_store(f);
    f->options.now_ms += f->options.offline_ms_max + 60000;
    assert_discarded(f, "offline too long");
}

static void long_absence_after_a_crash_discards(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f);
    f->options.now_ms = NOW_MS + f->options.offline_ms_max + 60000;
    assert_discarded(f, "offline too long");
}

static void a_clock_that_went_back_far_discards(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    f->options.now_ms = NOW_MS - f->options.offline_ms_max - 1000;
    assert_discarded(f, "offline too long");
}

static void absence_without_a_limit_keeps_state(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    f->options.offline_ms_max = 0;
    f->options.now_ms = NOW_MS * 2;
    assert_kept(f);
}

static void sixth_start_without_a_commit_discards(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f); /* its commit cleared the count */
    for (int i = 0; i < 5; i++) {
        assert_kept(f);
        abandon_store(f);
    }
    assert_discarded(f, "restart loop");
    abandon_store(f);
    open_store(f);
    assert_null(f->discarded);
}

static void commit_or_clean_close_ends_a_restart_loop(void **state)
{
    struct fixture *f = *state;
    leave_crashed(f);
    for (int i = 0; i < 20; i++) {
        assert_kept(f);
        if (i % 4 == 3) {
            close_store(f);
        } else if (i % 4 == 1) {
            assert_ok(f, store_begin(f->store, &f->err));
            commit(f, 7);
            abandon_store(f);
        } else {
            abandon_store(f);
        }
    }
}

static void reset_starts_empty(void **state)
{
    struct fixture *f = *state;
    leave_clean(f);
    open_store(f);
    assert_ok(f, store_reset(f->store, &f->err));
    assert_int_equal(store_meta(f->store)->entries, 0);
    assert_int_equal(store_meta(f->store)->sequence, 0);
    assert_true(store_meta(f->store)->stream_time_ms == TIME_NULL);
    assert_value(f, "a@example.org", NULL);
    put(f, "a@example.org", "value");
    commit(f, 7);
    assert_ok(f, store_reset(f->store, &f->err));
    put_and_commit(f, "a@example.org", "value", 7);
    abandon_store(f);
    assert_kept(f);
}

static void a_removed_store_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    assert_int_equal(store_remove(f->path, &f->err), E_STORE_LOCKED);
    close_store(f);
    assert_ok(f, store_remove(f->path, &f->err));
    assert_int_equal(access(f->path, F_OK), -1);
    assert_ok(f, store_remove(f->path, &f->err));
}

static void a_store_has_one_owner_within_a_process(void **state)
{
    struct fixture *f = *state;
    char expected[64];
    open_store(f);
    struct store *second = NULL;
    const char *discarded = "untouched";
    assert_int_equal(store_open(&f->options, &second, &discarded, &f->err), E_STORE_LOCKED);
    snprintf(expected, sizeof(expected), "in use by process %ld", (long)getpid());
    assert_non_null(strstr(f->err.text, expected));
    assert_null(second);
    assert_string_equal(discarded, "untouched");
}

static void a_store_has_one_owner_among_processes(void **state)
{
    struct fixture *f = *state;
    int ready[2];
    char octet, expected[64];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (try_open(f) != OK || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &octet, 1), 1);
    enum rcode rc = try_open(f);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(rc, E_STORE_LOCKED);
    snprintf(expected, sizeof(expected), "in use by process %ld", (long)child);
    assert_non_null(strstr(f->err.text, expected));
    open_store(f); /* the lock dies with its owner */
    close(ready[0]);
    close(ready[1]);
}

static void a_file_in_place_of_the_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    FILE *file;
    char path[512];
    snprintf(path, sizeof(path), "%s/state", f->parent);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(try_open(f), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(directory_is_for_its_owner_only),
        store_test(file_has_the_maps_size_on_disk),
        store_test(clean_close_keeps_state_and_removes_the_marker),
        store_test(clean_close_aborts_an_open_transaction),
        store_test(crash_of_the_process_keeps_state),
        store_test(crash_of_the_machine_discards),
        store_test(crash_of_the_machine_keeps_state_on_disk),
        store_test(what_counts_is_the_durability_of_the_run_that_crashed),
        store_test(durability_can_change_between_runs),
        store_test(kernels_boot_id_is_the_default),
        store_test(an_unreadable_marker_discards),
        store_test(an_empty_marker_is_none),
        store_test(another_identity_discards),
        store_test(long_absence_discards),
        store_test(long_absence_after_a_crash_discards),
        store_test(a_clock_that_went_back_far_discards),
        store_test(absence_without_a_limit_keeps_state),
        store_test(sixth_start_without_a_commit_discards),
        store_test(commit_or_clean_close_ends_a_restart_loop),
        store_test(reset_starts_empty),
        store_test(a_removed_store_leaves_nothing),
        store_test(a_store_has_one_owner_within_a_process),
        store_test(a_store_has_one_owner_among_processes),
        store_test(a_file_in_place_of_the_directory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
