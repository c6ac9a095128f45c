# list.sh - sourced by run.sh: mutant NAME PATTERN REPLACEMENT
# shellcheck shell=sh

# ---- an option is ignored ----------------------------------------------------

mutant 'weight-decay ignored' '\(float\)o->weight_decay\}' '0.0f}'
mutant 'lr ignored' 'double lr = c->lr;' 'double lr = 1e-3;'
mutant 'lr-warmup ignored' 'if \(k < c->lr_warmup\)' 'if (k < 0)'
mutant 'lr-warmup from 0' 'lr \*= \(double\)\(k \+ 1\) /' 'lr *= (double)k /'
mutant 'lr-decay ignored' 'if \(c->lr_decay\)' 'if (0)'
mutant 'p-mean ignored' '\(float\)o->p_mean' '-1.2f'
mutant 'p-std ignored' '\(float\)o->p_std' '1.2f'
mutant 'beta1 ignored' '\(float\)o->beta1' '0.9f'
mutant 'beta2 ignored' '\(float\)o->beta2' '0.999f'
mutant 'solver ignored' 'cm_solver_find\(o->solver\)' 'cm_solver_find("heun")'
mutant 'loss-norm ignored' 'cm_distance_find\(o->loss_norm\)' 'cm_distance_find("l2")'
mutant 'huber-c ignored' 'double given = l->settings->options->huber_c;' 'double given = 0.0;'
mutant 'pseudo-huber: c per value' '0\.00054 \* sqrt\(values\)' '0.00054'
mutant 'boundary ignored' 'cm_precondition_find\(o->boundary\)' \
    'cm_precondition_find("skip")'
mutant 'weighting ignored' 'cm_weighting_find\(o->weighting\)' \
    'cm_weighting_find("karras")'
mutant 'target-ema-mode ignored' 'cm_target_ema_mode_find\(o->target_ema_mode\)' \
    'cm_target_ema_mode_find("fixed")'
mutant 'scale-mode ignored' 'cm_scale_mode_find\(o->scale_mode\)' \
    'cm_scale_mode_find("progressive")'
mutant 'start-ema ignored' '\.start_ema = o->start_ema' '.start_ema = 0.95'
mutant 'start-scales ignored' '\.start_scales = o->start_scales' '.start_scales = 18'
mutant 'end-scales ignored' '\.end_scales = o->end_scales' '.end_scales = 150'
mutant 'sigma-min ignored' '\{o->sigma_min, o->sigma_max' '{0.002, o->sigma_max'
mutant 'sigma-max ignored' '\{o->sigma_min, o->sigma_max' '{o->sigma_min, 80'
mutant 'sigma-data ignored' ', o->sigma_data, o->rho\}' ', 0.5, o->rho}'
mutant 'rho ignored' ', o->sigma_data, o->rho\}' ', o->sigma_data, 7}'
mutant 'max-minutes ignored' 'return minutes > 0\.0 && cm_seconds' 'return 0 \&\& cm_seconds'
mutant 'init ignored' 'given = t->init \? t->init : t->teacher;' 'given = t->teacher;'
mutant 'flip ignored' 't->config\.flip,' '0,'
mutant 'dropout ignored' 'net\.dropout = c->dropout' 'net.dropout = 0.0'
mutant 'recompute ignored' 'b->student\.recompute = options_of\(c\)->recompute' 'b->student.recompute = 0'
mutant 'accumulate ignored' 's->parts = \(int\)o->accumulate;' 's->parts = 1;'
mutant 'ema-rates: all as the first' '\(float\)\(1\.0 - b->config->ema_rate\[i\]\)' \
    '(float)(1.0 - b->config->ema_rate[0])'
mutant 'keep ignored' '\(int\)t->config\.keep' '9'
mutant 'log-every ignored' 'due\(t, t->k, c->log_every\)' 'due(t, t->k, 50)'
mutant 'sample-every ignored' 'due\(l->t, k, c->sample_every\)' 'due(l->t, k, 2000)'
mutant 'save-every ignored' 'due\(t, t->k, c->save_every\)' 'due(t, t->k, 2000)'
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
mutant 'each part of a batch has the same noise' '\(int32_t\)\(first \+ n \* \(size_t\)s->own\.first\)' '0'
mutant 'dropout masks of the target: its own' 'target_net\.stream = b->student\.stream;' \
    'target_net.stream = b->student.stream + 500;'
mutant 'no dropout in the target' 'target_net\.rng = b->student\.rng;' 'target_net.rng = NULL;'
mutant 'a continued run starts its data anew' 't->k, &t->loader' '0, \&t->loader'

# ---- a step ------------------------------------------------------------------

mutant 'AdamW and RAdam exchanged' '"radam", cm_radam\}, \{"adamw", cm_adamw' \
    '"radam", cm_adamw}, {"adamw", cm_radam'
mutant 'step number of the optimizer: one more' \
    'hyper\[1\] = \(float\)\(k \+ 1\)' 'hyper[1] = (float)(k + 2)'
mutant 'step number of the optimizer: of this process' \
    'hyper\[1\] = \(float\)\(k \+ 1\)' 'hyper[1] += 1.0f'
mutant 'schedule of the teacher ignored' \
    't->settings\.teacher_schedule = m->schedule;' '(void)0;'
mutant 'teacher with the weights of the student' \
    'memcpy\(s->teacher, t->teacher->flat, bytes\)' 'memcpy(s->teacher, s->params, bytes)'
mutant 'N and mu stay as they were' 'cm_curriculum_at\(&s->curriculum, k\)' \
    'cm_curriculum_at(\&s->curriculum, 0)'
mutant 'the target does not move' '\(float\)\(1\.0 - s->scalars\.mu\)' \
    '0.0f'
mutant 'averages: the rate is of the new weights' '\(float\)\(1\.0 - b->config->ema_rate\[i\]\)' \
    '(float)b->config->ema_rate[i]'
mutant 'averages: the rate is rounded to a float' '\(float\)\(1\.0 - b->config->ema_rate\[i\]\)' \
    '(float)(1.0 - (double)(float)b->config->ema_rate[i])'
mutant 'the loss is not divided by the batch' '1\.0f / \(float\)options_of\(b->config\)->batch, 0\.0f' \
    '1.0f, 0.0f'
mutant 'student and target levels exchanged' 'return cm_loss_consistency\(c, z, t, t2\);' \
    'return cm_loss_consistency(c, z, t2, t);'
mutant 'grid index: one level short' 'u, cm_affine\(g, scales, 1\.0f, -1\.0f\)' \
    'u, cm_affine(g, scales, 1.0f, -2.0f)'

# ---- stages -------------------------------------------------------------------

mutant 'pd: the middle level is the first' 'cm_affine\(g, i, 2\.0f, \(float\)k\)' \
    'cm_affine(g, i, 2.0f, (float)(k / 2 * 2))'
mutant 'pd: the grid is of N levels' 'cm_affine\(g, N, 2\.0f, 1\.0f\)' 'cm_affine(g, N, 2.0f, -1.0f)'
mutant 'pd: the last interval is not drawn' 'cm_floor\(g, cm_mul\(g, u, N\)\)' \
    'cm_floor(g, cm_mul(g, u, cm_affine(g, N, 1.0f, -1.0f)))'
mutant 'pd: one step of the teacher' 'euler->step\(&c->teacher, xt2, t2, t3\)' \
    'euler->step(\&c->teacher, xt2, t, t3)'
mutant 'pd: the target is where the steps lead' 'cm_sub\(g, xt3, xt\), cm_per_sample\(g, ratio\)' \
    'cm_sub(g, xt3, xt), cm_per_sample(g, cm_pow(g, ratio, 0.0f))'
mutant 'pd: all stages have one share' 'return N <= 2 \? 2 : 1;' 'return N <= 0 ? 2 : 1;'
mutant 'pd: end-scales ignored' 'now\.scales <= o->end_scales' 'now.scales <= 1'
mutant 'pd: the model is of the next stage' 'stage\(s, k > 0 \? k - 1 : 0\)\.scales' 'stage(s, k).scales'
mutant 'pd: a stage is not begun' 'if \(stage\.number && !k\)' 'if (0)'
mutant 'pd: moments go on' 'memset\(s->m, 0, own\);' '(void)0;'
mutant 'pd: second moments go on' 'memset\(s->v, 0, own\);' '(void)0;'
mutant 'pd: the student becomes the teacher, not its average' \
    'first = cm_train_step_whole\(s, s->ema\[0\]\);' 'first = s->params;'
mutant 'pd: other averages go on' 'memcpy\(s->ema\[i\], s->ema\[0\], own\);' '(void)0;'
mutant 'pd: packed weights of the first teacher' \
    'cm_plan_refresh_buffer\(s->part, s->teacher_buffer\);' '(void)0;'
mutant 'pd: the rate falls over the whole run' 'learning_rate\(&t->config, k, stage\.steps\)' \
    'learning_rate(\&t->config, t->k, t->config.steps)'
mutant 'pd: the optimizer counts on' 's->hyper\[1\] = \(float\)\(k \+ 1\);' \
    's->hyper[1] = (float)(t->k + 1);'
mutant 'pd: the teacher is not saved' 'if \(s->teacher && t->settings\.objective->stage\)' 'if (0)'
mutant 'pd: stages of a longer run' '!then \|\| then == t->config\.steps' '1'
mutant 'pd: a line of the log is of two stages' 'ends = last \|\| ends_stage\(t\);' 'ends = last;'
mutant 'pd: exported without its steps' '\.steps = o->stage \? scales - 1 : 0,' '.steps = 0,'
mutant 'pd: any teacher of few steps' 's->teacher_steps && s->teacher_steps != 2 \* start' '0'
mutant 'pd: any sigma-data' '!same\(s->teacher_schedule\.sigma_data, s->schedule\.sigma_data\)' '0'
mutant 'pd: a run out of time looks done' '^        cm_loop_report_early_end\(&l\);' '        (void)0;'
mutant 'pd: no way out of a missing teacher' 's == CM_ERR_IO && resume && err' '0'
mutant 'progdist: goes on to zero' '\.ends_at_min = 1,' '.ends_at_min = 0,'
mutant 'progdist: steps of the model ignored' 'm->steps \? m->steps : r->method->steps' 'r->method->steps'
mutant 'progdist: any steps' 'if \(c->steps && m->steps % c->steps\)' 'if (0)'
mutant 'edits of a model of few steps' 'if \(r->few_steps\)$' 'if (0)'

# ---- what is written ---------------------------------------------------------

mutant 'the log holds the last loss of its steps' 't->loss_sum \+= \(double\)loss' \
    't->loss_sum = (double)loss'
mutant 'the log adds up all losses' 't->loss_sum = 0\.0;' '(void)0;'
mutant 'the log holds the squared norm' 'sqrt\(\(double\)t->step->grad_squared\)' \
    '(double)t->step->grad_squared'
mutant 'the raw weights are exported' 'cm_trainer_model\(l->t, average\)' \
    'cm_trainer_model(l->t, l->t->step->params)'
mutant 'the last average is exported' 'cm_trainer_model\(l->t, average\)' \
    'cm_trainer_model(l->t, l->t->step->ema[l->t->n_ema - 1])'
mutant 'a run is opened as its last average' '\(int\)strcspn\(rates, ","\), rates\)' \
    '99, strrchr(rates, 44) ? strrchr(rates, 44) + 1 : rates)'
mutant 'exported sigma_min wrong' '"sigma_min", n->sigma_min, "sigma_max"' '"sigma_min", 0.002, "sigma_max"'
mutant 'exported sigma_max wrong' '"sigma_max", n->sigma_max' '"sigma_max", 80.0'
mutant 'exported sigma_data wrong' '"sigma_data", n->sigma_data' '"sigma_data", 0.5'
mutant 'exported schedule: the default' '^ {12,}\.schedule = t->settings\.schedule,$' \
    '.schedule = CM_NOISE_SCHEDULE_DEFAULT,'
mutant 'exported kind: always skip' '\.precondition = t->settings\.precondition,$' \
    '.precondition = t->teacher ? \&cm_precondition_skip : t->settings.precondition,'
mutant 'exported N: s1 in place of s1 + 1' '\? c->end_scales \+ 1 :' '? c->end_scales :'
mutant 'exported N: of a growing grid, the first' '\? c->end_scales \+ 1 :' \
    '? c->start_scales :'
mutant 'exported N: of a fixed grid, one more' '\+ 1 : c->start_scales;' \
    '+ 1 : c->start_scales + 1;'
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
mutant 'Euler is the default of teachers' '\.run = run_heun' '.run = run_euler'
mutant 'onestep even where levels are given' \
    'c->ts\[0\] \|\| c->sigmas\[0\] \|\| c->steps > 1\);' '0);'
mutant 'multistep is the default of consistency models' \
    \
    'c->ts\[0\] \|\| c->sigmas\[0\] \|\| c->steps > 1\);' '1);'
mutant 'steps do not ask for multistep' 'c->sigmas\[0\] \|\| c->steps > 1\);' 'c->sigmas[0]);'
mutant 'DPM-Solver-2: the arithmetic middle' '\(cbrt\(sigma\) \+ cbrt\(next\)\) / 2;' \
    'cbrt((sigma + next) / 2);'
mutant 'ancestral: the noise of the step before' 's->noise\.draw\(s->noise\.user, i \+ 1, z\);' \
    's->noise.draw(s->noise.user, i, z);'
mutant 'ancestral: down to the next level' 'down = to \* to / from;' 'down = to;'
mutant '2M: the midpoint without its half' 'phi1 \* h / \(2 \* h1\)' 'phi1 * h / h1'
mutant '3M: all of the second derivative' '\(phi2 \* h1 \+ phi3\)' '(phi2 * h1 + 2 * phi3)'
mutant 'DPM-Solver++: no lower order at the end of few steps' 'enum \{ FEW_STEPS = 15 \};' \
    'enum { FEW_STEPS = 0 };'
mutant '2M is 3M' 'cm_sample_dpm_solver\(s, l->sigma, l->n, 2, x, err\)' \
    'cm_sample_dpm_solver(s, l->sigma, l->n, 3, x, err)'
mutant 'noise file: all draws are the first' 'float \*to = m->noise \+ draw \* n;' 'float *to = m->noise;'
mutant 'noise file: a gap' 's \|\| there == \*draws' '1'
mutant 'noise file: first is not read' 'const char \*text = cm_st_metadata\(f, "first"\);' \
    'const char *text = NULL;'
mutant 'saved noise of image 0 alone' 'r->first \+ i, draw, save->image, bytes' 'r->first, draw, save->image, bytes'
mutant 'saved noise of the seed where it was given' 'if \(r->noise && draw < r->draws\)$' 'if (0)'
mutant 'ternary: the other third goes' 's && at_first < at_second' 's \&\& at_first > at_second'
mutant 'ternary: two points are not asked' 'p <= right && !s; p\+\+' 'p < right \&\& !s; p++'
mutant 'search log: half a line stays' 'if \(!s && half != SIZE_MAX && ftruncate' 'if (0 \&\& ftruncate'
mutant 'search log: any search' 'strcmp\(key, log->key\) != 0' '0'
mutant 'search: another seed a candidate' 'score_of\(s, list, s->params->seed, &score, err\)' \
    'score_of(s, list, s->params->seed + p, \&score, err)'
mutant 'levels of the model ignored' 'l->n = \(int\)K;' 'l->n = (int)K, found = 0;'
mutant 'search: the worse of two is kept' 'without\.score < found\.score' 'without.score > found.score'
mutant 'search: the model of a run in f32' 'cm_model_write\(&with, p->out, CM_BF16, err\)' \
    'cm_model_write(\&with, p->out, CM_F32, err)'
mutant 'noise file: rows of its first images' '\(d \* noise->n \+ skip\) \* size' 'd * noise->n * size'
mutant 'noise file: numbers without bound' 'fabsf\(to\[i\]\) <= CM_MOST_NOISE' 'isfinite(to[i])'
mutant 'noise file: any class' 'm->labels\[i\] < -1 \|\| m->labels\[i\] >= classes' 'm->labels[i] < -1'
mutant 'noise file: replaced by that of the images after' 'files->go_on && \*files->save_noise' '0'
mutant 'training draws by Euler' 'snprintf\(c\.sampler, sizeof c\.sampler, "%s", sampler\)' \
    'snprintf(c.sampler, sizeof c.sampler, "%s", *sampler == 104 ? "euler" : sampler)'
mutant 'training draws onestep twice' \
    'snprintf\(c\.sampler, sizeof c\.sampler, "%s", sampler\)' \
    'snprintf(c.sampler, sizeof c.sampler, "%s", *t->settings.objective->samplers)'
mutant 'training draws from the raw weights' \
    'const cm_model drawn = cm_trainer_model\(t, weights\)' \
    'const cm_model drawn = cm_trainer_model(t, t->step->params)'
mutant 'training draws from the last average' \
    'const cm_model drawn = cm_trainer_model\(t, weights\)' \
    'const cm_model drawn = cm_trainer_model(t, t->step->ema[t->n_ema - 1])'
mutant 'seed of samples ignored' '\.first = p->first, \.seed = p->seed' '.first = p->first, .seed = 7'
mutant 'class random without the seed' \
    'cm_philox\(seed, 0, \(uint32_t\)index, 0, STREAM_LABEL\)' \
    'cm_philox(7, 0, (uint32_t)index, 0, STREAM_LABEL)'
mutant 'class random: all the same' \
    'cm_philox\(seed, 0, \(uint32_t\)index, 0, STREAM_LABEL\)' \
    'cm_philox(seed, 0, 0, 0, STREAM_LABEL)'
mutant 'class all: in turn' 'return i \* r->classes / num;' 'return i % r->classes;'
mutant 'N of the model ignored with ts' 'c->steps \? \(int\)c->steps : m->scales' \
    'c->steps ? (int)c->steps : 40'
mutant 'steps ignored' 'c->steps \? \(int\)c->steps : m->steps' 'm->steps'

# ---- what issues found -------------------------------------------------------

mutant 'second level of multistep fixed' 'level = wanted < highest && wanted >= schedule->sigma_min' \
    'level = 1'
mutant 'second level off the grid' 'return scales < 3 \? level' 'return scales ? level'
mutant 'samples before the checkpoint end the run' '^        draw_samples\(l\);' \
    '        { draw_samples(l); s = CM_ERR_IO; }'
mutant 'losses of before a resume forgotten' '&t->loss_count, err\)\) \|\|' '\&offset, err)) ||'
mutant 'the log is not cut at resume' 'cm_runlog_open\(t->config\.out, log_offset, &t->log, err\)' \
    'cm_runlog_open(t->config.out, INT64_MAX, \&t->log, err)'
mutant 'class random: 64 labels over and over' \
    'cm_philox\(seed, 0, \(uint32_t\)index, 0, STREAM_LABEL\)' \
    'cm_philox(seed, 0, (uint32_t)(index % 64), 0, STREAM_LABEL)'
mutant 'dtype of a continued run unchecked' \
    's = check_same\(path, j, "dtype", cm_dtype_name\(t->dtype\), "the dtype", err\)' 's = CM_OK'
mutant 'time input not written' 'if \(c->time_input != &cm_time_log250\)' 'if (0)'
mutant 'averages of old runs not found' '!cm_text_to_real\(cm_text_rounded\(text, rate, 10\), &rounded\)' '1'

# ---- workers, sessions, the door ---------------------------------------------
mutant 'a barrier lets all pass' 'if \(p->size == 1\)' 'if (p->size >= 1)'
mutant 'sums of the last worker forgotten' 'for \(int k = 1; k < s->n; k\+\+\)' \
    'for (int k = 1; k < s->n - 1; k++)'
mutant 'a slice of rows without its halo' 'c\.pad_top = \(int\)\(c\.x - above\);' 'c.pad_top = 0;'
mutant 'a forked child without workers' 'if \(p->process != getpid\(\)\)' 'if (0)'
mutant 'first of a request ignored' 'r->first \+ number, draw, n, b->sampler->noise' 'number, draw, n, b->sampler->noise'
mutant 'labels of a request ignored' 'is_given \? r->labels\[i\]' '0 ? r->labels[i]'
mutant 'noise of the caller: draw 0 alone' 'r->noise \+ \(draw \* r->num \+ at\) \* n' 'r->noise + at * n'
mutant 'size of a struct unchecked' 'return found == expected' 'return 1'
mutant 'NaN passes the door' 'value >= o->min && value <= o->max\)' '!(value < o->min || value > o->max))'
mutant 'EXIF orientation ignored' 'if \(orientation < 2 \|\| orientation > 8\)' 'if (1)'

# ---- the length of a run --------------------------------------------------------
mutant 'curriculum of the one step that was timed' \
    't->settings\.curriculum\.total_steps = \*steps;' ';'
mutant 'averages of the one step that was timed' \
    'memcpy\(c->ema_rates, ema_rates, sizeof ema_rates\);' ';'
mutant 'minutes taken for seconds' '&t->settings, 60\.0 \* minutes' '\&t->settings, minutes'
mutant 'presets over what is given' 'if \(!status && \*run->preset\)' 'if (0)'

# ---- sheets and names of files -------------------------------------------------
mutant 'scale of a grid ignored' '\.scale = l->scale,' '.scale = 1,'
mutant 'captions ignored' '\.captions = l->captions,' '.captions = 0,'
mutant 'heading ignored' '\.heading = l->heading\}' '.heading = NULL}'
mutant 'heading is no title' '\{format, QUALITY, l->heading\}' '{format, QUALITY, NULL}'
mutant 'sample-scale ignored' '\.scale = \(int\)t->config\.sample_scale' '.scale = 2'
mutant 'only the first row of a pixel' 'for \(int k = 1; k < l->scale; k\+\+\)' \
    'for (int k = 1; k < 1; k++)'
mutant 'text beyond its box' 'if \(w - 1 > room\)' 'if (w - 9 > room)'
mutant 'combining marks are boxes' 'code >= 0x300 && code <= 0x36f \? NOTHING' '0 ? NOTHING'
mutant 'a slash in the name of a file' 'strchr\(" /' 'strchr(" '
mutant 'files of others are samples' 'digits < DIGITS \|\|' ''
mutant 'seconds of the log begin again' 'l->before \+ now - l->start' 'now - l->start'

# ---- files of other programs: archives, PyTorch's checkpoints ------------------

mutant 'zip: the CRC is not compared' 's->crc == s->e->crc' '1'
mutant 'zip: entries may overlap' 'of->packed > end - of->at' '0'
mutant 'zip: a name twice' \
    'if \(!strcmp\(z->by_name\[i\]->of\.name, z->by_name\[i - 1\]->of\.name\)\)' 'if (0)'
mutant 'zip: names lead out' 'if \(leads_out\(of->name\)\)' 'if (0)'
mutant 'zip: no limit on all bytes' 'e->of\.bytes > limits->total_bytes - total' '0'
mutant 'zip: no limit on the ratio' 'total / limits->ratio > z->source\.size' '0'
mutant 'zip: more than its size' 'if \(!n && !s->z\.avail_out\)' 'if (0)'
mutant 'zip: entries after the count' '    if \(left\)$' '    if (0)'
mutant 'pickle: a dict takes what is no dict' 'CM_PV_DICT, &dict\)' '-1, \&dict)'
mutant 'pickle: text without a look at its bytes' \
    'memchr\(room, 0, n\) \|\| !cm_utf8_ok\(room\)' '0'
mutant 'torch: elements outside the storage' 'return last < t->storage\.elements;' 'return 1;'
mutant 'torch: more elements than the storage' 'count > t->storage\.elements\)' '0)'
mutant 'torch: strides are not looked at' 't->dim\[i\] != 1 && t->stride\[i\] != step' '0'
mutant 'torch: the offset is lost' '\.begin = at \+ \(uint64_t\)t->offset \* size' '.begin = at'
mutant 'torch: a name twice' \
    'if \(!strcmp\(c->file->by_name\[i\]->name, c->file->by_name\[i - 1\]->name\)\)' 'if (0)'
mutant 'torch: the CRC of a storage' 'if \(f->check && !offset\)' 'if (0)'
mutant 'torch: size of an entry' 'e->deflated \|\| e->bytes != cm_torch_storage_bytes\(s\)' '0'
mutant 'torch: elements in the row' 'elements != \(uint64_t\)p->is\.elements' '0'
mutant 'torch: the row may go on' '!s && at != c->file->source\.size' '0'
mutant 'released: image size ignored' 'json_integer\(family->image_size\)' 'json_integer(64)'
mutant 'released: kind ignored' 'm->precondition = kind->precondition' \
    'm->precondition = \&cm_precondition_skip'
mutant 'released: levels ignored' 'm->scales = kind->scales' 'm->scales = 40'
mutant 'released: no attention' 'if \(dim\(f, 0, "output_blocks\.%d\.1\.qkv\.weight", block\)\)' 'if (0)'

# ---- edits -------------------------------------------------------------------

mutant 'inpaint: the mask the other way round' 'return k->mask\[pixel\] > 127;' \
    'return k->mask[pixel] <= 127;'
mutant 'colorize: luma not of unit length' 'square = luma_of\(luma\);' 'square = 1.0;'
mutant 'colorize: what does not fit is cut off' 'share = room\(grey, x0\[i \+ c\], share\);' \
    'share = 1;'
mutant 'upscale: the first patch for all' 'const patch p = \{k, \(y \* k->w \+ x\) \* k->c \+ c\};' \
    'const patch p = {k, c};'
mutant 'slerp is a line' 'if \(sin\(angle\) > 1e-9\)' 'if (0)'
mutant 'an edit does not start from its picture' 'sampling->from = e->seen;' 'sampling->from = NULL;'
mutant 'candidates share their noise' 'CM_START_BETWEEN \? 0 : i % e->each;' 'CM_START_BETWEEN ? 0 : 0;'
mutant 'the noise of candidates depends on the number of pictures' \
    'CM_START_BETWEEN \? 0 : i % e->each;' 'CM_START_BETWEEN ? 0 : i;'
mutant 'strength the other way round' 'cm_sigma_at\(n, 1 - strength\)' 'cm_sigma_at(n, strength)'
mutant 'what a search found is not read' 'known && !\(e->strength > 0\)' '0 \&\& known'
mutant 'noise of a picture without what black cut off' '/ pow\(cut_off, ground\)' '* 1'
mutant 'a mask is averaged' 'cm_image_fit_nearest\(fit, &one, h, w, dst\);' \
    's = cm_image_fit_as(fit, "image", \&one, h, w, dst, err);'

# ---- distances of losses -------------------------------------------------------

mutant 'distance: l2-32 by the corners of pixels' \
    'x : cm_resize_bilinear\(g, x, side, side, 1\)' 'x : cm_resize_bilinear(g, x, side, side, 0)'
mutant 'distance: lpips of images within [-1,1]' 'cm_affine\(g, image, 0\.5f, 0\.5f\)' \
    'cm_affine(g, image, 1.0f, 0.0f)'
mutant 'distance: lpips is resized at 256 too' 'dim\[2\] < CM_LPIPS_NARROW' 'dim[2] <= CM_LPIPS_NARROW'
mutant 'distance: no number is lost in lpips' 'cm_embedding_add\(e, image, NULL, 0\.0f\);' ';'
mutant 'distance: weights of channels left out' 'if \(a->weight\)' 'if (0)'
mutant 'distance: features not of unit length' 'cm_node \*unit = normalise\(g, cm_cast\(g, f, CM_F32\)\);' \
    'cm_node *unit = cm_cast(g, f, CM_F32);'
mutant 'distance: features of one level' 'i < config->of\.convnet\.n_levels; i\+\+' 'i < 1; i++'
mutant 'distance: sum over places' '1\.0f / \(float\)\(t\.dim\[1\] \* t\.dim\[2\]\)\);' '1.0f);'
mutant 'loss-weights: another one goes on' 't->frozen\.params && \(s = check_same' '0 \&\& (s = check_same'
mutant 'loss-weights: of other images' 'return kind \? kind->check\(&t->frozen, &t->config, &t->net, err\) : CM_OK;' \
    'return CM_OK;'
mutant 'loss-weights not counted' '\(arrays \* s->floats \+ s->frozen\)' '(arrays * s->floats)'

# ---- continuous time ---------------------------------------------------------

mutant 'stop-gradient ignored' '!strcmp\(s->options->stop_gradient, "true"\)' '0'
mutant 'the tangent of x_t twice' 'cm_node \*xt = cm_stop_gradient\(g, (cm_noisy\(.*\))\);' \
    'cm_node *xt = \1;'
mutant 'the tangent without t' 'cm_graph_jvp\(g, f, 2, ' 'cm_graph_jvp(g, f, 1, '
mutant 'levels uniform in sigma' 'cm_sigma_at_position\(c->g, &c->settings->schedule, u\)' \
    'cm_affine(c->g, u, 79.998f, 0.002f)'
mutant 'group norm: 1/sigma has no tangent' 'cm_fma\(-coef\[M2 \* ch \+ i\], v, u\)' 'u'
mutant 'silu: its second derivative ignored' 'dx\[1\] = silu_second\(g, n, dy\);' '(void)silu_second;'
mutant 'attention: no tangent of the row sums' 'cm_mul\(g, p, sum_of_rows\(g, pdot, dp\)\)' \
    'cm_zeros(g, p->type)'
mutant 'continuous: dx/dt of distillation is z' 'c->teacher\.net \? cm_ode_slope\(&c->teacher, xt, t\) : z' 'z'
mutant 'continuous: the boundary is a little below sigma-min' \
    'coefficients\(g, s, sigma, cm_affine\(g, sigma, 1\.0f, -\(float\)s->sigma_min\)\)' \
    'coefficients(g, s, sigma, cm_affine(g, sigma, 1.0f, -0.999f * (float)s->sigma_min))'
mutant 'continuous: a grid is claimed' 'm->scales \? json_integer\(m->scales\)' '1 ? json_integer(m->scales)'
mutant 'continuous: time points of no grid' 'cm_status s = !steps \?' 'cm_status s = 0 ?'

# ---- moments and averages shared by processes -----------------------------------

mutant 'shard ignored' 'options_of\(c\)->shard && cm_group_size' '0 \&\& cm_group_size'
mutant 'shard: the norm is of the own slices' 'cm_group_sum_begin\(s->group, s->squares, s->room' \
    'cm_group_sum_begin(s->group, s->squares + runs, s->room'
mutant 'shard: squares of the last step are added' \
    'memset\(s->squares, 0, runs \* sizeof\(float\)\);' '(void)runs;'
mutant 'shard: the loss of the last part alone' \
    'merge\(s, s->own\.count - 1, s->floats, grad_floats\(s\)\);' '(void)0;'
mutant 'shard: weights are not gathered' 'spread\(s, s->params\);' '(void)0;'
mutant 'shard: the target follows the old weights' \
    's->weights_done = cm_plan_steps_until\(s->update, b->params, 0, bytes\);' \
    's->weights_done = cm_plan_steps(s->update);'
mutant 'shard: what is gathered is of one process' 'spread\(s, s->room\);' '(void)0;'
mutant 'shard: the first slice is taken for each' 'memcpy\(own \+ p->at, whole \+ p->begin,' \
    'memcpy(own + p->at, whole + p->at,'
mutant 'shard: second moments are the first' 'array = f->first \+ i / count;' 'array = f->first;'
mutant 'shard: a run that began otherwise does not go on' \
    '"recompute", +"shard", +"sample-scale"' '"recompute", "sample-scale"'
mutant 'shard: models say so' 'json_object_del\(options, "shard"\);' '(void)0;'
