/* A report as a page of HTML: charts as SVG within it, nothing loaded, no script. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/report.h"
#include "embedded.h"

#define BAR_WIDTH 560 /* of half a row */
#define BAR_WIDTH_WIDE 1160
#define BAR_HEIGHT 150
#define INTERVALS_MAX 20

/* --- texts --- */

static void put(struct buf *out, const char *text)
{
    buf_str(out, str_of(text));
}

/* A text that somebody else made, as content or within double quotes. */
static void put_text(struct buf *out, const char *text)
{
    struct str all = str_of(text);
    for (size_t at = 0, len; at < all.len; at += len ? len : 1) {
        len = utf8_len(all, at);
        unsigned char c = (unsigned char)all.data[at];
        if (!len || c < 0x20 || c == 0x7f)
            put(out, "\xef\xbf\xbd");
        else if (c == '&')
            put(out, "&amp;");
        else if (c == '<')
            put(out, "&lt;");
        else if (c == '>')
            put(out, "&gt;");
        else if (c == '"')
            put(out, "&quot;");
        else
            buf_append(out, all.data + at, len);
    }
}

/* 1234567 as 1,234,567. */
static void put_count(struct buf *out, int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, number);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            put(out, ",");
        buf_append(out, &digits[i], 1);
    }
}

static void put_percent(struct buf *out, double share)
{
    buf_printf(out, share > 0 && share < 0.0995 ? "%.1f %%" : "%.0f %%", share * 100);
}

static void put_day(struct buf *out, int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NULL) {
        put(out, "–");
        return;
    }
    clock_format(time_ms, text);
    buf_append(out, text, 10);
}

static void open_section(struct buf *out, const char *kind, const char *title, const char *note)
{
    buf_printf(out, "<section%s>\n<h2>%s</h2>\n<p class=\"note\">%s</p>\n", kind, title, note);
}

static void figure(struct buf *out, const char *name, int64_t number)
{
    buf_printf(out, "<div><dt>%s</dt><dd>", name);
    put_count(out, number);
    put(out, "</dd></div>");
}

/* --- charts --- */

struct bars {
    const char *about; /* what is shown, for those who do not see it */
    const int64_t *values;
    const char *const *names; /* below each bar; NULL: none */
    int count;
    bool backwards;           /* values[0] is the last one */
    const char *first, *last; /* below the ends, if there are no names */
    const char *fill;
    bool wide;
};

static void put_bars(struct buf *out, const struct bars *bars)
{
    int64_t most = 1;
    int all = bars->wide ? BAR_WIDTH_WIDE : BAR_WIDTH;
    double step = (double)all / bars->count, width = step * (bars->count > 12 ? 0.7 : 0.62);
    for (int i = 0; i < bars->count; i++)
        most = bars->values[i] > most ? bars->values[i] : most;
    buf_printf(out,
               "<svg class=\"chart %s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
               bars->fill, all, BAR_HEIGHT + 44, bars->about);
    buf_printf(out, "<path class=\"axis\" d=\"M0 %d.5H%d\"/>\n", BAR_HEIGHT + 20, all);
    for (int i = 0; i < bars->count; i++) {
        int64_t value = bars->values[bars->backwards ? bars->count - 1 - i : i];
        double height = (double)value / (double)most * BAR_HEIGHT;
        double x = step * i + (step - width) / 2, middle = step * i + step / 2;
        height = value && height < 1.5 ? 1.5 : height;
        buf_printf(out,
                   "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                   "rx=\"2\"><title>",
                   x, BAR_HEIGHT + 20 - height, width, height);
        if (bars->names)
            buf_printf(out, "%s: ", bars->names[i]);
        put_count(out, value);
        put(out, "</title></rect>\n");
        if (value && (bars->count <= 12 || value == most)) {
            buf_printf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                       middle, BAR_HEIGHT + 14 - height);
            put_count(out, value);
            put(out, "</text>\n");
        }
        if (bars->names)
            buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", middle,
                       BAR_HEIGHT + 38, bars->names[i]);
    }
    if (!bars->names)
        buf_printf(out,
                   "<text x=\"0\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\" "
                   "text-anchor=\"end\">%s</text>\n",
                   BAR_HEIGHT + 38, bars->first, all, BAR_HEIGHT + 38, bars->last);
    put(out, "</svg>\n");
}

/* The least of the usual steps that `share` does not exceed. */
static double scale_of(double share)
{
    static const double steps[] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (share <= steps[i])
            return steps[i];
    return 1;
}

/* Share and interval of each domain, over the interval of all others. */
static void put_intervals(struct buf *out, const struct report_domain *domains, size_t count)
{
    enum { WIDTH = 1080, LEFT = 300, RIGHT = 1000, ROW = 26 };
    double most = 0;
    count = count < INTERVALS_MAX ? count : INTERVALS_MAX;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fmax(domains[i].share.upper, domains[i].others.upper));
    most = scale_of(most);
    int height = (int)count * ROW + 40;
    buf_printf(
        out,
        "<div class=\"scroll\"><svg class=\"chart broad\" viewBox=\"0 0 %d %d\" role=\"img\" "
        "aria-label=\"Share of disabled mailboxes by domain, with its interval\">\n",
        WIDTH, height);
    for (int tick = 0; tick <= 4; tick++) {
        double x = LEFT + (RIGHT - LEFT) * tick / 4.0;
        buf_printf(out,
                   "<path class=\"axis\" d=\"M%.1f 0V%d\"/><text x=\"%.1f\" y=\"%d\" "
                   "text-anchor=\"middle\">",
                   x, height - 28, x, height - 8);
        put_percent(out, most * tick / 4);
        put(out, "</text>\n");
    }
    for (size_t i = 0; i < count; i++) {
        const struct report_domain *domain = &domains[i];
        double y = (double)i * ROW + ROW / 2.0, unit = (RIGHT - LEFT) / most;
        char name[48];
        snprintf(name, sizeof(name), "%s", domain->name); /* an A-label: octets are letters */
        buf_printf(out, "<g%s><title>", domain->unusual ? " class=\"unusual\"" : "");
        put_text(out, domain->name);
        put(out, ": ");
        put_percent(out, domain->share.value);
        put(out, ", at least ");
        put_percent(out, domain->share.lower);
        put(out, "; all others at most ");
        put_percent(out, domain->others.upper);
        put(out, "</title>");
        buf_printf(out, "<text class=\"name\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 14,
                   y + 4);
        put_text(out, name);
        put(out, strlen(domain->name) >= sizeof(name) ? "…</text>" : "</text>");
        buf_printf(out,
                   "<rect class=\"others\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>",
                   LEFT + domain->others.lower * unit, y - 9,
                   fmax(2, (domain->others.upper - domain->others.lower) * unit), 18);
        buf_printf(out,
                   "<path class=\"whisker\" d=\"M%.1f %.1fH%.1f\"/><circle class=\"point\" "
                   "cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/></g>\n",
                   LEFT + domain->share.lower * unit, y, LEFT + domain->share.upper * unit,
                   LEFT + domain->share.value * unit, y);
    }
    put(out, "</svg></div>\n");
}

static void put_spark(struct buf *out, const uint32_t weeks[REPORT_DOMAIN_WEEKS])
{
    uint32_t most = 1;
    for (int i = 0; i < REPORT_DOMAIN_WEEKS; i++)
        most = weeks[i] > most ? weeks[i] : most;
    buf_printf(out,
               "<svg class=\"spark\" viewBox=\"0 0 104 24\" role=\"img\" aria-label=\"Episodes by "
               "week, at most %u\">",
               most);
    for (int i = 0; i < REPORT_DOMAIN_WEEKS; i++) {
        double height = 22.0 * weeks[REPORT_DOMAIN_WEEKS - 1 - i] / most;
        buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"6.5\" height=\"%.1f\"/>", i * 8.7,
                   23 - height, height + 1);
    }
    put(out, "</svg>");
}

/* --- sections --- */

static void put_statuses(struct buf *out, const struct report_totals *totals)
{
    static const char *const names[RECIPIENT_STATUS_COUNT] = {"active", "suspended", "suppressed"};
    put(out, "<section class=\"wide\">\n<dl class=\"figures\">");
    figure(out, "known recipients", totals->known);
    for (int i = 0; i < RECIPIENT_STATUS_COUNT; i++) {
        buf_printf(out, "<div><dt><i class=\"dot %s\"></i>%s</dt><dd>", names[i], names[i]);
        put_count(out, totals->by_status[i]);
        put(out, " <small>");
        put_percent(out, totals->known ? (double)totals->by_status[i] / (double)totals->known : 0);
        put(out, "</small></dd></div>");
    }
    figure(out, "disabled mailboxes", totals->disabled);
    put(out, "</dl>\n<div class=\"stack\" role=\"img\" aria-label=\"Recipients by status\">");
    for (int i = 0; i < RECIPIENT_STATUS_COUNT; i++)
        if (totals->by_status[i])
            buf_printf(out, "<i class=\"%s\" style=\"flex:%" PRId64 "\"></i>", names[i],
                       totals->by_status[i]);
    put(out, "</div>\n</section>\n");
}

static void put_weeks(struct buf *out, const struct report_totals *totals, const char *kind)
{
    open_section(out, kind, "Mailboxes that went silent, by week",
                 "Episodes opened; a recipient may have several.");
    put_bars(out, &(struct bars){.about = "Episodes opened in each of the last 26 weeks",
                                 .values = totals->weeks,
                                 .count = REPORT_WEEKS,
                                 .backwards = true,
                                 .first = "26 weeks ago",
                                 .last = "this week",
                                 .wide = *kind != 0,
                                 .fill = ""});
    put(out, "</section>\n");
}

static void put_ages(struct buf *out, const struct report_totals *totals)
{
    open_section(out, "", "How long suspensions have lasted",
                 "Suspended recipients, by the age of their episode.");
    put_bars(out, &(struct bars){.about = "Suspended recipients by age",
                                 .values = totals->by_age,
                                 .names = report_age_names,
                                 .count = REPORT_AGES,
                                 .fill = "suspended"});
    put(out, "</section>\n");
}

static void put_suppressions(struct buf *out, const struct report_totals *totals)
{
    static const char *const names[] = {"all attempts failed", "hard bounce", "by hand"};
    const int64_t values[] = {totals->by_suppression[SUPPRESSION_ATTEMPTS_EXHAUSTED],
                              totals->by_suppression[SUPPRESSION_HARD_BOUNCE],
                              totals->by_suppression[SUPPRESSION_MANUAL]};
    open_section(out, "", "Why recipients are suppressed",
                 "Off the list, until a delivery or an operator lifts it.");
    put_bars(out, &(struct bars){.about = "Suppressed recipients by reason",
                                 .values = values,
                                 .names = names,
                                 .count = 3,
                                 .fill = "suppressed"});
    put(out, "</section>\n");
}

static void put_findings(struct buf *out, const struct report_page *page)
{
    const struct report_totals *totals = page->totals;
    open_section(out, "", "What the list should be cleaned of",
                 "Each recipient is counted once, by the first that is true.");
    static const char *const names[] = {"suppressed", "suspended long", "often disabled"};
    put_bars(out, &(struct bars){.about = "Recipients by finding",
                                 .values = totals->by_finding,
                                 .names = names,
                                 .count = FINDING_NONE,
                                 .fill = ""});
    put(out, "</section>\n");
}

static void put_episodes(struct buf *out, const struct report_page *page)
{
    static const char *const names[] = {"1", "2", "3", "4", "5", "6", "7", "8 or more"};
    char note[128];
    snprintf(note, sizeof(note), "Recipients by episodes within the last %" PRId64 " days.",
             page->options->policies->frequent_window_ms / 86400000);
    open_section(out, "", "How often mailboxes are disabled", note);
    put_bars(out, &(struct bars){.about = "Recipients by number of episodes",
                                 .values = page->totals->by_episodes + 1,
                                 .names = names,
                                 .count = REPORT_EPISODES,
                                 .fill = ""});
    put(out, "</section>\n");
}

static void put_state(struct buf *out, enum recipient_status status)
{
    static const char *const names[RECIPIENT_STATUS_COUNT] = {"active", "suspended", "suppressed"};
    buf_printf(out, "<td class=\"state\"><i class=\"dot %s\"></i>%s</td>", names[status],
               names[status]);
}

static void put_row(struct buf *out, const struct report_page *page, const struct report_row *row)
{
    const struct report_person *person = &row->person;
    put(out, "<tr><th scope=\"row\">");
    put_text(out, row->recipient);
    put(out, "</th>");
    put_state(out, person->status);
    if (page->kind == REPORT_FREQUENT) {
        buf_printf(out, "<td class=\"number\">%" PRId64 "</td><td>", person->episodes);
        put_day(out, person->opened_ms);
        put(out, "</td><td class=\"optional\">");
        put_text(out, row->last_status);
        put(out, "</td></tr>\n");
        return;
    }
    buf_printf(out, "<td>%s</td><td>",
               person->finding == FINDING_SUPPRESSED       ? "suppressed"
               : person->finding == FINDING_SUSPENDED_LONG ? "suspended long"
                                                           : "often disabled");
    put_text(out, person->finding == FINDING_SUPPRESSED
                      ? suppression_reason_names[row->suppressed_by]
                      : row->reason);
    put(out, "</td><td>");
    put_day(out, person->since_ms);
    put(out, "</td><td class=\"number\">");
    if (person->days >= 0)
        buf_printf(out, "%" PRId64, person->days);
    put(out, "</td><td class=\"optional\">");
    put_text(out, row->last_status);
    put(out, "</td></tr>\n");
}

static void put_rows(struct buf *out, const struct report_page *page)
{
    char note[160];
    snprintf(note, sizeof(note),
             "%zu of %" PRId64 "; the whole list comes with -o csv or -o jsonl.", page->row_count,
             page->row_total);
    open_section(out, " class=\"wide\"", "Recipients", note);
    if (!page->row_count)
        put(out, "<p class=\"none\">There are none.</p>\n");
    else if (page->kind == REPORT_FREQUENT)
        put(out, "<div class=\"scroll\"><table><thead><tr><th>recipient</th><th>status</th>"
                 "<th class=\"number\">episodes</th><th>last one</th>"
                 "<th class=\"optional\">last status</th></tr></thead><tbody>\n");
    else
        put(out, "<div class=\"scroll\"><table><thead><tr><th>recipient</th><th>status</th>"
                 "<th>finding</th><th>reason</th><th>since</th><th class=\"number\">days</th>"
                 "<th class=\"optional\">last status</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < page->row_count; i++)
        put_row(out, page, &page->rows[i]);
    put(out, page->row_count ? "</tbody></table></div>\n</section>\n" : "</section>\n");
}

static void put_domain(struct buf *out, const struct report_domain *domain)
{
    put(out, "<tr><th scope=\"row\">");
    put_text(out, domain->name);
    put(out, "</th><td class=\"number\">");
    put_count(out, domain->known);
    put(out, "</td><td class=\"number\">");
    put_count(out, domain->disabled);
    buf_printf(out, "</td><td class=\"number%s\">", domain->unusual ? " high" : "");
    put_percent(out, domain->share.value);
    put(out, "</td><td class=\"number optional\">");
    put_percent(out, domain->share.lower);
    put(out, " – ");
    put_percent(out, domain->share.upper);
    put(out, "</td><td class=\"number\">");
    put_count(out, domain->previous);
    put(out, " → ");
    put_count(out, domain->recent);
    put(out, domain->trend > 0   ? "</td><td class=\"rising\">rising</td><td class=\"optional\">"
             : domain->trend < 0 ? "</td><td class=\"falling\">falling</td><td class=\"optional\">"
                                 : "</td><td></td><td class=\"optional\">");
    put_spark(out, domain->weeks);
    put(out, "</td></tr>\n");
}

static void put_domains(struct buf *out, const struct report_page *page)
{
    size_t shown = page->domain_count < REPORT_ROWS_MAX ? page->domain_count : REPORT_ROWS_MAX;
    char note[256];
    open_section(out, " class=\"wide\"", "Domains, by the least their share can be",
                 "Point and line: share of disabled mailboxes among the known recipients, and its "
                 "interval. Grey: the same of all other domains. Red: unusual.");
    if (shown)
        put_intervals(out, page->domains, shown);
    else
        put(out, "<p class=\"none\">There are none with so many recipients.</p>\n");
    put(out, "</section>\n");
    snprintf(note, sizeof(note),
             "%zu of %zu domains with %" PRId64 " known recipients or more. Change: recipients "
             "with an episode opened in the %d weeks before and in the last %d weeks.",
             shown, page->domain_count, page->options->min_recipients, REPORT_WINDOW_WEEKS,
             REPORT_WINDOW_WEEKS);
    open_section(out, " class=\"wide\"", "Change over time", note);
    put(out,
        "<div class=\"scroll\"><table><thead><tr><th>domain</th><th class=\"number\">known</th>"
        "<th class=\"number\">disabled</th><th class=\"number\">share</th>"
        "<th class=\"number optional\">interval</th><th class=\"number\">change</th><th></th>"
        "<th class=\"optional\">12 weeks</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < shown; i++)
        put_domain(out, &page->domains[i]);
    put(out, "</tbody></table></div>\n</section>\n");
}

/* --- the page --- */

static void put_head(struct buf *out, const struct report_page *page, const char *title,
                     const char *about)
{
    char time[32];
    clock_format(page->options->now_ms, time);
    put(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n");
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, "report.html") == 0)
            buf_append(out, file->data, file->size);
    buf_printf(out, "<title>%s · ", title);
    put_text(out, page->app);
    buf_printf(out, "</title>\n</head>\n<body>\n<header><h1>%s</h1><p>%s</p><p>", title, about);
    put_text(out, page->app);
    buf_printf(out, ", as of <time datetime=\"%s\">%.10s %.5s UTC</time></p></header>\n", time,
               time, time + 11);
    put(out, "<main class=\"cards\">\n");
}

static void put_foot(struct buf *out, const struct report_page *page)
{
    put(out, "</main>\n<footer><p>Known are recipients that have bounced at least once: healthy "
             "addresses that never did cost no state and are not counted. ");
    put_count(out, page->totals->lapsed);
    put(out, " suspensions that have gone stale count as active.</p>");
    if (page->kind == REPORT_DOMAINS)
        put(out,
            "<p>Disabled: suspended because the mailbox is disabled, or suppressed after all "
            "attempts have failed. The intervals are Wilson's, and so wide that of all domains "
            "compared one is marked by chance in one report of a hundred.</p>");
    put(out, "</footer>\n</body>\n</html>\n");
}

void report_html(const struct report_page *page, struct buf *out)
{
    switch (page->kind) {
    case REPORT_HYGIENE:
        put_head(out, page, "List hygiene", "Whom a mailing should leave out, and why.");
        put_statuses(out, page->totals);
        put_findings(out, page);
        put_suppressions(out, page->totals);
        put_ages(out, page->totals);
        put_weeks(out, page->totals, "");
        put_rows(out, page);
        break;
    case REPORT_FREQUENT:
        put_head(out, page, "Often disabled",
                 "Recipients whose mailbox comes and goes: fewer mails may keep them.");
        put_statuses(out, page->totals);
        put_episodes(out, page);
        put_weeks(out, page->totals, "");
        put_rows(out, page);
        break;
    case REPORT_DOMAINS:
        put_head(out, page, "Domains",
                 "Where unusually many mailboxes are disabled, and where that changes.");
        put_statuses(out, page->totals);
        put_domains(out, page);
        put_weeks(out, page->totals, " class=\"wide\"");
        break;
    }
    put_foot(out, page);
}
