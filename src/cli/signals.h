/* signals.h - what the command does on signals, and with descriptors closed at its start.
 * The library installs no handler. */
#ifndef CM_CLI_SIGNALS_H
#define CM_CLI_SIGNALS_H

/* Open what is closed of descriptors 0 to 2, so that no file takes their place and gets what
 * is printed; reading and writing there fails, as it would have. */
void cli_open_standard(void);

/* From here on HUP, INT, TERM and a closed pipe ask to save and stop, and USR1 to save and go
 * on; a second signal to stop quits at once.  HUP stays ignored under nohup. */
void cli_catch_signals(void);

/* The answer of cm_train_hooks.stop. */
int cli_stop_wish(void);

/* The exit code after a stop: 128 and the number of the signal.  After a closed pipe it does
 * not return: the command ends as one that did not catch it. */
int cli_stopped_code(void);

#endif
