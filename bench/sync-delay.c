/* Loaded with LD_PRELOAD: every call that waits for the disk takes a fixed time longer, as on a
 * disk that does not flatter. MILLRACE_BENCH_SYNC_DELAY_US holds the microseconds. Wraps fsync and
 * fdatasync (Java's FileChannel.force is one of the two) and msync with MS_SYNC
 * (MappedByteBuffer.force). Both systems under test run with this same library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void delay(void) {
  static int us = -1;
  if (us < 0) {
    const char *text = getenv("MILLRACE_BENCH_SYNC_DELAY_US");
    us = text ? atoi(text) : 0;
  }
  if (us > 0) usleep((useconds_t)us);
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

int fsync(int fd) {
  int (*next)(int) = NEXT(int (*)(int), "fsync");
  delay();
  return next(fd);
}

int fdatasync(int fd) {
  int (*next)(int) = NEXT(int (*)(int), "fdatasync");
  delay();
  return next(fd);
}

int msync(void *address, size_t length, int flags) {
  int (*next)(void *, size_t, int) = NEXT(int (*)(void *, size_t, int), "msync");
  if (flags & MS_SYNC) delay();
  return next(address, length, flags);
}
