#include "domain/letters.h"

#include <stdint.h>

#include "base/utf8.h"

/* The forms of U+00A0 to U+017F; '.' where it is not one octet, '*' for "?". */
static const char latin[] = " *********a\"*.******'***,*o\"****"
                            "aaaaaa.ceeeeiiiidnooooo*ouuuuy.."
                            "aaaaaa.ceeeeiiiidnooooo*ouuuuy.y"
                            "aaaaaaccccccccddddeeeeeeeeeegggg"
                            "gggghhhhiiiiiiiiii..jjkkklllllll"
                            "lllnnnnnn.nnoooooo..rrrrrrssssss"
                            "ssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
#define LATIN_FIRST 0xa0u
_Static_assert(sizeof(latin) - 1 == 0x180 - LATIN_FIRST, "a form for each");

/* Forms of other lengths; the first one of a range counts for all of it. */
static const struct form {
    uint32_t first, last;
    const char *octets;
} forms[] = {
    {0xad, 0xad, ""},        {0xc6, 0xc6, "ae"},     {0xde, 0xde, "th"},     {0xdf, 0xdf, "ss"},
    {0xe6, 0xe6, "ae"},      {0xfe, 0xfe, "th"},     {0x132, 0x133, "ij"},   {0x149, 0x149, "'n"},
    {0x152, 0x153, "oe"},    {0x300, 0x36f, ""},     {0x1e9e, 0x1e9e, "ss"}, {0x2000, 0x200a, " "},
    {0x200b, 0x200f, ""},    {0x2010, 0x2015, "-"},  {0x2018, 0x201b, "'"},  {0x201c, 0x201f, "\""},
    {0x2026, 0x2026, "..."}, {0x2028, 0x2029, "\n"}, {0x202a, 0x202e, ""},   {0x202f, 0x202f, " "},
    {0x2039, 0x203a, "'"},   {0x205f, 0x205f, " "},  {0x2060, 0x2064, ""},   {0x212a, 0x212a, "k"},
    {0x212b, 0x212b, "a"},   {0x3000, 0x3000, " "},  {0xfb01, 0xfb01, "fi"}, {0xfb02, 0xfb02, "fl"},
    {0xfe00, 0xfe0f, ""},    {0xfeff, 0xfeff, ""},   {0xfffd, 0xfffd, "?"},
};

/* Windows-1252 between 0x80 and 0x9F, as far as it is punctuation or a letter. */
static const char windows[] = "**'*\".****s'o*z*"
                              "*''\"\"*--**s'o*zy";
_Static_assert(sizeof(windows) - 1 == 0x20, "a form for each");

static uint32_t code_point(const char *p, size_t len)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = (unsigned char)p[0] & lead[len];
    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)p[i] & 0x3f);
    return point;
}

static struct letter letter_of(size_t used, const char *octets, size_t len)
{
    struct letter letter = {used, len, {0}};
    memcpy(letter.octets, octets, len);
    return letter;
}

/* From one of the tables. */
static struct letter letter_from(size_t used, char c)
{
    return letter_of(used, c == '*' ? "?" : &c, 1);
}

static const struct form *find_form(uint32_t point)
{
    size_t low = 0, high = sizeof(forms) / sizeof(forms[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (forms[middle].last < point)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < sizeof(forms) / sizeof(forms[0]) && forms[low].first <= point;
    return found ? &forms[low] : NULL;
}

/* `p`: `used` octets of a text that stand for `point`. */
static struct letter fold_point(uint32_t point, const char *p, size_t used)
{
    const struct form *form = find_form(point);
    if (form)
        return letter_of(used, form->octets, strlen(form->octets));
    if (point >= LATIN_FIRST && point < LATIN_FIRST + sizeof(latin) - 1)
        return letter_from(used, latin[point - LATIN_FIRST]);
    if (point >= 0xff01 && point <= 0xff5e) { /* fullwidth forms */
        char c = ascii_lower((char)(point - 0xff01 + '!'));
        return letter_of(used, &c, 1);
    }
    if (point < LATIN_FIRST)
        return letter_of(used, "?", 1);
    return letter_of(used, p, used);
}

/* "Ã©", which is é in UTF-8 taken for one octet per letter; 0 if it is not. */
static uint32_t twice_encoded(struct str text, size_t at, uint32_t point)
{
    if ((point != 0xc2 && point != 0xc3) || utf8_len(text, at + 2) != 2)
        return 0;
    uint32_t next = code_point(text.data + at + 2, 2);
    return next >= 0x80 && next <= 0xbf ? (point & 3) << 6 | (next & 0x3f) : 0;
}

struct letter letter_fold(struct str text, size_t at)
{
    const char *p = text.data + at;
    unsigned char first = (unsigned char)*p;
    size_t len = utf8_len(text, at);
    if (first < 0x80) {
        char c = ascii_lower(*p);
        return letter_of(1, &c, 1);
    }
    if (len == 0)
        return first < LATIN_FIRST ? letter_from(1, windows[first - 0x80])
                                   : fold_point(first, p, 1);
    uint32_t point = code_point(p, len);
    uint32_t mended = at + 4 <= text.len ? twice_encoded(text, at, point) : 0;
    return mended ? fold_point(mended, p, 4) : fold_point(point, p, len);
}
