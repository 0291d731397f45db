// Process control that Swift cannot express: variadic calls, macros, signal handlers.
#ifndef SPILLWAY_CLINUX_PROCESS_H
#define SPILLWAY_CLINUX_PROCESS_H

// Without _GNU_SOURCE, like shim.h.
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// --- process -----------------------------------------------------------------------------------

static inline char **clinux_environment(void) { return __environ; }

// glibc declares these three with _GNU_SOURCE only.
extern int setresuid(uid_t real, uid_t effective, uid_t saved);
extern int setresgid(gid_t real, gid_t effective, gid_t saved);
typedef struct clinux_symbol {
  const char *file;
  void *base;
  const char *name;
  void *address;
} clinux_symbol;
static inline int clinux_find_symbol(const void *address, clinux_symbol *symbol) {
  extern int dladdr(const void *, clinux_symbol *);
  return dladdr(address, symbol);
}

// Each returns 0 or an error number.
static inline int clinux_die_with_parent(int signal) {
  return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) ? errno : 0;
}
static inline int clinux_no_new_privileges(void) {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
}
static inline int clinux_not_dumpable(void) {
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? errno : 0;
}

// Sleeps of the calling thread end when they are due, not up to 50 us later.
static inline int clinux_exact_timers(void) {
  return prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) ? errno : 0;
}

static inline int32_t clinux_thread_id(void) { return (int32_t)syscall(SYS_gettid); }

// Names the calling thread; the kernel keeps the first 15 bytes.
static inline void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// --- messages that carry a descriptor ----------------------------------------------------------

// The filled length of an address, whose name starts with a NUL byte when it is abstract.
static inline uint32_t clinux_unix_address(struct sockaddr_un *address, const void *name,
                                           size_t count) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (count == 0 || count >= sizeof address->sun_path) return 0;
  memcpy(address->sun_path, name, count);
  return (uint32_t)(offsetof(struct sockaddr_un, sun_path) + count);
}

// Sends one packet, with a descriptor unless it is below zero.
static inline int64_t clinux_send_packet(int fd, const void *bytes, size_t count, int passed) {
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
  }
  int64_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  return sent < 0 ? -(int64_t)errno : sent;
}

// Receives one packet without waiting; `passed` becomes a descriptor or -1.
static inline int64_t clinux_receive_packet(int fd, void *bytes, size_t count, int *passed) {
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
  *passed = -1;
  int64_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return -(int64_t)errno;
  for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
        h->cmsg_len >= CMSG_LEN(sizeof(int)))
      memcpy(passed, CMSG_DATA(h), sizeof(int));
  }
  return got;
}

static inline int clinux_peer(int fd, int32_t *pid, uint32_t *uid) {
  struct { int32_t pid; uint32_t uid, gid; } peer;  // struct ucred
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)) return errno;
  *pid = peer.pid;
  *uid = peer.uid;
  return 0;
}

// --- the stack of another thread ---------------------------------------------------------------

enum { CLINUX_STACK_DEPTH = 64 };

// Filled by the handler in the sampled thread. It lives as long as the process: a signal may
// arrive long after whoever asked stopped waiting.
typedef struct clinux_stack {
  void *addresses[CLINUX_STACK_DEPTH];
  int32_t count;  // 0 until the handler ran; written last
} clinux_stack;

static inline int clinux_sampling_signal(void) { return SIGRTMIN + 5; }

static inline void clinux_sample_handler(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)context;
  // Another process could queue the signal too, with a pointer of its own making.
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  int saved = errno;
  clinux_stack *stack = (clinux_stack *)info->si_value.sival_ptr;
  int count = backtrace(stack->addresses, CLINUX_STACK_DEPTH);
  __atomic_store_n(&stack->count, count, __ATOMIC_RELEASE);
  errno = saved;
}

static inline int clinux_sampling_install(void) {
  // The first call loads the unwinder, which a signal handler must not do.
  void *warm[2];
  backtrace(warm, 2);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = clinux_sample_handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  return sigaction(clinux_sampling_signal(), &action, NULL) ? errno : 0;
}

// Lets the calling thread be sampled: a mask is inherited from whichever thread started it.
static inline void clinux_sampling_admit(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, clinux_sampling_signal());
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static inline int clinux_sample(int32_t thread, clinux_stack *into) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = clinux_sampling_signal();
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = into;
  __atomic_store_n(&into->count, 0, __ATOMIC_RELEASE);
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, info.si_signo, &info) ? errno : 0;
}

static inline int32_t clinux_stack_count(clinux_stack *stack) {
  return __atomic_load_n(&stack->count, __ATOMIC_ACQUIRE);
}

static inline void *clinux_stack_address(const clinux_stack *stack, int32_t at) {
  return stack->addresses[at];
}

#endif
