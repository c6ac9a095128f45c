/* blas.c - OpenBLAS, loaded by the path of its serial flavour */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): RTLD_DEEPBIND */
#define _GNU_SOURCE
#include "eval/blas.h"

#include "base/error.h"

#include <dlfcn.h>
#include <string.h>

/* Deep: it calls itself, not another BLAS that the program may have; which the address
 * sanitizer does not bear. */
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__)
enum { HOW = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND };
#else
enum { HOW = RTLD_NOW | RTLD_LOCAL };
#endif

/* POSIX lets a data pointer hold a function's; C has no cast for it. */
static int find(const cm_blas *blas, const char *name, void *function)
{
    void *const at = dlsym(blas->library, name);
    memcpy(function, &at, sizeof at);
    return at != NULL;
}

cm_status cm_blas_open(cm_blas *blas, cm_error *err)
{
    int (*threads)(void) = NULL;
    *blas = (cm_blas){.library = dlopen(CM_OPENBLAS, HOW)};
    if (!blas->library)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: expected OpenBLAS, found no library that loads: install Debian's "
                       "package libopenblas0-serial",
                       CM_OPENBLAS);
    if (find(blas, "cblas_dgemm", &blas->dgemm) && find(blas, "cblas_dsyrk", &blas->dsyrk) &&
        find(blas, "dpstrf_", &blas->dpstrf) && find(blas, "dgesdd_", &blas->dgesdd) &&
        find(blas, "openblas_get_parallel", &threads) && !threads())
        return CM_OK;
    cm_blas_close(blas);
    return cm_fail(err, CM_ERR_UNSUPPORTED,
                   "%s: expected the serial flavour of OpenBLAS with LAPACK, found another library",
                   CM_OPENBLAS);
}

void cm_blas_close(cm_blas *blas)
{
    if (blas->library)
        dlclose(blas->library);
    *blas = (cm_blas){0};
}
