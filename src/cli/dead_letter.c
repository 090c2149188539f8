#include "cli/dead_letter.h"

#include "base/err.h"
#include "base/limits.h"

#define REDRIVEN STR("rimbalzo-redriven")
#define DIGITS_MAX 18 /* no overflow */

/* The order in which outbox_dead_letter adds them. */
enum { REASON, TEXT, TOPIC, PARTITION, OFFSET, TIMESTAMP, ADDED };
static const char *const added[ADDED] = {"rimbalzo-reason", "rimbalzo-text",
                                         "rimbalzo-topic",  "rimbalzo-partition",
                                         "rimbalzo-offset", "rimbalzo-timestamp"};

static bool parse_number(struct str text, int64_t *ret_number)
{
    int64_t number = 0;
    bool negative = text.len && text.data[0] == '-';
    size_t at = negative;
    if (!text.data || text.len == at || text.len - at > DIGITS_MAX)
        return false;
    for (; at < text.len; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        number = number * 10 + (text.data[at] - '0');
    }
    *ret_number = negative ? -number : number;
    return true;
}

bool dead_letter_read(const struct port_record *record, struct dead_letter *ret_letter)
{
    struct dead_letter letter = {.header_count = record->header_count - ADDED};
    int64_t partition;
    if (letter.header_count < 0)
        return false;
    const struct port_header *ours = record->headers + letter.header_count;
    for (int i = 0; i < ADDED; i++)
        if (!str_equal(ours[i].name, str_of(added[i])) || !ours[i].value.data)
            return false;
    letter.reason = ours[REASON].value;
    letter.text = ours[TEXT].value;
    letter.topic = ours[TOPIC].value;
    if (!parse_number(ours[PARTITION].value, &partition) || partition < 0 ||
        partition > INT32_MAX || !parse_number(ours[OFFSET].value, &letter.offset) ||
        !parse_number(ours[TIMESTAMP].value, &letter.timestamp_ms))
        return false;
    letter.partition = (int32_t)partition;
    for (int i = 0; i < letter.header_count; i++)
        if (str_equal(record->headers[i].name, REDRIVEN) &&
            (!parse_number(record->headers[i].value, &letter.redriven) || letter.redriven < 0))
            letter.redriven = 0; /* somebody else's */
    *ret_letter = letter;
    return true;
}

int dead_letter_headers(const struct port_record *record, const struct dead_letter *letter,
                        struct arena *arena, const struct port_header **ret_headers)
{
    bool misrouted = str_equal(letter->reason, str_of(rcode_name(E_MISROUTED)));
    struct port_header *headers =
        arena_alloc(arena, ((size_t)letter->header_count + 1) * sizeof(headers[0]));
    int count = 0;
    for (int i = 0; i < letter->header_count; i++) {
        struct str name = record->headers[i].name;
        if (!str_equal(name, REDRIVEN) && !(misrouted && str_equal(name, STR("rimbalzo-rerouted"))))
            headers[count++] = record->headers[i];
    }
    headers[count++] = (struct port_header){
        REDRIVEN, arena_printf(arena, "%lld", (long long)letter->redriven + 1)};
    *ret_headers = headers;
    return count;
}
