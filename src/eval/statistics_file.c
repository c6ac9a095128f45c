/* statistics_file.c */
#include "eval/statistics_file.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/npz_read.h"

#include <math.h>
#include <string.h>

enum { MOST_NETWORK = 128 };
static const char inception[] = "inception"; /* how the names of its variants begin */

/* Of a covariance that others wrote, between its two halves: some are of single precision. */
static const double ASYMMETRY = 1e-4;

void cm_saved_statistics_clear(cm_saved_statistics *s)
{
    cm_statistics_clear(&s->features);
    cm_statistics_clear(&s->spatial);
    *s = (cm_saved_statistics){.has_images = 0};
}

/* ---- reading ---------------------------------------------------------------- */

/* An array of d (square: d by d) finite floats. */
static cm_status read_array(const cm_npz *npz, const char *name, int64_t d, int square,
                            double **values, cm_error *err)
{
    char text[128];
    cm_npz_member m;
    cm_status s = cm_npz_find(npz, name, &m, err);
    if (s)
        return s;
    if (!m.stream || m.rank != 1 + square || m.dim[0] != d || (square && m.dim[1] != d))
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: %s: expected floats [%lld%s] of this network, found %s", m.path, name,
                    (long long)d, square ? ",same" : "",
                    m.stream ? cm_npz_describe(&m, text) : "no such array");
    if (!s && !(*values = cm_alloc_array((size_t)m.elements, sizeof **values)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: %s: out of memory", m.path, name);
    if (!s)
        s = cm_npz_read_f64(&m, m.elements, *values, err);
    for (int64_t i = 0; i < m.elements && !s; i++)
        if (!isfinite((*values)[i]))
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: %s: element %lld: expected a finite number, found %g", m.path, name,
                        (long long)i, (*values)[i]);
    cm_npz_member_close(&m);
    return s;
}

static cm_status check_symmetric(const char *path, const char *name, int64_t d, double *v,
                                 cm_error *err)
{
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < i; j++) {
            const double a = v[i * d + j], b = v[j * d + i];
            /* Halves, whose sums are finite. */
            const double scale =
                sqrt(fabs(v[i * d + i])) * sqrt(fabs(v[j * d + j])) / 2 + fabs(a) / 2 + 1e-30;
            if (fabs(a / 2 - b / 2) > ASYMMETRY * scale)
                return cm_fail(err, CM_ERR_FORMAT,
                               "%s: %s: expected a symmetric matrix, found %g at [%lld,%lld] and "
                               "%g at [%lld,%lld]",
                               path, name, a, (long long)i, (long long)j, b, (long long)j,
                               (long long)i);
            v[i * d + j] = v[j * d + i] = a / 2 + b / 2;
        }
    return CM_OK;
}

static cm_status read_statistics(const cm_npz *npz, const char *path, const char *mu,
                                 const char *sigma, int64_t d, cm_statistics *s, cm_error *err)
{
    s->d = d;
    cm_status status = read_array(npz, mu, d, 0, &s->mean, err);
    if (!status)
        status = read_array(npz, sigma, d, 1, &s->covariance, err);
    return status ? status : check_symmetric(path, sigma, d, s->covariance, err);
}

static cm_status has_array(const cm_npz *npz, const char *name, int *has, cm_error *err)
{
    cm_npz_member m;
    const cm_status s = cm_npz_find(npz, name, &m, err);
    *has = !s && m.stream;
    if (!s)
        cm_npz_member_close(&m);
    return s;
}

/* Whose they are, and of how many images, where the file says so. */
static cm_status read_origin(const cm_npz *npz, const char *path, const char *network,
                             cm_saved_statistics *s, cm_error *err)
{
    char found[MOST_NETWORK + 1] = "", shown[MOST_NETWORK * 4], text[128];
    cm_npz_member m;
    cm_status status = cm_npz_find(npz, "features", &m, err);
    if (status)
        return status;
    s->says_network = m.stream != NULL;
    if (m.elements > MOST_NETWORK)
        status = cm_fail(err, CM_ERR_FORMAT,
                         "%s: features: expected the name of a network, at most %d bytes, found %s",
                         path, (int)MOST_NETWORK, cm_npz_describe(&m, text));
    else if (m.stream)
        status = cm_npz_read_u8(&m, m.elements, (uint8_t *)found, err);
    if (!status && s->says_network && strcmp(found, network) != 0)
        status = cm_fail(err, CM_ERR_FORMAT,
                         "%s: expected statistics of the network %s, found those of %s", path,
                         network, cm_escape(shown, sizeof shown, found));
    cm_npz_member_close(&m);
    /* OpenAI's, EDM's and pytorch-fid's do not say; they are of Inception. */
    if (!status && !s->says_network && strncmp(network, inception, strlen(inception)) != 0)
        status = cm_fail(err, CM_ERR_FORMAT,
                         "%s: expected statistics of the network %s, found some that name none, as "
                         "those of Inception do not",
                         path, network);
    if (!status)
        status = cm_npz_find(npz, "n", &m, err);
    if (status)
        return status;
    if (m.stream && m.elements != 1)
        status = cm_fail(err, CM_ERR_FORMAT, "%s: n: expected a number of images, found %s", path,
                         cm_npz_describe(&m, text));
    else if (m.stream)
        status = cm_npz_read_i64(&m, 1, &s->features.n, err);
    if (!status && s->features.n < 0)
        status = cm_fail(err, CM_ERR_FORMAT, "%s: n: expected a number of images, found %lld", path,
                         (long long)s->features.n);
    cm_npz_member_close(&m);
    return status;
}

static cm_status read_all(const cm_npz *npz, const char *path, const char *network, int64_t d,
                          int64_t spatial_d, cm_saved_statistics *s, cm_error *err)
{
    int spatial = 0;
    cm_status status = read_origin(npz, path, network, s, err);
    if (!status)
        status = read_statistics(npz, path, "mu", "sigma", d, &s->features, err);
    if (!status)
        status = has_array(npz, "mu_s", &spatial, err);
    if (!status && spatial && spatial_d)
        status = read_statistics(npz, path, "mu_s", "sigma_s", spatial_d, &s->spatial, err);
    return status ? status : has_array(npz, "arr_0", &s->has_images, err);
}

cm_status cm_statistics_read(const char *path, const char *network, int64_t d, int64_t spatial_d,
                             int *found, cm_saved_statistics *s, cm_error *err)
{
    char shown[512];
    cm_npz *npz = NULL;
    *s = (cm_saved_statistics){.has_images = 0};
    *found = 0;
    if (!cm_npz_is(path))
        return CM_OK;
    cm_status status = cm_npz_open(path, &npz, err);
    if (!status)
        status = has_array(npz, "mu", found, err);
    if (!status && *found)
        status = read_all(npz, cm_escape(shown, sizeof shown, path), network, d, spatial_d, s, err);
    cm_npz_close(npz);
    if (status)
        cm_saved_statistics_clear(s);
    return status;
}

/* ---- writing ------------------------------------------------------------------- */

cm_status cm_statistics_write(const char *path, const char *network, const cm_statistics *f,
                              const cm_statistics *spatial, cm_error *err)
{
    const int64_t length = (int64_t)strlen(network);
    const cm_npz_array arrays[] = {
        {"mu", CM_NPZ_F64, 1, {f->d}, f->mean},
        {"sigma", CM_NPZ_F64, 2, {f->d, f->d}, f->covariance},
        {"n", CM_NPZ_I64, 0, {0}, &f->n},
        {"features", CM_NPZ_U8, 1, {length}, network},
        {"mu_s", CM_NPZ_F64, 1, {spatial ? spatial->d : 0}, spatial ? spatial->mean : NULL},
        {"sigma_s",
         CM_NPZ_F64,
         2,
         {spatial ? spatial->d : 0, spatial ? spatial->d : 0},
         spatial ? spatial->covariance : NULL},
    };
    return cm_npz_write(path, spatial ? 6 : 4, arrays, err);
}
