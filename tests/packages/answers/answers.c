#include "answers.h"

const char *answer(void) { return "42"; }
