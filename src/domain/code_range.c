#include "domain/code_range.h"

#include <ctype.h>

/* One to three digits off the front of `text`; -1 if there are none. */
static int take_number(struct str *text)
{
    int number = 0, digits = 0;
    while (text->len && isdigit((unsigned char)text->data[0]) && digits < 3) {
        number = 10 * number + (text->data[0] - '0');
        digits++;
        text->data++, text->len--;
    }
    return digits ? number : -1;
}

static bool take_char(struct str *text, char c)
{
    if (!text->len || ascii_lower(text->data[0]) != c)
        return false;
    text->data++, text->len--;
    return true;
}

/* "x", "7" or "501-513". */
static bool take_range(struct str *text, int *ret_min, int *ret_max)
{
    if (take_char(text, 'x')) {
        *ret_min = 0;
        *ret_max = 999;
        return true;
    }
    *ret_min = *ret_max = take_number(text);
    if (*ret_min >= 0 && take_char(text, '-'))
        *ret_max = take_number(text);
    return *ret_min >= 0 && *ret_max >= *ret_min;
}

bool status_range_parse(struct str text, struct status_range *ret_range)
{
    if (str_equal(text, STR("none"))) {
        ret_range->cls = NO_STATUS;
        return true;
    }
    if (!text.len || !strchr("245xX", text.data[0]))
        return false;
    ret_range->cls = take_char(&text, 'x') ? 0 : take_number(&text);
    if (ret_range->cls > 5 || !take_char(&text, '.'))
        return false;
    return take_range(&text, &ret_range->subject_min, &ret_range->subject_max) &&
           take_char(&text, '.') &&
           take_range(&text, &ret_range->detail_min, &ret_range->detail_max) && !text.len;
}

bool reply_range_parse(struct str text, struct reply_range *ret_range)
{
    *ret_range = (struct reply_range){0, 0};
    if (str_equal(text, STR("none")))
        return true;
    if (text.len != 3 || text.data[0] < '2' || text.data[0] > '5')
        return false;
    bool open = false;
    for (size_t i = 0; i < 3; i++) {
        bool any = ascii_lower(text.data[i]) == 'x';
        if (!any && (open || !isdigit((unsigned char)text.data[i])))
            return false;
        open = any;
        ret_range->min = 10 * ret_range->min + (any ? 0 : text.data[i] - '0');
        ret_range->max = 10 * ret_range->max + (any ? 9 : text.data[i] - '0');
    }
    return true;
}

bool status_range_holds(const struct status_range *range, const struct status_code *code)
{
    if (range->cls == NO_STATUS || code->cls == 0)
        return range->cls == NO_STATUS && code->cls == 0;
    return (range->cls == 0 || range->cls == code->cls) && code->subject >= range->subject_min &&
           code->subject <= range->subject_max && code->detail >= range->detail_min &&
           code->detail <= range->detail_max;
}

bool status_range_covers(const struct status_range *a, const struct status_range *b)
{
    if (a->cls == NO_STATUS || b->cls == NO_STATUS)
        return a->cls == b->cls;
    return (a->cls == 0 || a->cls == b->cls) && a->subject_min <= b->subject_min &&
           a->subject_max >= b->subject_max && a->detail_min <= b->detail_min &&
           a->detail_max >= b->detail_max;
}

bool reply_range_holds(const struct reply_range *range, int reply)
{
    return reply >= range->min && reply <= range->max;
}

bool reply_range_covers(const struct reply_range *a, const struct reply_range *b)
{
    return a->min <= b->min && a->max >= b->max;
}
