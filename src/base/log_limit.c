#include "base/log_limit.h"

static void end(struct log_place *place, log_limit_tell tell, void *context)
{
    if (place->repeated)
        tell(context, place);
    buf_deinit(&place->body);
    *place = (struct log_place){0};
}

void log_limit_expire(struct log_limit *limit, int64_t now_ms, log_limit_tell tell, void *context)
{
    for (int i = 0; i < LOG_PLACES_MAX; i++) {
        struct log_place *place = &limit->places[i];
        if (place->id && (now_ms == INT64_MAX || now_ms - place->since_ms >= LOG_WINDOW_MS))
            end(place, tell, context);
    }
}

struct log_place *log_limit_place(struct log_limit *limit, uint64_t id, int64_t now_ms,
                                  log_limit_tell tell, void *context)
{
    struct log_place *found = &limit->places[0];
    id += id == 0;
    for (int i = 0; i < LOG_PLACES_MAX; i++) {
        struct log_place *place = &limit->places[i];
        if (place->id == id)
            return place;
        if (found->id && (!place->id || place->since_ms < found->since_ms))
            found = place;
    }
    if (found->id)
        end(found, tell, context);
    *found = (struct log_place){.id = id, .since_ms = now_ms};
    buf_init(&found->body);
    return found;
}
