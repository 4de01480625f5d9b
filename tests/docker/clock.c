/* A clock that somebody sets: what programs read as the time of day is wrong by the seconds that stand in /dev/shm/clock. The kernel's monotonic
   clocks are left alone, as they are where a machine's clock is set. Preloaded; no headers, so that a compiler alone is enough. */
struct moment { long seconds, rest; };
extern void *dlsym(void *, const char *);
extern int open(const char *, int, ...), close(int), *__errno_location(void);
extern long read(int, void *, unsigned long);

static long wrong_by(void)
{
    char text[24];
    int kept = *__errno_location(), file = open("/dev/shm/clock", 02000000 /* O_CLOEXEC */);
    long length = 0, seconds = 0;
    if (file >= 0) {
        length = read(file, text, sizeof text);
        close(file);
    }
    *__errno_location() = kept;
    for (long at = length > 0 && text[0] == '-'; at < length && text[at] >= '0' && text[at] <= '9'; at++)
        seconds = 10 * seconds + text[at] - '0';
    return length > 0 && text[0] == '-' ? -seconds : seconds;
}

static int right(int clock, struct moment *now)
{
    static int (*real)(int, struct moment *);
    if (!real)
        real = dlsym((void *)-1 /* RTLD_NEXT */, "clock_gettime");
    return real(clock, now);
}

int clock_gettime(int clock, struct moment *now)
{
    int failed = right(clock, now);
    if (!failed && (clock == 0 /* CLOCK_REALTIME */ || clock == 5 /* its coarse one */))
        now->seconds += wrong_by();
    return failed;
}

int gettimeofday(struct moment *now, void *zone)
{
    int failed = clock_gettime(0, now);
    now->rest /= 1000;
    return failed;
}

long time(long *to)
{
    struct moment now;
    clock_gettime(0, &now);
    if (to)
        *to = now.seconds;
    return now.seconds;
}
