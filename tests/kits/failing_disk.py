"""A disk that fails on purpose, under every program: for libraries that make their own calls.

A small library stands between a child process and the system (``LD_PRELOAD``): it counts the
calls on files whose path holds a given text, and fails the nth.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

OPERATIONS = ("write", "fsync", "open", "lock", "read", "truncate", "unlink")
AVAILABLE = sys.platform == "linux" and shutil.which("cc") is not None

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE, FSYNC, OPEN, LOCK, READ, TRUNCATE, UNLINK };
static char matched[256] = "\n";
static volatile int operation = -1, nth, error, broken, calls, quick;
static volatile int synced_here, synced_elsewhere;
static volatile long here;

void disk_match(const char *text) { strncpy(matched, text, 255); here = syscall(SYS_gettid); }
void disk_fail(int op, int n, int err, int all) {
    calls = 0; nth = n; error = err; broken = all; operation = op;
}
int disk_calls(void) { operation = -1; return calls; }
void disk_quick(int yes) { quick = yes; }
int disk_syncs(int where) { return where ? synced_elsewhere : synced_here; }
void disk_forget_syncs(void) { synced_here = synced_elsewhere = 0; }

static int is_ours(const char *path) { return path && strstr(path, matched) != 0; }
static int is_our_fd(int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_ours(path);
}
/* whether this call shall fail; -1 as the error means: do half of it */
static int fails(int op) {
    if (op != operation) return 0;
    int count = __sync_add_and_fetch(&calls, 1);
    return count == nth || (broken && count > nth);
}
#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static ssize_t half(size_t n) { return n > 1 ? n / 2 : n; }
#define WRITER(name, off)                                                                  \
ssize_t name(int fd, const void *b, size_t n, off at) {                                    \
    if (operation == WRITE && is_our_fd(fd) && fails(WRITE)) {                             \
        if (error >= 0) { errno = error; return -1; }                                      \
        n = half(n);                                                                       \
    }                                                                                      \
    return REAL(ssize_t, #name, int, const void *, size_t, off)(fd, b, n, at);             \
}
WRITER(pwrite, off_t)
WRITER(pwrite64, off64_t)
ssize_t write(int fd, const void *b, size_t n) {
    if (operation == WRITE && is_our_fd(fd) && fails(WRITE)) {
        if (error >= 0) { errno = error; return -1; }
        n = half(n);
    }
    return REAL(ssize_t, "write", int, const void *, size_t)(fd, b, n);
}
#define READER(name, off)                                                                  \
ssize_t name(int fd, void *b, size_t n, off at) {                                          \
    if (operation == READ && is_our_fd(fd) && fails(READ)) {                               \
        if (error >= 0) { errno = error; return -1; }                                      \
        n = half(n);                                                                       \
    }                                                                                      \
    return REAL(ssize_t, #name, int, void *, size_t, off)(fd, b, n, at);                   \
}
READER(pread, off_t)
READER(pread64, off64_t)
#define SYNCER(name)                                                                       \
int name(int fd) {                                                                         \
    int ours = is_our_fd(fd);                                                              \
    if (ours) { if (syscall(SYS_gettid) == here) synced_here++; else synced_elsewhere++; } \
    if (ours && fails(FSYNC)) { errno = error; return -1; }                                \
    return ours && quick ? 0 : REAL(int, #name, int)(fd);                                  \
}
SYNCER(fsync)
SYNCER(fdatasync)
#define OPENER(name)                                                                       \
int name(const char *path, int flags, ...) {                                               \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    if (is_ours(path) && fails(OPEN)) { errno = error; return -1; }                        \
    return REAL(int, #name, const char *, int, mode_t)(path, flags, mode);                 \
}
OPENER(open)
OPENER(open64)
#define LOCKER(name)                                                                       \
int name(int fd, int command, ...) {                                                       \
    va_list rest; va_start(rest, command); void *arg = va_arg(rest, void *); va_end(rest); \
    if ((command == F_SETLK || command == F_SETLKW) && operation == LOCK                   \
        && ((struct flock *)arg)->l_type != F_UNLCK                                        \
        && is_our_fd(fd) && fails(LOCK)) { errno = error; return -1; }                     \
    return REAL(int, #name, int, int, void *)(fd, command, arg);                           \
}
LOCKER(fcntl)
LOCKER(fcntl64)
#define TRUNCATER(name, off)                                                               \
int name(int fd, off size) {                                                               \
    if (operation == TRUNCATE && is_our_fd(fd) && fails(TRUNCATE)) { errno = error; return -1; } \
    return REAL(int, #name, int, off)(fd, size);                                           \
}
TRUNCATER(ftruncate, off_t)
TRUNCATER(ftruncate64, off64_t)
int unlink(const char *path) {
    if (is_ours(path) && fails(UNLINK)) { errno = error; return -1; }
    return REAL(int, "unlink", const char *)(path);
}
"""

BEGIN = """
import ctypes, errno
_disk = ctypes.CDLL(None)
_operations = {operations!r}
HALF, NEVER = -1, 0
def match(text): _disk.disk_match(text.encode())
def fail(operation, nth, error=errno.EIO, all=False):
    _disk.disk_fail(_operations.index(operation), nth, error, int(all))
def calls(): return _disk.disk_calls()
def quick(): _disk.disk_quick(1)
def syncs(): return _disk.disk_syncs(0), _disk.disk_syncs(1)
def forget_syncs(): _disk.disk_forget_syncs()
"""


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="failing-disk-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = folder / "disk.c"
    source.write_text(_SOURCE)
    library = folder / "disk.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"], check=True
    )
    return library


def run(script: str, *arguments: object, timeout: float = 200) -> str:
    """What a child process prints that runs this script over such a disk; it must end well."""
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(operations=OPERATIONS) + script, *map(str, arguments)],
        env={
            **os.environ,
            "LD_PRELOAD": str(_library()),
            "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
        },
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
