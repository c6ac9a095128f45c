/* formula_model.h - a model file with weights by formula */
#ifndef CM_TESTS_FORMULA_MODEL_H
#define CM_TESTS_FORMULA_MODEL_H

/* Write the model file `from` as `to`, its weights by formula (formula.h) of salt and
 * name, its metadata as they are. */
void formula_model_write(const char *from, const char *salt, const char *to);

#endif
