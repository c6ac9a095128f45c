/* net_options.h - the network of a run: from the options, and back to them */
#ifndef CM_TRAIN_NET_OPTIONS_H
#define CM_TRAIN_NET_OPTIONS_H

#include "cm.h"
#include "nn/network.h"

/* The network that the options ask for, for such images.  data names them in messages.
 * Errors: CM_ERR_ARGUMENT. */
cm_status cm_net_from_options(const cm_train_params *options, const char *data, int height,
                              int width, int channels, int classes, cm_net_config *net,
                              cm_error *err);

/* Names of the options that say what network, parted by spaces. */
extern const char cm_net_options[];

/* A network given by a model overrides the options, which then tell of it. */
void cm_options_from_net(cm_train_params *options, const cm_net_config *net);

#endif
