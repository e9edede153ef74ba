/* User-Mode Linux 6.1 on a processor with AMX, by LD_PRELOAD.
 *
 * That kernel keeps 2696 bytes of extended processor state for a process, which is AVX-512 and what
 * came before. A host whose processor has more takes nothing but the whole of it
 * (PTRACE_SETREGSET, NT_X86_XSTATE: EFAULT otherwise) and the guest panics at its first process.
 * Here a refused part is laid over the process's whole state as it is, and set again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define XSTATE_NOTE 0x202
#define WHOLE_MAX (64 << 10)

typedef long (*ptrace_function)(int request, pid_t pid, void *address, void *data);

long ptrace(enum __ptrace_request request, ...)
{
    static ptrace_function next;
    static char whole[WHOLE_MAX] __attribute__((aligned(64)));
    va_list arguments;
    va_start(arguments, request);
    pid_t pid = va_arg(arguments, pid_t);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    if (!next)
        next = (ptrace_function)dlsym(RTLD_NEXT, "ptrace");

    long result = next(request, pid, address, data);
    if (result == 0 || request != PTRACE_SETREGSET || (long)address != XSTATE_NOTE)
        return result;
    int refused = errno;
    const struct iovec *part = data;
    struct iovec all = {whole, sizeof whole};
    if (next(PTRACE_GETREGSET, pid, address, &all) || all.iov_len <= part->iov_len) {
        errno = refused;
        return result;
    }
    memcpy(whole, part->iov_base, part->iov_len);
    return next(PTRACE_SETREGSET, pid, address, &all);
}
