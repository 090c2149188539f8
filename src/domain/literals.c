#include "domain/literals.h"

#define HAS_OUTPUTS 0x80000000u /* in `next`: of the state that is gone to */

struct literal_output {
    uint32_t owner;
    uint32_t next; /* 0: the last */
};

struct builder {
    struct literals *literals;
    uint32_t state_count;
    uint32_t *failure; /* by state: the longest proper suffix that is a state */
    uint32_t *queue;
};

static void assign_classes(struct literals *to, const struct literal *literals, int count)
{
    to->class_count = 1;
    for (int i = 0; i < count; i++)
        for (size_t j = 0; j < literals[i].text.len; j++) {
            unsigned char *class = &to->classes[(unsigned char)literals[i].text.data[j]];
            if (!*class)
                *class = (unsigned char)to->class_count++;
        }
}

static uint32_t *next_of(const struct literals *literals, uint32_t state, char c)
{
    return &literals->next[state * literals->class_count + literals->classes[(unsigned char)c]];
}

/* The tree of all literals. */
static void add_literal(struct builder *builder, const struct literal *literal, uint32_t output)
{
    struct literals *literals = builder->literals;
    uint32_t state = 0;
    for (size_t i = 0; i < literal->text.len; i++) {
        uint32_t *next = next_of(literals, state, literal->text.data[i]);
        if (!*next)
            *next = builder->state_count++;
        state = *next;
    }
    literals->lists[output] =
        (struct literal_output){(uint32_t)literal->owner, literals->outputs[state]};
    literals->outputs[state] = output;
}

static void append_outputs(struct literals *literals, uint32_t state, uint32_t outputs)
{
    uint32_t *end = &literals->outputs[state];
    while (*end)
        end = &literals->lists[*end].next;
    *end = outputs;
}

/* Breadth first: a state's failure lies nearer to the root, so its row is complete. */
static void add_failures(struct builder *builder)
{
    struct literals *literals = builder->literals;
    uint32_t head = 0, tail = 0, classes = literals->class_count;
    for (uint32_t class = 1; class < classes; class ++)
        if (literals->next[class])
            builder->queue[tail++] = literals->next[class];
    while (head < tail) {
        uint32_t state = builder->queue[head++], failure = builder->failure[state];
        append_outputs(literals, state, literals->outputs[failure]);
        for (uint32_t class = 0; class < classes; class ++) {
            uint32_t *next = &literals->next[state * classes + class];
            uint32_t fallback = literals->next[failure * classes + class];
            if (*next) {
                builder->failure[*next] = fallback;
                builder->queue[tail++] = *next;
            } else {
                *next = fallback;
            }
        }
    }
}

/* State numbers become offsets into `next`, which saves a multiplication for each octet. */
static void make_offsets(struct builder *builder)
{
    struct literals *literals = builder->literals;
    for (uint32_t i = 0; i < builder->state_count * literals->class_count; i++) {
        uint32_t state = literals->next[i];
        literals->next[i] =
            state * literals->class_count | (literals->outputs[state] ? HAS_OUTPUTS : 0);
    }
}

static uint32_t *zeroed(struct arena *arena, size_t count)
{
    return memset(arena_alloc(arena, count * sizeof(uint32_t)), 0, count * sizeof(uint32_t));
}

void literals_build(struct arena *arena, const struct literal *literals, int count,
                    struct literals *ret_literals)
{
    size_t states = 1;
    struct arena scratch;
    memset(ret_literals, 0, sizeof(*ret_literals));
    assign_classes(ret_literals, literals, count);
    for (int i = 0; i < count; i++)
        states += literals[i].text.len;
    arena_init(&scratch);
    struct builder builder = {ret_literals, 1, zeroed(&scratch, states), zeroed(&scratch, states)};
    ret_literals->next = zeroed(arena, states * ret_literals->class_count);
    ret_literals->outputs = zeroed(arena, states);
    ret_literals->lists = arena_alloc(arena, (size_t)(count + 1) * sizeof(*ret_literals->lists));
    for (int i = 0; i < count; i++)
        add_literal(&builder, &literals[i], (uint32_t)i + 1);
    add_failures(&builder);
    make_offsets(&builder);
    arena_deinit(&scratch);
}

static void set_bits(const struct literals *literals, uint32_t output, uint64_t *bits)
{
    while (output) {
        const struct literal_output *found = &literals->lists[output];
        bits[found->owner / 64] |= (uint64_t)1 << (found->owner % 64);
        output = found->next;
    }
}

void literals_find(const struct literals *literals, struct str text, uint64_t *bits)
{
    uint32_t state = 0;
    for (size_t i = 0; i < text.len; i++) {
        state = literals->next[state + literals->classes[(unsigned char)text.data[i]]];
        if (state & HAS_OUTPUTS) {
            state &= ~HAS_OUTPUTS;
            set_bits(literals, literals->outputs[state / literals->class_count], bits);
        }
    }
}
