/* What the service manager hears. */
#include "command.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "cli/notify.h"

#define PATH "/proc/self/cwd/notify" /* absolute, as it must be, and short */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static void assert_heard(int fd, const char *text)
{
    char heard[1024];
    ssize_t len = recv(fd, heard, sizeof(heard) - 1, 0);
    if (!text) {
        assert_true(len < 0);
        return;
    }
    assert_true(len >= 0);
    heard[len] = '\0';
    assert_string_equal(heard, text);
}

static void start_and_end_are_told_in_their_order(void **unused)
{
    (void)unused;
    struct notify notify;
    int fd = listen_at(PATH);
    notify_open(&notify);
    notify_waiting(&notify, "no broker\nREADY=1");
    notify_ready(&notify);
    notify_stopping(&notify);
    notify_close(&notify);
    assert_heard(fd, "EXTEND_TIMEOUT_USEC=120000000\nSTATUS=Waiting: no broker READY=1");
    assert_heard(fd, "READY=1\nSTATUS=Running");
    assert_heard(fd, "STOPPING=1\nSTATUS=Ending the transaction in hand");
    assert_heard(fd, NULL);
    close(fd);
    unlink(PATH);
}

static void an_abstract_socket_is_found(void **unused)
{
    (void)unused;
    struct notify notify;
    char path[108];
    snprintf(path, sizeof(path), "@rimbalzo-notify-test-%d", (int)getpid());
    int fd = listen_at(path);
    notify_open(&notify);
    notify_ready(&notify);
    notify_close(&notify);
    assert_heard(fd, "READY=1\nSTATUS=Running");
    close(fd);
}

static void the_watchdog_is_fed_twice_in_its_time_and_only_while_live(void **unused)
{
    (void)unused;
    struct notify notify;
    int fd = listen_at(PATH);
    setenv("WATCHDOG_USEC", "30000000", 1);
    notify_open(&notify);
    assert_int_equal(notify.ping_interval_ms, 15000);
    notify_alive(&notify, false);
    assert_heard(fd, NULL);
    notify_alive(&notify, true);
    assert_heard(fd, "WATCHDOG=1");
    notify_alive(&notify, true);
    assert_heard(fd, NULL);
    notify.pinged_ms -= 15000;
    notify_alive(&notify, true);
    assert_heard(fd, "WATCHDOG=1");
    notify_close(&notify);
    close(fd);
    unlink(PATH);
}

static void a_watchdog_of_another_process_is_not_ours(void **unused)
{
    (void)unused;
    struct notify notify;
    int fd = listen_at(PATH);
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    notify_open(&notify);
    notify_alive(&notify, true);
    assert_heard(fd, NULL);
    notify_close(&notify);
    close(fd);
    unlink(PATH);
}

static void without_a_socket_or_a_listener_nothing_happens(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"", "relative", "/nobody/listens/here", "@",
                                        "@rimbalzo-nobody-listens"};
    struct notify notify;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        setenv("NOTIFY_SOCKET", paths[i], 1);
        notify_open(&notify);
        notify_ready(&notify);
        notify_alive(&notify, true);
        notify_close(&notify);
    }
    unsetenv("NOTIFY_SOCKET");
    notify_open(&notify);
    assert_int_equal(notify.fd, -1);
    notify_stopping(&notify);
    notify_close(&notify);
}

static int clear(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(start_and_end_are_told_in_their_order, clear),
        cmocka_unit_test_setup(an_abstract_socket_is_found, clear),
        cmocka_unit_test_setup(the_watchdog_is_fed_twice_in_its_time_and_only_while_live, clear),
        cmocka_unit_test_setup(a_watchdog_of_another_process_is_not_ours, clear),
        cmocka_unit_test_setup(without_a_socket_or_a_listener_nothing_happens, clear),
    };
    return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
