/* The rules compiled in, on replies of mail servers as they are met: tests/data/replies.tsv,
 * tests/data/others-faults.txt, and every combination of the family around 4.2.1. */
#include "command.h"

#include "cli/settings.h"
#include "ops/text_file.h"
#include "replies.h"

static struct rule_set *rules;

static int load_rules(void **unused)
{
    (void)unused;
    struct err err;
    if (settings_rules(NULL, &rules, &err) == OK)
        return 0;
    fprintf(stderr, "%s\n", err.text);
    return -1;
}

static int free_rules(void **unused)
{
    (void)unused;
    rule_set_free(rules);
    return 0;
}

static void each_reply_has_its_class(void **unused)
{
    (void)unused;
    struct replies replies;
    struct err err;
    if (replies_load(&replies, &err) != OK)
        fail_msg("%s", err.text);
    struct classifier *classifier = classifier_new(rules);
    int wrong = 0;
    for (int i = 0; i < replies.count; i++) {
        const struct reply *reply = &replies.replies[i];
        struct verdict verdict;
        classify(classifier, &reply->facts, &verdict);
        if (verdict.bounce_class == reply->bounce_class)
            continue;
        print_error("replies.tsv:%d: %.*s: %s by %.*s, not %s: %.*s\n", reply->line,
                    STR_ARG(reply->provider), bounce_class_names[verdict.bounce_class],
                    STR_ARG(verdict.rule), bounce_class_names[reply->bounce_class],
                    STR_ARG(reply->facts.diagnostic));
        wrong++;
    }
    assert_int_equal(wrong, 0);
    assert_true(replies.count >= 250);
    classifier_free(classifier);
    replies_free(&replies);
}

/* Its 5xx and 5.x.x made 450 and 4.x.x. */
static struct str temporary(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len);
    memcpy(copy, text.data, text.len);
    for (size_t i = 0; i + 3 <= text.len; i++) {
        bool word = i == 0 || strchr(" \n-\"'>#", copy[i - 1]);
        if (!word || copy[i] != '5')
            continue;
        if (reply_find((struct str){copy + i, text.len - i}))
            memcpy(copy + i, "450", 3);
        else if (copy[i + 1] == '.')
            copy[i] = '4';
    }
    return (struct str){copy, text.len};
}

static void what_is_said_for_now_is_never_for_good(void **unused)
{
    (void)unused;
    struct replies replies;
    struct err err;
    if (replies_load(&replies, &err) != OK)
        fail_msg("%s", err.text);
    struct classifier *classifier = classifier_new(rules);
    int tried = 0;
    for (int i = 0; i < replies.count; i++) {
        struct bounce_facts facts = replies.replies[i].facts;
        struct verdict verdict;
        if (replies.replies[i].bounce_class != CLASS_HARD)
            continue;
        facts.diagnostic = temporary(&replies.arena, facts.diagnostic);
        facts.status = temporary(&replies.arena, facts.status);
        facts.reply_code = 450;
        classify(classifier, &facts, &verdict);
        if (verdict.bounce_class == CLASS_HARD)
            fail_msg("HARD by %.*s: %.*s", STR_ARG(verdict.rule), STR_ARG(facts.diagnostic));
        tried++;
    }
    assert_true(tried >= 60);
    classifier_free(classifier);
    replies_free(&replies);
}

static void others_faults_are_held_against_no_recipient(void **unused)
{
    (void)unused;
    struct buf file = {0};
    struct err err;
    if (text_file_read(SOURCE_DIR "/tests/data/others-faults.txt", 1 << 20, &file, &err) != OK)
        fail_msg("%s", err.text);
    struct classifier *classifier = classifier_new(rules);
    int held = 0, tried = 0;
    for (size_t start = 0, end; start < file.len; start = end + 1) {
        const char *feed = memchr(file.data + start, '\n', file.len - start);
        end = feed ? (size_t)(feed - file.data) : file.len;
        struct bounce_facts facts = {.diagnostic = {file.data + start, end - start}};
        struct verdict verdict;
        if (file.data[start] == '#')
            continue;
        classify(classifier, &facts, &verdict);
        tried++;
        if (verdict.bounce_class != CLASS_HARD && verdict.bounce_class != CLASS_SOFT)
            continue;
        print_error("%s by %.*s: %.*s\n", bounce_class_names[verdict.bounce_class],
                    STR_ARG(verdict.rule), STR_ARG(facts.diagnostic));
        held++;
    }
    assert_int_equal(held, 0);
    assert_true(tried >= 200);
    classifier_free(classifier);
    buf_deinit(&file);
}

/* --- the family of 4.2.1 --- */

struct phrase {
    const char *text;
    const char *stage; /* NULL: rcpt */
};

/* English, Italian, French, German, Spanish; accents as they are, left out, or spelled otherwise.
 */
static const struct phrase disabled[] = {
    {"<ada@example.com>: mailbox temporarily disabled", NULL},
    {"The email account that you tried to reach is disabled", NULL},
    {"This user's mailbox has been disabled", NULL},
    {"Recipient disabled", NULL},
    {"La casella di posta del destinatario è temporaneamente disabilitata", NULL},
    {"Account disattivato", NULL},
    {"La boîte aux lettres du destinataire est désactivée", NULL},
    {"Compte desactive", NULL},
    {"Das Postfach des Empfängers ist deaktiviert", NULL},
    {"Benutzerkonto wurde voruebergehend deaktiviert", NULL},
    {"El buzón está temporalmente deshabilitado", NULL},
    {"Cuenta desactivada", NULL},
};
static const struct phrase suspended[] = {
    {"Account suspended", NULL},
    {"The user ada@example.com has been suspended", NULL},
    {"This account has been temporarily suspended", NULL},
    {"Utenza sospesa", NULL},
    {"L'account ada@example.it risulta sospeso", NULL},
    {"Compte suspendu", NULL},
    {"L'adresse ada@example.fr est suspendue temporairement", NULL},
    {"Das Konto ist gesperrt", NULL},
    {"Postfach vorübergehend gesperrt", NULL},
    {"La cuenta ha sido suspendida", NULL},
    {"Usuario suspendido temporalmente", NULL},
};
static const struct phrase locked[] = {
    {"Account locked", NULL},
    {"mailbox is locked", NULL},
    {"User ada is currently locked out of the mailbox", NULL},
    {"Casella bloccata", NULL},
    {"L'utente è bloccato", NULL},
    {"Compte verrouillé", NULL},
    {"Le compte du destinataire est bloqué", NULL},
    {"Konto gesperrt", NULL},
    {"Das Postfach ist blockiert", NULL},
    {"Cuenta bloqueada", NULL},
    {"El buzón del usuario se encuentra bloqueado", NULL},
};
static const struct phrase inactive[] = {
    {"mailbox inactive", NULL},
    {"This account is inactive", NULL},
    {"Recipient address rejected: Inactive user", NULL},
    {"The mailbox is not active", NULL},
    {"Casella inattiva", NULL},
    {"Utente non attivo", NULL},
    {"Boîte inactive", NULL},
    {"L'utilisateur est inactif", NULL},
    {"Postfach inaktiv", NULL},
    {"Der Benutzer ist nicht aktiv", NULL},
    {"Buzón inactivo", NULL},
    {"La cuenta está inactiva", NULL},
};
/* What Gmail says; its three forms, and what others make of it. */
static const struct phrase rates[] = {
    {"The user you are trying to contact is receiving mail at a rate that prevents additional "
     "messages from being delivered",
     NULL},
    {"The user you are trying to contact is receiving mail too quickly", NULL},
    {"see https://support.google.com/mail/?p=ReceivingRate a1si234567wrb.12 - gsmtp", NULL},
    {"Troppi messaggi per questa casella, riprovare più tardi", NULL},
    {"Trop de messages pour ce destinataire, réessayez plus tard", NULL},
    {"Zu viele Nachrichten an diesen Empfänger", NULL},
    {"Demasiados mensajes para este buzón", NULL},
    {"Too many messages for this mailbox", NULL},
};
static const struct phrase refusals[] = {
    {"Service not accepting mail at this time, connection refused", "connect"},
    {"Server busy, please try again later", "connect"},
    {"connection refused", "connect"},
    {"Servizio temporaneamente non disponibile", "connect"},
    {"Connexion refusée", "connect"},
    {"Verbindung abgelehnt", "connect"},
    {"Servicio no disponible", "connect"},
};
static const struct phrase bare[] = {{"", NULL}};

static const int reply_codes[] = {421, 450, 452, 550, 554};

/* Checks one phrase with each reply code and status, with the codes in the text and beside it. */
static void assert_family(const struct phrase *phrases, size_t count,
                          bool (*is_right)(const struct bounce_facts *facts,
                                           const struct verdict *verdict))
{
    struct classifier *classifier = classifier_new(rules);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof(reply_codes) / sizeof(reply_codes[0]); j++)
            for (int form = 0; form < 6; form++) {
                static const char *const statuses[] = {"4.2.1", "5.2.1", NULL};
                const char *status = statuses[form / 2];
                char text[400];
                snprintf(text, sizeof(text), "%d %s%s%s", reply_codes[j], status ? status : "",
                         status ? " " : "", phrases[i].text);
                bool beside = form % 2;
                struct bounce_facts facts = {
                    .diagnostic = str_of(beside ? phrases[i].text : text),
                    .reply_code = beside ? reply_codes[j] : 0,
                    .status = beside ? str_of(status) : STR_NULL,
                    .stage = str_of(phrases[i].stage ? phrases[i].stage : "rcpt"),
                };
                struct verdict verdict;
                classify(classifier, &facts, &verdict);
                facts.reply_code = reply_codes[j];
                facts.status = str_of(status);
                if (!is_right(&facts, &verdict))
                    fail_msg("%d %s \"%s\": %s %s by %.*s", reply_codes[j], status ? status : "-",
                             phrases[i].text, bounce_class_names[verdict.bounce_class],
                             reason_names[verdict.reason], STR_ARG(verdict.rule));
            }
    classifier_free(classifier);
}
#define ASSERT_FAMILY(phrases, is_right)                                                           \
    assert_family((phrases), sizeof(phrases) / sizeof((phrases)[0]), is_right)

/* A temporary reply disables for now, a permanent one for longer. */
static bool is_disabled(const struct bounce_facts *facts, const struct verdict *verdict)
{
    return verdict->bounce_class == CLASS_SOFT &&
           verdict->reason == (facts->reply_code < 500 ? REASON_MAILBOX_DISABLED
                                                       : REASON_MAILBOX_DISABLED_PERMANENT);
}

static bool is_rate(const struct bounce_facts *facts, const struct verdict *verdict)
{
    (void)facts;
    return verdict->bounce_class == CLASS_TRANSIENT && verdict->reason == REASON_RATE_LIMITED;
}

/* Whatever it is, it is nobody's mailbox. */
static bool is_no_mailbox(const struct bounce_facts *facts, const struct verdict *verdict)
{
    return verdict->bounce_class == CLASS_TRANSIENT ||
           (facts->reply_code >= 500 && verdict->bounce_class == CLASS_POLICY);
}

/* Nothing but codes: x.2.1 says disabled; without it the reply code says what it can. */
static bool is_by_code(const struct bounce_facts *facts, const struct verdict *verdict)
{
    if (facts->status.data)
        return verdict->bounce_class == CLASS_SOFT &&
               verdict->reason == (facts->status.data[0] == '4'
                                       ? REASON_MAILBOX_DISABLED
                                       : REASON_MAILBOX_DISABLED_PERMANENT);
    return verdict->bounce_class == (facts->reply_code < 500    ? CLASS_TRANSIENT
                                     : facts->reply_code == 550 ? CLASS_UNKNOWN
                                                                : CLASS_POLICY);
}

static void a_disabled_mailbox_is_soft_in_every_form(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(disabled, is_disabled);
}

static void a_suspended_mailbox_is_soft_in_every_form(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(suspended, is_disabled);
}

static void a_locked_mailbox_is_soft_in_every_form(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(locked, is_disabled);
}

static void an_inactive_mailbox_is_soft_in_every_form(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(inactive, is_disabled);
}

static void a_rate_is_never_held_against_a_mailbox(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(rates, is_rate);
}

static void a_refusal_at_connect_is_nobodys_mailbox(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(refusals, is_no_mailbox);
}

static void nothing_but_codes_is_taken_at_their_word(void **unused)
{
    (void)unused;
    ASSERT_FAMILY(bare, is_by_code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reply_has_its_class),
        cmocka_unit_test(what_is_said_for_now_is_never_for_good),
        cmocka_unit_test(others_faults_are_held_against_no_recipient),
        cmocka_unit_test(a_disabled_mailbox_is_soft_in_every_form),
        cmocka_unit_test(a_suspended_mailbox_is_soft_in_every_form),
        cmocka_unit_test(a_locked_mailbox_is_soft_in_every_form),
        cmocka_unit_test(an_inactive_mailbox_is_soft_in_every_form),
        cmocka_unit_test(a_rate_is_never_held_against_a_mailbox),
        cmocka_unit_test(a_refusal_at_connect_is_nobodys_mailbox),
        cmocka_unit_test(nothing_but_codes_is_taken_at_their_word),
    };
    return cmocka_run_group_tests(tests, load_rules, free_rules);
}
