# list.sh - sourced by run.sh: mutant NAME PATTERN REPLACEMENT
# shellcheck shell=sh

# ---- an option is ignored ----------------------------------------------------

mutant 'weight-decay ignored' '\(float\)c->weight_decay\}' '0.0f}'
mutant 'lr ignored' 'double lr = c->lr;' 'double lr = 1e-3;'
mutant 'lr-warmup ignored' 'if \(k < c->lr_warmup\)' 'if (k < 0)'
mutant 'lr-warmup from 0' 'lr \*= \(double\)\(k \+ 1\) /' 'lr *= (double)k /'
mutant 'lr-decay ignored' 'if \(c->lr_decay\)' 'if (0)'
mutant 'p-mean ignored' '\.p_mean = c->p_mean' '.p_mean = -1.2'
mutant 'p-std ignored' '\.p_std = c->p_std' '.p_std = 1.2'
mutant 'beta1 ignored' '\(float\)c->beta1' '0.9f'
mutant 'beta2 ignored' '\(float\)c->beta2' '0.999f'
mutant 'solver ignored' 'strcmp\(c->solver, "euler"\)' '1'
mutant 'loss-norm ignored' 'strcmp\(c->loss_norm, "l1"\)' '1'
mutant 'boundary ignored' 'cm_precond_from_name\(c->boundary' 'cm_precond_from_name("skip"'
mutant 'weighting ignored' 'cm_weighting_from_name\(c->weighting' \
    'cm_weighting_from_name("karras"'
mutant 'target-ema-mode ignored' 'cm_target_ema_from_name\(c->target_ema_mode' \
    'cm_target_ema_from_name("fixed"'
mutant 'scale-mode ignored' 'cm_scale_mode_from_name\(c->scale_mode' \
    'cm_scale_mode_from_name("progressive"'
mutant 'start-ema ignored' '\.start_ema = c->start_ema' '.start_ema = 0.95'
mutant 'start-scales ignored' '\.start_scales = c->start_scales' '.start_scales = 18'
mutant 'end-scales ignored' '\.end_scales = c->end_scales' '.end_scales = 150'
mutant 'sigma-min ignored' '\{c->sigma_min, c->sigma_max' '{0.002, c->sigma_max'
mutant 'sigma-max ignored' '\{c->sigma_min, c->sigma_max' '{c->sigma_min, 80'
mutant 'sigma-data ignored' ', c->sigma_data, c->rho\}' ', 0.5, c->rho}'
mutant 'rho ignored' ', c->sigma_data, c->rho\}' ', c->sigma_data, 7}'
mutant 'max-minutes ignored' 'c->max_minutes > 0\.0 && cm_seconds' '0 \&\& cm_seconds'
mutant 'init ignored' 'given = t->init \? t->init : t->teacher;' 'given = t->teacher;'
mutant 'flip ignored' 't->config\.flip,' '0,'
mutant 'dropout ignored' 't->net\.dropout = t->config\.dropout' 't->net.dropout = 0.0'
mutant 'recompute ignored' '\.recompute = c->recompute,' '.recompute = 0,'
mutant 'accumulate ignored' '\.parts = \(int\)c->accumulate,' '.parts = 1,'
mutant 'ema-rates: all as the first' '\(float\)c->ema_rate\[i\]' '(float)c->ema_rate[0]'
mutant 'keep ignored' '\(int\)t->config\.keep' '9'
mutant 'log-every ignored' 'due\(t->k, c->log_every\)' 'due(t->k, 50)'
mutant 'sample-every ignored' 'due\(t->k, c->sample_every\)' 'due(t->k, 2000)'
mutant 'save-every ignored' 'due\(t->k, c->save_every\)' 'due(t->k, 2000)'
mutant 'heads ignored' '\.num_heads = \(int\)c->num_heads' '.num_heads = 4'
mutant 'scale-shift-norm ignored' '\.use_scale_shift_norm = c->scale_shift' \
    '.use_scale_shift_norm = 1'
mutant 'resblock-updown ignored' '\.resblock_updown = c->resblock_updown' '.resblock_updown = 1'
mutant 'classes ignored' 'strcmp\(c->classes, "none"\)' '1'

# ---- seeds and noise ---------------------------------------------------------

mutant 'the same noise every step' '\(uint32_t\)\(seed >> 32\), \(uint32_t\)t->k\}' \
    '(uint32_t)(seed >> 32), 0}'
mutant 'seed of the first weights ignored' \
    'cm_stream_key\(\(uint64_t\)t->config\.seed, STREAM_INIT\)' '7'
mutant 'seed of the steps ignored' 'cm_stream_key\(\(uint64_t\)t->config\.seed, STREAM_STEP\)' '7'
mutant 'seed of the steps cut to 32 bits' \
    'cm_stream_key\(\(uint64_t\)t->config\.seed, STREAM_STEP\)' \
    'cm_stream_key((uint32_t)t->config.seed, STREAM_STEP)'
mutant 'seed of the order of images ignored' \
    'cm_stream_key\(\(uint64_t\)t->config\.seed, STREAM_DATA\)' '7'
mutant 'each part of a batch has the same noise' '(part_rng\[3\]) = \(int32_t\)first' '\1 = 0'
mutant 'dropout masks of the target: its own' 'target\.stream = b->student\.stream;' \
    'target.stream = b->student.stream + 500;'
mutant 'no dropout in the target' 'target\.rng = b->student\.rng;' 'target.rng = NULL;'
mutant 'a continued run starts its data anew' 't->k, &t->loader' '0, \&t->loader'

# ---- a step ------------------------------------------------------------------

mutant 'AdamW and RAdam exchanged' 'c->adamw \? cm_adamw : cm_radam' \
    'c->adamw ? cm_radam : cm_adamw'
mutant 'step number of the optimizer: one more' \
    'hyper\[1\] = \(float\)\(t->k \+ 1\)' 'hyper[1] = (float)(t->k + 2)'
mutant 'step number of the optimizer: of this process' \
    'hyper\[1\] = \(float\)\(t->k \+ 1\)' 'hyper[1] += 1.0f'
mutant 'schedule of the teacher ignored' \
    't->teacher \? t->teacher->schedule : t->schedule' 't->schedule'
mutant 'teacher with the weights of the student' \
    'memcpy\(s->teacher, t->teacher->flat, bytes\)' 'memcpy(s->teacher, s->params, bytes)'
mutant 'N and mu stay as they were' 'cm_curriculum_at\(&t->curriculum, t->k\)' \
    'cm_curriculum_at(\&t->curriculum, 0)'
mutant 'the target does not move' 'cm_ema\(g, flat\(b, &b->target, "target"\), p, b->mu, gate\)' \
    '(void)flat(b, \&b->target, "target")'
mutant 'averages: the rate is of the new weights' '\(float\)c->ema_rate\[i\]' \
    '(float)(1.0 - c->ema_rate[i])'
mutant 'the loss is not divided by the batch' '1\.0f / \(float\)c->batch, 0\.0f' '1.0f, 0.0f'
mutant 'student and target levels exchanged' 'cm_loss_consistency\(&l, b->x, z, t, t2\)' \
    'cm_loss_consistency(\&l, b->x, z, t2, t)'
mutant 'grid index: one level short' 'cm_affine\(g, b->scales, 1\.0f, -1\.0f\)' \
    'cm_affine(g, b->scales, 1.0f, -2.0f)'

# ---- what is written ---------------------------------------------------------

mutant 'the log holds the last loss of its steps' 't->loss_sum \+= \(double\)loss' \
    't->loss_sum = (double)loss'
mutant 'the log adds up all losses' 't->loss_sum = 0\.0;' '(void)0;'
mutant 'the log holds the squared norm' 'sqrt\(\(double\)\*t->step->grad_squared\)' \
    '(double)*t->step->grad_squared'
mutant 'the raw weights are exported' 'cm_trainer_model\(l->t, l->t->step->ema\[0\]\)' \
    'cm_trainer_model(l->t, l->t->step->params)'
mutant 'the last average is exported' 'cm_trainer_model\(l->t, l->t->step->ema\[0\]\)' \
    'cm_trainer_model(l->t, l->t->step->ema[l->t->n_ema - 1])'
mutant 'a run is opened as its last average' \
    'config\.ema_rates\[strcspn\(config\.ema_rates, ","\)\] = .*' \
    'for (char *c; (c = strchr(config.ema_rates, 44));) memmove(config.ema_rates, c + 1, 64);'
mutant 'exported sigma_min wrong' '"sigma_min", m->schedule\.sigma_min' '"sigma_min", 0.002'
mutant 'exported sigma_max wrong' '"sigma_data", m->schedule\.sigma_data' '"sigma_data", 0.5'
mutant 'exported schedule: the default' '^ {12,}\.schedule = t->schedule,$' \
    '.schedule = CM_NOISE_SCHEDULE_DEFAULT,'
mutant 'exported kind: always skip' '^ *\.kind = t->kind,$' \
    '.kind = t->kind == CM_PRECOND_EDM ? t->kind : CM_PRECOND_SKIP,'
mutant 'exported N: s1 in place of s1 + 1' '\? t->config\.end_scales \+ 1' '? t->config.end_scales'
mutant 'exported N: of a growing grid, the first' '\? t->config\.end_scales \+ 1' \
    '? t->config.start_scales'
mutant 'exported N: of a fixed grid, one more' ': t->config\.start_scales\),' \
    ': t->config.start_scales + 1),'
mutant 'the teacher of a continued run is not checked' \
    's = check_same\(path, j, "teacher", teacher, "the teacher", err\)' 's = CM_OK'
mutant 'the data of a continued run are not checked' \
    's = check_same\(path, j, "data", data, t->config\.data, err\)' 's = CM_OK'
mutant 'moments are not restored' \
    'a < arrays_of\(w\) && !s' 'a < 1 \&\& !s'

# ---- samples -----------------------------------------------------------------

mutant 's-churn ignored' '\{c->s_churn, c->s_tmin, c->s_tmax, c->s_noise\}' \
    '{0, c->s_tmin, c->s_tmax, c->s_noise}'
mutant 's-tmin ignored' '\{c->s_churn, c->s_tmin, c->s_tmax, c->s_noise\}' \
    '{c->s_churn, 0, c->s_tmax, c->s_noise}'
mutant 's-tmax ignored' '\{c->s_churn, c->s_tmin, c->s_tmax, c->s_noise\}' \
    '{c->s_churn, c->s_tmin, 1e6, c->s_noise}'
mutant 's-noise ignored' '\{c->s_churn, c->s_tmin, c->s_tmax, c->s_noise\}' \
    '{c->s_churn, c->s_tmin, c->s_tmax, 1}'
mutant 'Euler is the default of teachers' 'm->kind == CM_PRECOND_EDM \? HEUN :' \
    'm->kind == CM_PRECOND_EDM ? EULER :'
mutant 'onestep even where levels are given' \
    'HEUN : c->ts\[0\] \|\| c->sigmas\[0\] \? MULTISTEP : ONESTEP' 'HEUN : ONESTEP'
mutant 'multistep is the default of consistency models' \
    'c->ts\[0\] \|\| c->sigmas\[0\] \? MULTISTEP : ONESTEP' 'MULTISTEP'
mutant 'training draws by Euler' 'snprintf\(c\.sampler, sizeof c\.sampler, "%s", samplers\[i\]\)' \
    'snprintf(c.sampler, sizeof c.sampler, "%s", *samplers[i] == 104 ? "euler" : samplers[i])'
mutant 'training draws onestep twice' \
    'snprintf\(c\.sampler, sizeof c\.sampler, "%s", samplers\[i\]\)' \
    'snprintf(c.sampler, sizeof c.sampler, "%s", samplers[0])'
mutant 'training draws from the raw weights' \
    'cm_model model = cm_trainer_model\(t, t->step->ema\[0\]\)' \
    'cm_model model = cm_trainer_model(t, t->step->params)'
mutant 'training draws from the last average' \
    'cm_model model = cm_trainer_model\(t, t->step->ema\[0\]\)' \
    'cm_model model = cm_trainer_model(t, t->step->ema[t->n_ema - 1])'
mutant 'seed of samples ignored' '\.seed = \(uint64_t\)c->seed, \.labels' '.seed = 7, .labels'
mutant 'class random without the seed' \
    'cm_philox\(\(uint64_t\)c->seed, 0, \(uint32_t\)i, 0, STREAM_LABEL\)' \
    'cm_philox(7, 0, (uint32_t)i, 0, STREAM_LABEL)'
mutant 'class random: all the same' \
    'cm_philox\(\(uint64_t\)c->seed, 0, \(uint32_t\)i, 0, STREAM_LABEL\)' \
    'cm_philox((uint64_t)c->seed, 0, 0, 0, STREAM_LABEL)'
mutant 'class all: in turn' '\? i \* k / c->num' '? i % k'
mutant 'N of the model ignored with ts' 'c->steps \? \(int\)c->steps : m->scales' \
    'c->steps ? (int)c->steps : 40'
mutant 'steps ignored' 'ONESTEP \? 1 : c->steps \? \(int\)c->steps : 18' 'ONESTEP ? 1 : 18'
