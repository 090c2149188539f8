/* What the domain core can do on one thread: steps, ids, canonical addresses, with figures per
 * call. Verdicts: bench_classify.c. */
#include <stdio.h>

#include "base/clock.h"
#include "domain/address.h"
#include "domain/id.h"
#include "domain/recipient.h"

#define RECIPIENTS 1024
#define HOUR_MS 3600000LL

static void report(const char *what, int64_t started_us, int64_t count)
{
    double seconds = (double)(clock_monotonic_us() - started_us) / 1e6;
    printf("%-44s %12.0f /s %10.0f ns\n", what, (double)count / seconds,
           seconds * 1e9 / (double)count);
}

/* Rounds of one event per recipient, so that states are met in every status. */
static void bench_steps(const char *what, enum bounce_class bounce_class, bool deliveries,
                        bool answers)
{
    static struct recipient states[2][RECIPIENTS];
    static bool present[RECIPIENTS];
    struct policy_set policies;
    struct effects effects;
    const int rounds = 2000;
    int64_t offset = 0;
    policy_set_defaults(&policies);
    memset(present, 0, sizeof(present));
    int64_t started = clock_monotonic_us();
    for (int round = 0; round < rounds; round++) {
        int64_t now = 1700000000000 + round * 25 * HOUR_MS;
        for (int i = 0; i < RECIPIENTS; i++) {
            char id[32];
            size_t len = (size_t)snprintf(id, sizeof(id), "%08x%08x", round, i);
            struct event event = {
                .kind = deliveries && round % 2 ? EVENT_DELIVERY : EVENT_BOUNCE,
                .who = {{"", 0}, {"somebody@example.com", 20}},
                .event_id = {id, len},
                .time_ms = now,
                .offset = offset++,
                .message_id = {"<20240101.12345@example.org>", 28},
                .retry_of = answers ? STR("00000000-0000-5000-8000-000000000000") : STR_NULL,
                .status = STR("4.2.1"),
                .rule = STR("code.4.2.1"),
                .bounce_class = bounce_class,
                .reason = REASON_MAILBOX_DISABLED,
            };
            recipient_step(&policies, present[i] ? &states[round & 1][i] : NULL, &event, now,
                           &states[1 - (round & 1)][i], &effects);
            if (effects.change == STATE_PUT)
                present[i] = true;
            else
                states[1 - (round & 1)][i] = states[round & 1][i];
        }
    }
    report(what, started, (int64_t)rounds * RECIPIENTS);
}

static void bench_ids(void)
{
    const int count = 1000000;
    struct identity who = {{"", 0}, {"somebody@example.com", 20}};
    volatile char sink = 0;
    int64_t started = clock_monotonic_us();
    for (int i = 0; i < count; i++) {
        struct uuid_text id = id_schedule(&(struct schedule_id){
            .who = who,
            .episode = i,
            .episode_opened_at_ms = 1700000000000,
            .attempt = 1,
            .message_id = {"<20240101.12345@example.org>", 28},
        });
        sink = (char)(sink ^ id.text[0]);
    }
    report("id_schedule", started, count);
}

static void bench_canonical(const char *what, struct str text, int count)
{
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    int64_t started = clock_monotonic_us();
    for (int i = 0; i < count; i++)
        if (address_canonical(text, false, canonical, &len, &err) != OK)
            return;
    report(what, started, count);
}

int main(void)
{
    bench_steps("recipient_step, SOFT, all statuses", CLASS_SOFT, false, false);
    bench_steps("recipient_step, SOFT and deliveries by turns", CLASS_SOFT, true, false);
    bench_steps("recipient_step, SOFT with a foreign retry_of", CLASS_SOFT, true, true);
    bench_steps("recipient_step, POLICY", CLASS_POLICY, false, false);
    bench_ids();
    bench_canonical("address_canonical, ASCII", STR("Somebody.Else@Mail.Example.COM"), 5000000);
    bench_canonical("address_canonical, IDN", STR("somebody@münchen.example"), 100000);
    bench_canonical("address_canonical, A-label", STR("somebody@xn--mnchen-3ya.example"), 100000);
    return 0;
}
