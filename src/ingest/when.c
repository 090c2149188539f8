#include "ingest/when.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS_MAX 1e11 /* beyond: milliseconds */

/* `count` digits at `*at`, which moves behind them; -1 if they are not there. */
static int digits(struct str text, size_t *at, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        if (*at >= text.len || text.data[*at] < '0' || text.data[*at] > '9')
            return -1;
        number = 10 * number + (text.data[(*at)++] - '0');
    }
    return number;
}

static bool expect(struct str text, size_t *at, const char *any)
{
    if (*at >= text.len || !strchr(any, text.data[*at]))
        return false;
    (*at)++;
    return true;
}

/* Milliseconds of ".123456"; 0 without a fraction. */
static int fraction_ms(struct str text, size_t *at)
{
    int ms = 0, place = 100;
    if (!expect(text, at, ".,"))
        return 0;
    while (*at < text.len && text.data[*at] >= '0' && text.data[*at] <= '9') {
        ms += (text.data[(*at)++] - '0') * place;
        place /= 10;
    }
    return ms;
}

/* Seconds east of UTC; false if what stands there is no zone. */
static bool zone(struct str text, size_t at, int *ret_seconds)
{
    *ret_seconds = 0;
    if (at == text.len || (at + 1 == text.len && expect(text, &at, "Zz")))
        return true;
    bool west = text.data[at] == '-';
    if (!expect(text, &at, "+-"))
        return false;
    int hours = digits(text, &at, 2);
    (void)expect(text, &at, ":");
    int minutes = at == text.len ? 0 : digits(text, &at, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || at != text.len)
        return false;
    *ret_seconds = (west ? -1 : 1) * (3600 * hours + 60 * minutes);
    return true;
}

int64_t when_rfc3339(struct str text)
{
    struct tm tm = {0};
    size_t at = 0;
    int offset, year = digits(text, &at, 4);
    bool date = year >= 0 && expect(text, &at, "-") && (tm.tm_mon = digits(text, &at, 2)) >= 1 &&
                tm.tm_mon <= 12 && expect(text, &at, "-") &&
                (tm.tm_mday = digits(text, &at, 2)) >= 1 && tm.tm_mday <= 31;
    bool clock = date && expect(text, &at, "Tt ") && (tm.tm_hour = digits(text, &at, 2)) >= 0 &&
                 tm.tm_hour <= 23 && expect(text, &at, ":") &&
                 (tm.tm_min = digits(text, &at, 2)) >= 0 && tm.tm_min <= 59 &&
                 expect(text, &at, ":") && (tm.tm_sec = digits(text, &at, 2)) >= 0 &&
                 tm.tm_sec <= 60;
    if (!clock)
        return TIME_NULL;
    int ms = fraction_ms(text, &at);
    if (!zone(text, at, &offset))
        return TIME_NULL;
    tm.tm_year = year - 1900;
    tm.tm_mon--;
    return ((int64_t)timegm(&tm) - offset) * 1000 + ms;
}

int64_t when_epoch_number(double number)
{
    if (!isfinite(number) || number < 0 || number > 1e15)
        return TIME_NULL;
    return llround(number < SECONDS_MAX ? number * 1000 : number);
}

int64_t when_epoch(struct str text)
{
    char digits_only[32], *end;
    if (text.len == 0 || text.len >= sizeof(digits_only))
        return TIME_NULL;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789.", text.data[i]) || !text.data[i])
            return TIME_NULL;
    memcpy(digits_only, text.data, text.len);
    digits_only[text.len] = '\0';
    double number = strtod(digits_only, &end);
    return *end ? TIME_NULL : when_epoch_number(number);
}
