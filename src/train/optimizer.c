/* optimizer.c - RAdam (Liu et al. 2020), weight decay added to the gradient; AdamW
 * (Loshchilov and Hutter 2019), weight decay decoupled */
#include "train/optimizer.h"

#include <string.h>

const cm_optimizer cm_optimizers[] = {{"radam", cm_radam}, {"adamw", cm_adamw}, {0}};

const cm_optimizer *cm_optimizer_find(const char *name)
{
    for (const cm_optimizer *o = cm_optimizers; o->name; o++)
        if (!strcmp(o->name, name))
            return o;
    return NULL;
}
