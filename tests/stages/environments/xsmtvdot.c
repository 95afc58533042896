/*
 * Compares the instructions of XSMTVDot with a plain model, or tries reserved cases.
 *
 *     xsmtvdot model CALLS     each instruction with random and extreme inputs
 *     xsmtvdot illegal         cases that must raise an illegal instruction: prints those that do not
 *     xsmtvdot absent          prints the instructions that a CPU without the extension runs
 *     xsmtvdot identity        hwprobe's vendor and architecture
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BYTES 128 /* of a register of VLEN 1024 */

typedef struct { uint8_t a[2 * BYTES], b[BYTES]; uint32_t c[2 * BYTES / 4]; } Tile;
typedef void Run(Tile *tile);

/* vd v4 and v5, vs1 v2 and v3, vs2 v9 */
#define RUN(NAME, WORDS)                                                                \
    static void run_##NAME(Tile *t)                                                     \
    {                                                                                   \
        __asm__ volatile("vsetvli t0, zero, e8, m2, ta, ma\n"                           \
                         "vle8.v v2, (%0)\nvle8.v v4, (%2)\n"                           \
                         "vsetvli t0, zero, e8, m1, ta, ma\n"                           \
                         "vle8.v v9, (%1)\n" WORDS "\n"                                 \
                         "vsetvli t0, zero, e8, m2, ta, ma\nvse8.v v4, (%2)\n"          \
                         : : "r"(t->a), "r"(t->b), "r"(t->c) : "t0", "memory");         \
    }
#define VARIANTS(NAME) \
    RUN(NAME, "smt." #NAME " v4, v2, v9") RUN(NAME##u, "smt." #NAME "u v4, v2, v9") \
    RUN(NAME##us, "smt." #NAME "us v4, v2, v9") RUN(NAME##su, "smt." #NAME "su v4, v2, v9")
VARIANTS(vmadot) VARIANTS(vmadot1) VARIANTS(vmadot2) VARIANTS(vmadot3)

typedef struct { const char *name; Run *run; int slide, a_signed, b_signed; } Instruction;
#define ROWS(NAME, SLIDE) \
    { #NAME, run_##NAME, SLIDE, 1, 1 }, { #NAME "u", run_##NAME##u, SLIDE, 0, 0 }, \
    { #NAME "us", run_##NAME##us, SLIDE, 0, 1 }, { #NAME "su", run_##NAME##su, SLIDE, 1, 0 }
static const Instruction INSTRUCTIONS[] = { ROWS(vmadot, 0), ROWS(vmadot1, 1), ROWS(vmadot2, 2), ROWS(vmadot3, 3) };
#define COUNT (sizeof INSTRUCTIONS / sizeof *INSTRUCTIONS)

static sigjmp_buf back;
static void on_illegal(int number) { (void)number; siglongjmp(back, 1); }
static int raises(Run *run, Tile *tile)
{
    if (sigsetjmp(back, 1))
        return 1;
    run(tile);
    return 0;
}

static uint64_t state = 88172645463325252u; /* xorshift */
static uint64_t random64(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

/* Kinds 0 to 4: all bytes 0x80, 0x7f, 0xff, 0 or one of these each; later ones are random. */
static void fill(uint8_t *bytes, size_t count, unsigned kind)
{
    static const uint8_t extremes[] = { 0x80, 0x7f, 0xff, 0x00, 0x01 };
    for (size_t i = 0; i < count; i++)
        bytes[i] = kind < 4 ? extremes[kind] : kind == 4 ? extremes[random64() % 5] : random64();
}

static size_t vlenb(void)
{
    size_t bytes;
    __asm__ volatile("csrr %0, vlenb" : "=r"(bytes));
    return bytes;
}

/* The sum of products as the specification writes it, in integers of arbitrary size. */
static void model(const Instruction *instruction, Tile *tile)
{
    size_t n = vlenb() == 32 ? 4 : 8, depth = vlenb() / n;
    for (size_t p = 0; p < n * n; p++) {
        int64_t sum = (int32_t)tile->c[p];
        for (size_t q = 0; q < depth; q++) {
            uint8_t a = tile->a[(p / n + instruction->slide) * depth + q], b = tile->b[p % n * depth + q];
            sum += (int64_t)(instruction->a_signed ? (int8_t)a : a) * (instruction->b_signed ? (int8_t)b : b);
        }
        tile->c[p] = sum & 0xffffffff;
    }
}

static int compare(unsigned calls)
{
    int wrong = 0;
    for (size_t i = 0; i < COUNT; i++)
        for (unsigned call = 0; call < calls; call++) {
            Tile found, expected;
            memset(&found, 0, sizeof found);
            fill(found.a, sizeof found.a, call % 6), fill(found.b, sizeof found.b, call / 6 % 6);
            fill((uint8_t *)found.c, sizeof found.c, call / 36 % 6);
            expected = found;
            INSTRUCTIONS[i].run(&found), model(&INSTRUCTIONS[i], &expected);
            if (memcmp(&found, &expected, sizeof found) && !wrong++)
                printf("%s differs in call %u\n", INSTRUCTIONS[i].name, call);
        }
    printf("%zu instructions, %u calls each, VLEN %zu: %d wrong\n", COUNT, calls, 8 * vlenb(), wrong);
    return wrong != 0;
}

#define E8M1 "vsetvli t0, zero, e8, m1, ta, ma\n"
/* Each is an encoding of its own, after a configuration. */
#define CASE(NAME, SETUP, WORD)                                                                   \
    static void case_##NAME(Tile *t)                                                              \
    {                                                                                             \
        (void)t;                                                                                  \
        __asm__ volatile(SETUP ".word " #WORD "\ncsrwi vstart, 0" : : : "t0", "memory");          \
    }
#define CASES \
    X(odd_vd, E8M1, 0xe29132ab) \
    X(masked, E8M1, 0xe091322b) \
    X(int4, E8M1, 0xc291322b) \
    X(funct3_4, E8M1, 0xe291422b) \
    X(slide_4, E8M1, 0xe691c22b) \
    X(sparse, E8M1, 0xea91322b) \
    X(overlap_vs1, E8M1, 0xe292b22b) \
    X(overlap_vs2, E8M1, 0xe251322b) \
    X(overlap_window, E8M1, 0xe692322b) \
    X(sew_16, "vsetvli t0, zero, e16, m1, ta, ma\n", 0xe291322b) \
    X(sew_32, "vsetvli t0, zero, e32, m1, ta, ma\n", 0xe291322b) \
    X(lmul_2, "vsetvli t0, zero, e8, m2, ta, ma\n", 0xe291322b) \
    X(lmul_half, "vsetvli t0, zero, e8, mf2, ta, ma\n", 0xe291322b) \
    X(short_vl, "vsetivli t0, 16, e8, m1, ta, ma\n", 0xe291322b) \
    X(zero_vl, "vsetivli t0, 0, e8, m1, ta, ma\n", 0xe291322b) \
    X(vill, "vsetvli t0, zero, e64, mf8, ta, ma\n", 0xe291322b) \
    X(vstart, E8M1 "csrwi vstart, 1\n", 0xe291322b)
#define X CASE
CASES
#undef X
CASE(legal, E8M1, 0xe291322b)

static int try_illegal(void)
{
    static const struct { const char *name; Run *run; } cases[] = {
#define X(NAME, SETUP, WORD) { #NAME, case_##NAME },
        CASES
    };
    Tile tile;
    size_t ran = raises(case_legal, &tile);
    if (ran)
        puts("the legal case is refused");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!raises(cases[i].run, &tile))
            puts(cases[i].name), ran++;
    printf("%zu cases\n", sizeof cases / sizeof *cases);
    return ran != 0;
}

static int try_absent(void)
{
    Tile tile;
    int ran = 0;
    for (size_t i = 0; i < COUNT; i++)
        if (!raises(INSTRUCTIONS[i].run, &tile))
            puts(INSTRUCTIONS[i].name), ran = 1;
    printf("%zu instructions refused\n", COUNT);
    return ran;
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    signal(SIGILL, on_illegal);
    if (!strcmp(mode, "model"))
        return compare(atoi(arguments[2]));
    if (!strcmp(mode, "illegal"))
        return try_illegal();
    if (!strcmp(mode, "absent"))
        return try_absent();
    struct { int64_t key; uint64_t value; } pairs[] = { { 0, 0 }, { 1, 0 } };
    if (syscall(258, pairs, 2, 0, 0, 0))
        return 1;
    printf("%#lx %#lx\n", pairs[0].value, pairs[1].value);
    return 0;
}
