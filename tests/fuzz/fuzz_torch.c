/* fuzz_torch.c - libFuzzer's target for PyTorch checkpoints.  Bytes that begin like one are taken
 * as they are; others are a pickle, which is put into an archive with right checksums, so that
 * damage comes to the machine that runs it.  What opens is read.  ./run fuzz torch */
#include "require.h"
#include "torch_maker.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/torch.h"
#include "io/weights_file.h"

/* Every tensor lies in the file, and has no more bytes than that. */
static void read_all(const cm_st_file *f, size_t n)
{
    enum { MOST = 64 }; /* tensors; the same bytes in all of them are nothing new */
    cm_error err = {0};
    for (int i = 0; i < cm_st_count(f) && i < MOST; i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        require(t->bytes <= n && cm_st_find(f, t->name) == t);
        void *bytes = cm_alloc((size_t)t->bytes + 1);
        double *values = cm_alloc_array((size_t)cm_st_elements(t) + 1, sizeof *values);
        require(bytes && values);
        const cm_status s = cm_st_read(f, t, bytes, &err);
        require(!s || s == CM_ERR_FORMAT); /* a CRC */
        cm_st_read_f64(f, t, values, &err);
        cm_free(values);
        cm_free(bytes);
    }
}

static void feed(const void *bytes, size_t n)
{
    cm_st_file *f = NULL;
    cm_error err = {0};
    const cm_status s = cm_weights_open_memory(bytes, n, "fed", &f, NULL, &err);
    require(!s == (f != NULL));
    if (s)
        require(s == CM_ERR_FORMAT && err.status == s && !strncmp(err.message, "fed: ", 5));
    else
        read_all(f, n);
    cm_st_close(f);
}

/* As data.pkl beside storages 0 to 3, of 16 floats each but the last. */
static void feed_wrapped(const uint8_t *pickle, size_t n)
{
    static zip_maker z;
    static const float floats[16] = {1, 2, 3};
    char *bytes = NULL;
    size_t size = 0;
    z = (zip_maker){.f = open_memstream(&bytes, &size)};
    zip_maker_add(&z, "a/data.pkl", pickle, (uint32_t)n);
    for (int i = 0; i < 4; i++) {
        const char name[] = {'a', '/', 'd', 'a', 't', 'a', '/', (char)('0' + i), '\0'};
        zip_maker_add(&z, name, floats, i < 3 ? sizeof floats : 0);
    }
    zip_maker_end(&z);
    fclose(z.f);
    feed(bytes, size);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t empty[1];
    if (cm_torch_is(bytes, n))
        feed(bytes, n);
    else
        feed_wrapped(n ? bytes : empty, n);
    return 0;
}
