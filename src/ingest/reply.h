/*
 * What a text about a failed delivery says: the remote's reply code and enhanced code, the command
 * it answered, its name. The text may be the reply alone or have an introduction ("host mx.example
 * [192.0.2.1] said: 550 5.1.1 …"), and may quote several replies; then the one that decides is
 * taken: what was answered last, where an earlier one only says that the time is over.
 */
#pragma once
#include "domain/status.h"
#include "ingest/ingest_internal.h"

struct reply {
    int32_t code;              /* 0: none */
    struct status_code status; /* cls 0: none */
    size_t at;                 /* where the reply begins; 0 if there is no code */
    bool introduced;           /* the words before it only say who answered what */
};

struct reply reply_read(struct str text);

/* Reply code and status of a delivery from the remote's answer, its diagnostic. */
void reply_accepted(struct arena *arena, struct input_record *record);

/* connect, ehlo, mail, rcpt or data, if the words tell; else null. */
struct str reply_stage(struct str text);

/* The name of the host that answered, if it is there; else null. Points into `text`. */
struct str reply_host(struct str text);

/* Without the type in front: "smtp; 550 …" (RFC 3464 2.3.6). */
struct str reply_untyped(struct str diagnostic);

/*
 * Fills what the record lacks of reply_code, status and stage from its diagnostic; a status that
 * says nothing (x.0.0) or only that time ran out (x.4.7) gives way to that of the reply.
 * `remote_mta` too if it is null.
 */
void reply_complete(struct arena *arena, struct input_record *record);
