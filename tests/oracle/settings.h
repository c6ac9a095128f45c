/* settings.h - the tables of test_two_values: for every option of a command, values
 * that must give different results, or what the option changes instead */
#ifndef CM_TESTS_SETTINGS_H
#define CM_TESTS_SETTINGS_H

/* Parts of a result. */
enum {
    STUDENT = 1, /* the trained weights */
    TARGET = 2,  /* those of the target network */
    EXPORT = 4,  /* the weights of RUN/model.safetensors: the first average */
    INFO = 8,    /* what that file says of its network and its noise schedule */
    IMAGES = 16, /* a grid of samples */
    PARTS = 5
};

typedef struct setting {
    const char *option; /* its name */
    const char *with;   /* the rest of the command */
    /* Values, parted by '|'; of a flag: "no|yes".  Any two differ in all of `changes` and
     * agree in all of `keeps`.  Unless `given`, the first is what the option is when it
     * is left out. */
    const char *values;
    unsigned changes, keeps;
    int given;
    /* Where the result stays the same: what else must follow from the values ... */
    int (*measure)(void);
    const char *measures; /* "3|1": of each value */
    /* ... or a test of its own. */
    void (*test)(void);
} setting;

/* These end with a NULL option.  An option may have several rows. */
extern const setting train_settings[], sample_settings[];

/* What else of training and sampling belongs here; ends with a NULL name. */
typedef struct settings_test {
    const char *name;
    void (*run)(void);
} settings_test;
extern const settings_test train_tests[];

/* For the tests of their own: files in the scratch folder. */
int count_files(const char *folder, const char *ending);
int count_lines(const char *file);
int same_files(const char *a, const char *b);
int said(const char *text);          /* in what the last command printed */
int auto_is_bf16(void);              /* on this processor, where it has bf16 at all */
const char *newest_checkpoint(void); /* of "run": a path in the scratch folder */

/* What is common to the commands of the tables.  one.safetensors and two.safetensors are
 * models of the smallest network with other weights, none of which is 0. */
#define SMALL                                                                        \
    " --batch 4 --steps 4 --lr 0.02 --ema-rates 0.5 --dtype f32 --threads 1 --quiet" \
    " --sample-every 1000000000 --save-every 1000000000 --log-every 1"
#define LABELLED " --data data/train-images-idx3-ubyte"
#define FRESH    " --channels 32 --channel-mult 1 --attention-resolutions= --num-heads 4"
#define EDM      "--method edm" LABELLED SMALL " --init one.safetensors"
#define CT       "--method ct" LABELLED SMALL " --init one.safetensors"
#define CD       "--method cd --teacher one.safetensors" LABELLED SMALL
#define PD       "--method pd --teacher one.safetensors" LABELLED SMALL " --steps 8"
#define CDC      "--method cd-continuous --teacher one.safetensors" LABELLED SMALL
#define NEW      "--method edm" LABELLED SMALL FRESH
#define PLAIN \
    "--method edm" LABELLED SMALL " --channels 32 --channel-mult 1 --attention-resolutions="
#define HEADS   PLAIN " --head-channels 16"
#define DRAW    "--model one.safetensors --num 6 --dtype f32 --threads 1"
#define DRAW_CM "--model consistent.safetensors --num 6 --dtype f32 --threads 1"

#endif
