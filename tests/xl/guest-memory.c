/* Memory that keeps changing and can be checked, for a guest that is saved or migrated
 * meanwhile. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each page holds words made of its number and its version; the versions are in a table
 * of their own. A page is checked before it gets its next version. So a page that came
 * over in an older version than the table's is seen. Prints each second:
 *
 *     memory: <pages written> written, <pages found wrong> wrong
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define PAGES 4096
#define WORDS (4096 / sizeof(uint64_t))
#define BURST 256 /* pages written between two rests */

static uint64_t memory[PAGES][WORDS] __attribute__((aligned(4096)));
static uint64_t version[PAGES];

static uint64_t word_of(unsigned page, unsigned word)
{
    return (version[page] << 32 | page << 12 | word) * 0x9e3779b97f4a7c15ull;
}

static void fill(unsigned page)
{
    for (unsigned i = 0; i < WORDS; i++)
        memory[page][i] = word_of(page, i);
}

static int is_wrong(unsigned page)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (memory[page][i] != word_of(page, i))
            return 1;
    return 0;
}

int main(void)
{
    const struct timespec rest = {.tv_nsec = 50000000};
    uint64_t random = 88172645463325252ull, written = 0, wrong = 0;
    time_t said = time(NULL);

    for (unsigned page = 0; page < PAGES; page++)
        fill(page);
    for (;;) {
        for (unsigned i = 0; i < BURST; i++, written++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            unsigned page = random % PAGES;
            wrong += (uint64_t)is_wrong(page);
            version[page]++;
            fill(page);
        }
        nanosleep(&rest, NULL);
        if (time(NULL) == said)
            continue;
        for (unsigned page = 0; page < PAGES; page++)
            wrong += (uint64_t)is_wrong(page);
        printf("memory: %llu written, %llu wrong\n", (unsigned long long)written,
               (unsigned long long)wrong);
        fflush(stdout);
        said = time(NULL);
    }
}
