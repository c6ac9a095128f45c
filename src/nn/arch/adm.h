/* adm.h - the configuration of the ADM U-Net; field names as in the reference */
#ifndef CM_NN_ARCH_ADM_H
#define CM_NN_ARCH_ADM_H

enum { CM_MAX_LEVELS = 16 };

typedef struct cm_adm_config {
    int model_channels;
    int num_res_blocks;
    int n_levels;
    double channel_mult[CM_MAX_LEVELS];
    int n_attention;
    int attention_resolutions[CM_MAX_LEVELS]; /* as downsampling factors, e.g. 2, 4 */
    int num_heads, num_head_channels;         /* width rules where it is not 0 */
    int use_scale_shift_norm, resblock_updown;
} cm_adm_config;

#endif
