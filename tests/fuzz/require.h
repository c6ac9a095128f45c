/* require.h - what must hold of every input: else the program ends as at a crash */
#ifndef CM_TEST_REQUIRE_H
#define CM_TEST_REQUIRE_H

#include <stdlib.h>

static void require(int holds)
{
    if (!holds)
        abort();
}

#endif
