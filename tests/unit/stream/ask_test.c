/* Questions from one thread to another: stream/ask.h. Meant to be run under the thread sanitizer
 * too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stream/ask.h"

/* A thread that makes turns, as an engine does. What it counts it counts without a lock. */
struct turning {
    struct ask ask;
    pthread_t thread;
    atomic_bool stop;
    long turns;
};

static void *turn(void *context)
{
    struct turning *turning = context;
    while (!atomic_load(&turning->stop)) {
        turning->turns++;
        ask_serve(&turning->ask);
    }
    return NULL;
}

struct question {
    struct turning *turning;
    pthread_t answered_by;
    long turns;
    int answers;
};

static void look(void *context)
{
    struct question *question = context;
    question->answered_by = pthread_self();
    question->turns = question->turning->turns;
    question->answers++;
}

static void a_question_is_answered_once_by_the_thread_that_makes_turns(void **unused)
{
    (void)unused;
    struct turning turning = {.turns = 0};
    long before = 0;
    ask_init(&turning.ask);
    assert_int_equal(pthread_create(&turning.thread, NULL, turn, &turning), 0);
    for (int i = 0; i < 1000; i++) {
        struct question question = {.turning = &turning};
        assert_true(ask_put(&turning.ask, look, &question, 10000));
        assert_int_equal(question.answers, 1);
        assert_true(pthread_equal(question.answered_by, turning.thread));
        assert_true(question.turns > before);
        before = question.turns;
    }
    atomic_store(&turning.stop, true);
    pthread_join(turning.thread, NULL);
    ask_deinit(&turning.ask);
}

static void a_question_that_nobody_answers_in_time_is_withdrawn(void **unused)
{
    (void)unused;
    struct turning turning = {.turns = 0};
    struct question question = {.turning = &turning};
    ask_init(&turning.ask);
    assert_false(ask_put(&turning.ask, look, &question, 5));
    ask_serve(&turning.ask);
    assert_int_equal(question.answers, 0);
    ask_deinit(&turning.ask);
}

/* Times so short that the answer now comes and now does not: it is never given to a question whose
 * asker has left, and whoever is told that it was given has it. */
static void a_question_is_either_answered_or_withdrawn(void **unused)
{
    (void)unused;
    struct turning turning = {.turns = 0};
    ask_init(&turning.ask);
    assert_int_equal(pthread_create(&turning.thread, NULL, turn, &turning), 0);
    for (int i = 0; i < 2000; i++) {
        struct question *question = calloc(1, sizeof(*question));
        question->turning = &turning;
        bool answered = ask_put(&turning.ask, look, question, 0);
        assert_int_equal(question->answers, answered);
        free(question);
    }
    atomic_store(&turning.stop, true);
    pthread_join(turning.thread, NULL);
    ask_deinit(&turning.ask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_answered_once_by_the_thread_that_makes_turns),
        cmocka_unit_test(a_question_that_nobody_answers_in_time_is_withdrawn),
        cmocka_unit_test(a_question_is_either_answered_or_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
