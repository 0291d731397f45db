/*
 * malloc_count - counts calls of the allocator in a program that is not rebuilt.
 *
 *   cc -O2 -shared -fPIC -o malloc_count.so malloc_count.c -ldl
 *   MALLOC_COUNT_FILE=/tmp/counts LD_PRELOAD=./malloc_count.so program
 *
 * The file holds five 64-bit counters in the machine's byte order: malloc, calloc, realloc,
 * aligned (aligned_alloc, posix_memalign, memalign), and bytes asked for. They are shared by all
 * processes that inherit the environment, and whoever reads the file twice has the difference.
 * The sixth word is written by the reader: so many of the next allocations are shown on
 * standard error with the callers they come from.
 *
 * A preloaded library comes before any other in symbol lookup, so a program that links
 * jemalloc is counted too; its calls go on to jemalloc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MALLOC, CALLOC, REALLOC, ALIGNED, BYTES, SHOW, WORDS };
enum { FRAMES = 24, EARLY_BYTES = 16384 };

static _Atomic uint64_t local[WORDS];
static _Atomic uint64_t *counts = local;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned_alloc)(size_t, size_t);
static int (*real_posix_memalign)(void **, size_t, size_t);
static void *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);

/* dlsym allocates before it has told us where the allocator is: this serves it. */
static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;
static __thread int showing __attribute__((tls_model("initial-exec")));

static void *take_early(size_t size)
{
    size_t at = early_used;
    size = (size + 15) & ~(size_t)15;
    if (size > EARLY_BYTES - at)
        abort();
    early_used = at + size;
    return early + at;          /* static memory, so already zero */
}

static int is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + EARLY_BYTES;
}

static void find(void)
{
    static int finding;
    if (real_free || finding)
        return;
    finding = 1;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&real_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&real_memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    finding = 0;
}

__attribute__((constructor)) static void start(void)
{
    find();
    const char *path = getenv("MALLOC_COUNT_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof local))
        return;
    void *map = mmap(NULL, sizeof local, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        counts = map;
}

static void count(int which, size_t size)
{
    atomic_fetch_add_explicit(&counts[which], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts[BYTES], size, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&counts[SHOW], memory_order_relaxed);
    if (left == 0 || showing)
        return;
    if (!atomic_compare_exchange_strong(&counts[SHOW], &left, left - 1))
        return;
    showing = 1;                /* backtrace allocates when it is used first */
    int error = errno;
    void *frames[FRAMES];
    static const char line[] = "malloc_count: an allocation\n";
    if (write(2, line, sizeof line - 1) > 0)
        backtrace_symbols_fd(frames, backtrace(frames, FRAMES), 2);
    errno = error;
    showing = 0;
}

void *malloc(size_t size)
{
    find();
    if (!real_malloc)
        return take_early(size);
    count(MALLOC, size);
    return real_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    find();
    if (!real_calloc)
        return take_early(n * size);
    count(CALLOC, n * size);
    return real_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    find();
    if (is_early(p)) {
        size_t room = (size_t)(early + EARLY_BYTES - (char *)p);
        void *q = malloc(size);
        return q ? memcpy(q, p, size < room ? size : room) : NULL;
    }
    if (!real_realloc)
        return take_early(size);
    count(REALLOC, size);
    return real_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    find();
    count(ALIGNED, size);
    return real_aligned_alloc(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    find();
    count(ALIGNED, size);
    return real_posix_memalign(p, alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
    find();
    count(ALIGNED, size);
    return real_memalign(alignment, size);
}

void free(void *p)
{
    find();
    if (!is_early(p) && real_free)
        real_free(p);
}
