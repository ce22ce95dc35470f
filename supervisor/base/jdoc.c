/* jdoc.c: see jdoc.h. Relies on the NUL behind the text: no token holds one, so that no check for the end is
 * needed but where several bytes are looked at together. */
#include "base/jdoc.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"

/* Bits that say which keys an object may have already: most have few, and then nothing is compared. */
#define SEEN_WORDS 4

struct parser {
    struct jdoc doc;
    const char *start, *p, *end;
    struct err *e;
};

static int malformed(struct parser *s, const char *what)
{
    return err_set(s->e, -EINVAL, "JSON byte %zu: %s", (size_t)(s->p - s->start), what);
}

static int add_node(struct parser *s, enum jdoc_type type, uint32_t *ret)
{
    struct jdoc *d = &s->doc;

    if (d->n == d->cap) {
        /* Once is enough for most documents: a value takes some twenty bytes of text. */
        uint32_t cap = d->cap ? d->cap * 2 : MAX((uint32_t)(s->end - s->start) / 16, 64U);
        struct jdoc_node *nodes = reallocarray(d->nodes, cap, sizeof(*nodes));

        if (!nodes)
            return -ENOMEM;
        d->nodes = nodes;
        d->cap = cap;
    }
    d->nodes[d->n] = (struct jdoc_node){.start = (uint32_t)(s->p - s->start), .type = (uint8_t)type};
    *ret = d->n++;
    return 0;
}

static void skip_blanks(struct parser *s)
{
    while (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')
        s->p++;
}

/* ---- strings */

/* True when one of eight bytes ends a string, begins an escape, is a control byte or no ASCII. May be true
 * for nothing; never false for something. */
static bool has_special(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t w, quote, backslash;

    memcpy(&w, p, sizeof(w));
    quote = w ^ (ones * '"');
    backslash = w ^ (ones * '\\');
    return ((w | (w - ones * ' ') | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops) !=
           0;
}

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The bytes of the UTF-8 character at `p`; 0: it is none (RFC 3629). */
static size_t utf8_len(const char *p)
{
    unsigned char a = (unsigned char)p[0], b = (unsigned char)p[1];

    if (a >= 0xc2 && a <= 0xdf)
        return is_tail(p[1]) ? 2 : 0;
    if (a >= 0xe0 && a <= 0xef) {
        if (!is_tail(p[1]) || !is_tail(p[2]) || (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f))
            return 0;
        return 3;
    }
    if (a >= 0xf0 && a <= 0xf4) {
        if (!is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]) || (a == 0xf0 && b < 0x90) ||
            (a == 0xf4 && b > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

/* The four digits of \uXXXX; -1: they are none. */
static int unit(const char *p)
{
    int v = 0;

    for (size_t i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + ((c | 32) - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static int parse_escape(struct parser *s)
{
    int u, low;

    if (s->p[1] && strchr("\"\\/bfnrt", s->p[1])) {
        s->p += 2;
        return 0;
    }
    u = s->p[1] == 'u' ? unit(s->p + 2) : -1;
    if (u <= 0)
        return malformed(s, u < 0 ? "an unknown escape" : "U+0000");
    if (u >= 0xd800 && u <= 0xdfff) {
        low = u < 0xdc00 && s->p[6] == '\\' && s->p[7] == 'u' ? unit(s->p + 8) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return malformed(s, "an unpaired surrogate");
        s->p += 6;
    }
    s->p += 6;
    return 0;
}

static uint16_t hash_of(const char *s, size_t len)
{
    unsigned first = len ? (unsigned char)s[0] : 0, last = len ? (unsigned char)s[len - 1] : 0;
    unsigned middle = len ? (unsigned char)s[len / 2] : 0;

    return (uint16_t)(len * 41 + first * 7 + middle * 131 + last * 1031);
}

/* At the opening quote. */
static int parse_string(struct parser *s, uint32_t *ret)
{
    struct jdoc_node *node;
    bool escaped = false;
    int r;

    s->p++;
    r = add_node(s, JDOC_STRING, ret);
    if (r < 0)
        return r;
    for (;;) {
        unsigned char c;

        while (s->end - s->p >= 8 && !has_special(s->p))
            s->p += 8;
        c = (unsigned char)*s->p;
        if (c == '"')
            break;
        if (c == '\\') {
            escaped = true;
            r = parse_escape(s);
            if (r < 0)
                return r;
        } else if (c >= 0x80) {
            size_t n = utf8_len(s->p);

            if (n == 0)
                return malformed(s, "invalid UTF-8");
            s->p += n;
        } else if (c < ' ') {
            return malformed(s, "a control byte in a string, or no end of it");
        } else {
            s->p++;
        }
    }
    node = &s->doc.nodes[*ret];
    node->end = (uint32_t)(s->p - s->start);
    node->next = *ret + 1;
    node->escaped = escaped;
    node->hash = hash_of(s->start + node->start, node->end - node->start);
    s->p++;
    return 0;
}

/* ---- numbers and words */
static bool digits(struct parser *s)
{
    const char *from = s->p;

    while (*s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static int parse_number(struct parser *s)
{
    if (*s->p == '-')
        s->p++;
    if (*s->p == '0')
        s->p++;
    else if (!digits(s))
        return malformed(s, "no value");
    if (*s->p == '.') {
        s->p++;
        if (!digits(s))
            return malformed(s, "a malformed number");
    }
    if (*s->p == 'e' || *s->p == 'E') {
        s->p++;
        if (*s->p == '+' || *s->p == '-')
            s->p++;
        if (!digits(s))
            return malformed(s, "a malformed number");
    }
    return 0;
}

static int parse_scalar(struct parser *s, uint32_t *ret)
{
    static const struct {
        const char *word;
        size_t len;
        enum jdoc_type type;
    } words[] = {{"null", 4, JDOC_NULL}, {"false", 5, JDOC_FALSE}, {"true", 4, JDOC_TRUE}};
    int r = add_node(s, JDOC_NUMBER, ret);
    size_t i;

    if (r < 0)
        return r;
    for (i = 0; i < ARRAY_SIZE(words); i++)
        if (*s->p == *words[i].word)
            break;
    if (i == ARRAY_SIZE(words)) {
        r = parse_number(s);
    } else if (strncmp(s->p, words[i].word, words[i].len) == 0) {
        s->doc.nodes[*ret].type = (uint8_t)words[i].type;
        s->p += words[i].len;
    } else {
        r = malformed(s, "an unknown word");
    }
    s->doc.nodes[*ret].end = (uint32_t)(s->p - s->start);
    s->doc.nodes[*ret].next = *ret + 1;
    return r;
}

/* ---- arrays and objects: recursion is bounded by JSON_DEPTH_MAX */
static int parse_value(struct parser *s, unsigned depth, uint32_t *ret);

static bool same_string(const struct jdoc *d, const struct jdoc_node *a, const struct jdoc_node *b)
{
    size_t len = a->end - a->start;

    return a->hash == b->hash && len == b->end - b->start &&
           memcmp(d->text + a->start, d->text + b->start, len) == 0;
}

/* Is the key, the last node, among those before it? */
static bool is_twice(const struct jdoc *d, uint32_t object, uint32_t key, uint64_t seen[static SEEN_WORDS])
{
    const struct jdoc_node *k = &d->nodes[key];
    uint64_t *word = &seen[k->hash / 64 % SEEN_WORDS], bit = UINT64_C(1) << (k->hash % 64);

    if (!(*word & bit)) {
        *word |= bit;
        return false;
    }
    for (uint32_t i = object + 1; i < key; i = d->nodes[i + 1].next)
        if (same_string(d, &d->nodes[i], k))
            return true;
    return false;
}

/* Two spellings of one key differ as they are written; an object with an escape in a key, which is rare, is
 * decoded to find them. */
static int check_spellings(struct parser *s, uint32_t object)
{
    const struct jdoc_node *o = &s->doc.nodes[object];
    json_error_t je;
    json_t *j = json_loadb(s->start + o->start, o->end - o->start, JSON_REJECT_DUPLICATES, &je);

    if (!j && json_error_code(&je) == json_error_out_of_memory)
        return -ENOMEM;
    if (!j)
        return malformed(s, "a key that occurs twice, or a number out of range beside an escaped key");
    json_decref(j);
    return 0;
}

static int parse_member(
    struct parser *s, unsigned depth, uint32_t object, uint64_t seen[static SEEN_WORDS], bool *escaped)
{
    uint32_t key, value;
    int r;

    if (*s->p != '"')
        return malformed(s, "no key");
    r = parse_string(s, &key);
    if (r < 0)
        return r;
    if (is_twice(&s->doc, object, key, seen))
        return malformed(s, "a key that occurs twice");
    *escaped |= s->doc.nodes[key].escaped;
    skip_blanks(s);
    if (*s->p != ':')
        return malformed(s, "no colon");
    s->p++;
    skip_blanks(s);
    return parse_value(s, depth, &value);
}

static int parse_container(struct parser *s, unsigned depth, uint32_t *ret)
{
    bool object = *s->p == '{';
    char close = object ? '}' : ']';
    uint64_t seen[SEEN_WORDS] = {0};
    bool escaped = false;
    uint32_t item;
    unsigned n = 0;
    int r = add_node(s, object ? JDOC_OBJECT : JDOC_ARRAY, ret);

    if (r < 0)
        return r;
    if (depth >= JSON_DEPTH_MAX)
        return err_set(s->e, -EINVAL, "JSON nested deeper than %d levels", JSON_DEPTH_MAX);
    s->p++;
    skip_blanks(s);
    while (*s->p != close) {
        if (n > 0) {
            if (*s->p != ',')
                return malformed(s, "no comma");
            s->p++;
            skip_blanks(s);
        }
        if (object && n == JDOC_MEMBERS_MAX)
            return malformed(s, "too many members");
        r = object ? parse_member(s, depth + 1, *ret, seen, &escaped) : parse_value(s, depth + 1, &item);
        if (r < 0)
            return r;
        n++;
        skip_blanks(s);
    }
    s->p++;
    s->doc.nodes[*ret].end = (uint32_t)(s->p - s->start);
    s->doc.nodes[*ret].next = s->doc.n;
    return escaped ? check_spellings(s, *ret) : 0;
}

static int parse_value(struct parser *s, unsigned depth, uint32_t *ret)
{
    if (*s->p == '"')
        return parse_string(s, ret);
    if (*s->p == '{' || *s->p == '[')
        return parse_container(s, depth, ret);
    return parse_scalar(s, ret);
}

int jdoc_parse(struct jdoc *d, const char *text, size_t len, size_t max, struct err *e)
{
    struct parser s = {.doc = {.text = text}, .start = text, .p = text, .end = text + len, .e = e};
    uint32_t root;
    int r;

    if (len > max || len >= UINT32_MAX / 2)
        return err_set(e, -EFBIG, "JSON larger than %zu bytes", max);
    *d = (struct jdoc){0};
    skip_blanks(&s);
    r = parse_value(&s, 0, &root);
    if (r >= 0) {
        skip_blanks(&s);
        if (s.p != s.end)
            r = malformed(&s, "text behind the document");
    }
    if (r < 0)
        jdoc_done(&s.doc);
    else
        *d = s.doc;
    return r;
}

void jdoc_done(struct jdoc *d)
{
    free(d->nodes);
    *d = (struct jdoc){0};
}

/* ---- looking at it */
bool jdoc_is(const struct jdoc *d, uint32_t value, enum jdoc_type type)
{
    return value < d->n && d->nodes[value].type == type;
}

static bool is_key(const struct jdoc *d, uint32_t node, const char *key, size_t len, uint16_t hash)
{
    const struct jdoc_node *k = &d->nodes[node];

    return k->hash == hash && k->end - k->start == len && memcmp(d->text + k->start, key, len) == 0;
}

uint32_t jdoc_get_next(const struct jdoc *d, uint32_t object, const char *key, uint32_t *at)
{
    size_t len = strlen(key);
    uint16_t hash = hash_of(key, len);
    uint32_t first = object + 1, end;

    if (!jdoc_is(d, object, JDOC_OBJECT))
        return JDOC_NONE;
    end = d->nodes[object].next;
    if (*at < first || *at > end)
        *at = first;
    for (uint32_t i = *at; i < end; i = d->nodes[i + 1].next)
        if (is_key(d, i, key, len, hash)) {
            *at = d->nodes[i + 1].next;
            return i + 1;
        }
    for (uint32_t i = first; i < *at; i = d->nodes[i + 1].next)
        if (is_key(d, i, key, len, hash)) {
            *at = d->nodes[i + 1].next;
            return i + 1;
        }
    return JDOC_NONE;
}

uint32_t jdoc_get(const struct jdoc *d, uint32_t object, const char *key)
{
    uint32_t at = JDOC_NONE;

    return jdoc_get_next(d, object, key, &at);
}

uint32_t jdoc_first(const struct jdoc *d, uint32_t container)
{
    if (!jdoc_is(d, container, JDOC_ARRAY) && !jdoc_is(d, container, JDOC_OBJECT))
        return JDOC_NONE;
    return d->nodes[container].next > container + 1 ? container + 1 : JDOC_NONE;
}

uint32_t jdoc_next(const struct jdoc *d, uint32_t container, uint32_t item)
{
    uint32_t next = d->nodes[jdoc_is(d, container, JDOC_OBJECT) ? item + 1 : item].next;

    return next < d->nodes[container].next ? next : JDOC_NONE;
}

size_t jdoc_size(const struct jdoc *d, uint32_t container)
{
    size_t n = 0;

    for (uint32_t i = jdoc_first(d, container); i != JDOC_NONE; i = jdoc_next(d, container, i))
        n++;
    return n;
}

const char *jdoc_string(const struct jdoc *d, uint32_t value, size_t *ret_len)
{
    if (!jdoc_is(d, value, JDOC_STRING))
        return NULL;
    *ret_len = d->nodes[value].end - d->nodes[value].start;
    return d->text + d->nodes[value].start;
}

bool jdoc_equals(const struct jdoc *d, uint32_t value, const char *s)
{
    size_t len, want = strlen(s);
    const char *text = jdoc_string(d, value, &len);

    return text && !d->nodes[value].escaped && len == want && memcmp(text, s, len) == 0;
}

const char *jdoc_raw(const struct jdoc *d, uint32_t value, size_t *ret_len)
{
    const struct jdoc_node *n;
    uint32_t quote;

    if (value >= d->n) {
        *ret_len = 0;
        return NULL;
    }
    n = &d->nodes[value];
    quote = n->type == JDOC_STRING;
    *ret_len = n->end - n->start + 2 * quote;
    return d->text + n->start - quote;
}

json_t *jdoc_to_json(const struct jdoc *d, uint32_t value)
{
    size_t len;
    const char *text = jdoc_raw(d, value, &len);

    return text ? json_loadb(text, len, JSON_DECODE_ANY, NULL) : json_null();
}
