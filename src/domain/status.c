#include "domain/status.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

/* One to three digits at `*at`, which moves behind them; -1 if there are none or more. */
static int number_at(struct str text, size_t *at)
{
    size_t i = *at;
    int number = 0;
    while (i < text.len && is_digit(text.data[i]) && i - *at < 3)
        number = 10 * number + (text.data[i++] - '0');
    if (i == *at || (i < text.len && is_digit(text.data[i])))
        return -1;
    *at = i;
    return number;
}

/* A status code that begins at `*at`, which moves behind it. */
static bool status_at(struct str text, size_t *at, struct status_code *ret_code)
{
    size_t i = *at;
    if (text.len - i < 5 || text.data[i + 1] != '.')
        return false;
    char first = text.data[i];
    if (first != '2' && first != '4' && first != '5')
        return false;
    i += 2;
    int subject = number_at(text, &i);
    if (subject < 0 || i >= text.len || text.data[i] != '.')
        return false;
    i++;
    int detail = number_at(text, &i);
    if (detail < 0)
        return false;
    *ret_code = (struct status_code){first - '0', subject, detail};
    *at = i;
    return true;
}

bool status_parse(struct str text, struct status_code *ret_code)
{
    size_t at = 0, end = text.len;
    struct status_code code;
    while (at < end && (text.data[at] == ' ' || text.data[at] == '\t'))
        at++;
    while (end > at && (text.data[end - 1] == ' ' || text.data[end - 1] == '\t'))
        end--;
    if (!status_at((struct str){text.data, end}, &at, &code) || at != end)
        return false;
    *ret_code = code;
    return true;
}

bool status_find(struct str text, struct status_code *ret_code)
{
    for (size_t i = 0; i + 5 <= text.len; i++) {
        size_t end = i;
        struct status_code code;
        if (text.data[i + 1] != '.' ||
            (i > 0 && (is_word(text.data[i - 1]) || text.data[i - 1] == '.')))
            continue;
        if (!status_at(text, &end, &code) || code.subject > STATUS_SUBJECT_MAX)
            continue;
        /* "5.1.1." ends a sentence, "5.1.1.7" is an address. */
        bool dot = end < text.len && text.data[end] == '.';
        char next = end + dot < text.len ? text.data[end + dot] : ' ';
        if (dot ? is_digit(next) : is_word(next))
            continue;
        *ret_code = code;
        return true;
    }
    return false;
}

int reply_find(struct str text)
{
    if (text.len < 3 || text.data[0] < '2' || text.data[0] > '5')
        return 0;
    if (!is_digit(text.data[1]) || !is_digit(text.data[2]))
        return 0;
    if (text.len > 3 && (is_word(text.data[3]) || text.data[3] == '.'))
        return 0;
    return 100 * (text.data[0] - '0') + 10 * (text.data[1] - '0') + (text.data[2] - '0');
}
