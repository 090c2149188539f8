#include "cli/ingest_account.h"

#include <inttypes.h>

#include "cli/cli.h"

void ingest_account_add(struct ingest_account *account, const struct ingest_entry *entry,
                        enum bounce_class bounce_class)
{
    account->read++;
    switch (entry->outcome) {
    case INGEST_BOUNCE:
        account->bounces[bounce_class]++;
        account->accepted++;
        return;
    case INGEST_DELIVERY:
        account->deliveries++;
        account->accepted++;
        return;
    case INGEST_SKIPPED:
        account->skipped[entry->skip]++;
        return;
    case INGEST_REJECTED:
        account->rejected[entry->code]++;
        account->rejected_all++;
        return;
    case INGEST_OUTCOME_COUNT:
        break;
    }
}

static int64_t row(struct output *output, const char *what, const char *why, int64_t count)
{
    if (count)
        output_row(output, (const struct cell[]){cell_text(str_of(what)), cell_text(str_of(why)),
                                                 cell_number(count)});
    return count;
}

enum rcode ingest_account_tell(const struct ingest_account *account, struct err *err)
{
    static const char *const columns[] = {"outcome", "reason", "recipients"};
    struct output output;
    int64_t sum = 0;
    output_begin(&output, OUTPUT_TABLE, stderr, columns, 3);
    for (int i = 0; i < BOUNCE_CLASS_COUNT; i++)
        sum += row(&output, "bounce", bounce_class_names[i], account->bounces[i]);
    sum += row(&output, "delivery", NULL, account->deliveries);
    for (int i = 0; i < INGEST_SKIP_COUNT; i++)
        sum += row(&output, "skipped", ingest_skip_names[i], account->skipped[i]);
    for (int i = 0; i < RCODE_COUNT; i++)
        sum += row(&output, "rejected", rcode_name((enum rcode)i), account->rejected[i]);
    output_row(&output, (const struct cell[]){cell_text(STR("all")), cell_text(STR_NULL),
                                              cell_number(account->read)});
    output_end(&output);
    if (sum != account->read)
        return err_set(err, E_BUG, "%" PRId64 " were read and %" PRId64 " accounted for",
                       account->read, sum);
    return OK;
}
