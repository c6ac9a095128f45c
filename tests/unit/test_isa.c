/* test_isa.c - names of instruction sets: what a CPU has is taken, what it lacks is an
 * error that says what it has */
#include "check.h"

#include "cpu/cpu.h"

static const cm_isa last = CM_ISA_AVX512_BF16, none = (cm_isa)-1;

static void test_names(void)
{
    for (cm_isa best = CM_ISA_PLAIN; best <= last; best++)
        for (cm_isa want = CM_ISA_PLAIN; want <= last; want++) {
            cm_error err = {0};
            cm_isa got = none;
            const cm_status s = cm_isa_from_name(cm_isa_name(want), best, &got, &err);
            CHECK(s == (want <= best ? CM_OK : CM_ERR_ARGUMENT), "%s on %s: status %d",
                  cm_isa_name(want), cm_isa_name(best), (int)s);
            CHECK(got == (want <= best ? want : none), "%s on %s: %d", cm_isa_name(want),
                  cm_isa_name(best), (int)got);
        }
}

static void test_messages(void)
{
    static const struct {
        const char *name;
        cm_isa best;
        const char *message;
    } rows[] = {
        {"avx3", CM_ISA_PLAIN, "CM_ISA: expected plain (what this CPU has), found 'avx3'"},
        {"avx512", CM_ISA_AVX2,
         "CM_ISA: expected plain or avx2 (what this CPU has), found 'avx512'"},
        {"AVX2", CM_ISA_AVX512,
         "CM_ISA: expected plain, avx2 or avx512 (what this CPU has), found 'AVX2'"},
        {"\033[31m", CM_ISA_AVX512_BF16,
         "CM_ISA: expected plain, avx2, avx512 or avx512_bf16 (what this CPU has), "
         "found '\\x1b[31m'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cm_error err = {0};
        cm_isa isa;
        CHECK(cm_isa_from_name(rows[i].name, rows[i].best, &isa, &err) == CM_ERR_ARGUMENT,
              "'%s' taken", rows[i].name);
        CHECK(!strcmp(err.message, rows[i].message), "%s", err.message);
    }
}

/* The variable itself; and this CPU takes every name up to its own. */
static void test_environment(void)
{
    cm_error err = {0};
    unsetenv("CM_ISA");
    const cm_isa best = cm_cpu_isa();
    for (cm_isa isa = CM_ISA_PLAIN; isa <= last; isa++) {
        setenv("CM_ISA", cm_isa_name(isa), 1);
        CHECK((cm_cpu_check(&err) == CM_OK) == (isa <= best), "%s", cm_isa_name(isa));
        CHECK(isa > best || cm_cpu_isa() == isa, "%s: another one runs", cm_isa_name(isa));
    }
    setenv("CM_ISA", "none", 1);
    CHECK(cm_cpu_check(&err) == CM_ERR_ARGUMENT, "CM_ISA=none taken");
    setenv("CM_ISA", "", 1);
    CHECK_OK(cm_cpu_check(&err), err);
    CHECK(cm_cpu_isa() == best, "empty: less than the best");
}

static const check_test tests[] = {
    {"names", test_names},
    {"messages", test_messages},
    {"CM_ISA", test_environment},
};

CHECK_MAIN(tests)
