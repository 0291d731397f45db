// What the Glibc module lacks, as static inline functions: epoll, accept4, io_uring.
#ifndef SPILLWAY_CLINUX_H
#define SPILLWAY_CLINUX_H

// No _GNU_SOURCE, and the C library's feature set fixed before liburing asks for more: Swift's own
// Glibc module is built without it, and types that depend on it (fd_set) would then differ between
// the two modules, which fails a build from scratch. What needs it is declared here by hand.
#include <features.h>

#include <errno.h>
#include <linux/sockios.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// --- sockets -----------------------------------------------------------------------------------

// A call's result, or its error number below zero: `errno` is a macro that Swift reads through a
// function call, and every caller wants the number at once.
static inline int64_t clinux_result(int64_t value) { return value < 0 ? -(int64_t)errno : value; }

extern int clinux_accept4(int fd, void *address, void *length, int flags) __asm__("accept4");

static inline int64_t clinux_accept(int fd) {
  return clinux_result(clinux_accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// The calls of every request go to the kernel directly. In a process with threads the C library
// makes each of them a cancellation point, which is two locked instructions a call; nothing here
// cancels threads.
extern long clinux_syscall(long number, ...) __asm__("syscall");

static inline int64_t clinux_recv(int fd, void *bytes, size_t count) {
  return clinux_result(clinux_syscall(SYS_recvfrom, (long)fd, bytes, count, 0L, NULL, NULL));
}

// Bytes of a stream that were sent and that the peer's kernel has not acknowledged (SIOCOUTQ).
static inline int64_t clinux_unacknowledged(int fd) {
  int count = 0;
  int64_t result = clinux_result(ioctl(fd, SIOCOUTQ, &count));
  return result < 0 ? result : count;
}

static inline int64_t clinux_peek(int fd, void *byte) {
  return clinux_result(recv(fd, byte, 1, MSG_PEEK | MSG_DONTWAIT));
}

static inline int64_t clinux_send(int fd, const void *bytes, size_t count) {
  return clinux_result(clinux_syscall(SYS_sendto, (long)fd, bytes, count, (long)MSG_NOSIGNAL, NULL, 0L));
}

static inline int64_t clinux_sendv(int fd, struct iovec *parts, size_t count) {
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  return clinux_result(clinux_syscall(SYS_sendmsg, (long)fd, &message, (long)MSG_NOSIGNAL));
}

static inline int64_t clinux_recvv(int fd, struct iovec *parts, size_t count) {
  return clinux_result(clinux_syscall(SYS_readv, (long)fd, parts, (long)count));
}

static inline int64_t clinux_stream_socket(int family) {
  return clinux_result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static inline int64_t clinux_connect(int fd, const void *address, uint32_t length) {
  return clinux_result(connect(fd, (const struct sockaddr *)address, length));
}

static inline int clinux_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? errno : error;
}

static inline void clinux_no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Makes the next close send RST, so that nothing lingers in TIME_WAIT for a peer that misbehaves.
static inline void clinux_reset_on_close(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static inline int64_t clinux_peer_name(int fd, void *address, uint32_t *length) {
  return clinux_result(getpeername(fd, (struct sockaddr *)address, length));
}

static inline int64_t clinux_local_name(int fd, void *address, uint32_t *length) {
  return clinux_result(getsockname(fd, (struct sockaddr *)address, length));
}

static inline int64_t clinux_monotonic_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t clinux_wall_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// --- epoll -------------------------------------------------------------------------------------

enum {
  CLINUX_READABLE = EPOLLIN,
  CLINUX_WRITABLE = EPOLLOUT,
  CLINUX_HANGUP = EPOLLRDHUP | EPOLLHUP | EPOLLERR,
};

static inline int64_t clinux_epoll_create(void) {
  return clinux_result(epoll_create1(EPOLL_CLOEXEC));
}

// A stream socket: both directions, edge-triggered, registered once for its whole life.
static inline int64_t clinux_epoll_add_stream(int ep, int fd, uint64_t data) {
  struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = data}};
  return clinux_result(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
}

static inline int64_t clinux_epoll_set_level(int ep, int fd, uint32_t events, uint64_t data,
                                             int isNew) {
  struct epoll_event e = {events, {.u64 = data}};
  return clinux_result(epoll_ctl(ep, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e));
}

static inline void clinux_epoll_remove(int ep, int fd) {
  struct epoll_event e = {0};
  epoll_ctl(ep, EPOLL_CTL_DEL, fd, &e);
}

static inline int64_t clinux_epoll_wait(int ep, struct epoll_event *events, int count,
                                        int64_t nanoseconds) {
  // Rounded up: waking a fraction of a millisecond early would only spin.
  int timeout = nanoseconds < 0 ? -1 : (int)((nanoseconds + 999999) / 1000000);
  // epoll_pwait without a mask: newer architectures lack the call without one.
  return clinux_result(clinux_syscall(SYS_epoll_pwait, (long)ep, events, (long)count, (long)timeout, NULL, 8L));
}

// The same to the nanosecond; -ENOSYS where the kernel (before 5.11) lacks the call.
static inline int64_t clinux_epoll_wait_exactly(int ep, struct epoll_event *events, int count,
                                                int64_t nanoseconds) {
#ifdef SYS_epoll_pwait2
  struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return clinux_result(clinux_syscall(SYS_epoll_pwait2, (long)ep, events, (long)count, &limit, NULL, 8L));
#else
  return -ENOSYS;
#endif
}

static inline uint64_t clinux_event_data(const struct epoll_event *e) { return e->data.u64; }

// --- io_uring ----------------------------------------------------------------------------------

// Returns 0 or a negative error number.
static inline int clinux_ring_open(struct io_uring *ring, unsigned entries, unsigned completions,
                                   int deferred) {
  struct io_uring_params p;
  memset(&p, 0, sizeof p);
  p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  p.flags |= deferred ? (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
                      : IORING_SETUP_COOP_TASKRUN;
  p.cq_entries = completions;
  return io_uring_queue_init_params(entries, ring, &p);
}

static inline struct io_uring_sqe *clinux_ring_sqe(struct io_uring *ring) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
  if (!sqe) {
    io_uring_submit(ring);
    sqe = io_uring_get_sqe(ring);
  }
  return sqe;
}

enum { CLINUX_BUFFER_GROUP = 1 };

// One receive into a lent buffer. Not multishot: that hands over as many buffers as the peer can
// fill before anybody can say that it is enough.
static inline int clinux_ring_recv(struct io_uring *ring, int fd, int isEmpty, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_recv(sqe, fd, NULL, 0, 0);
  // A socket that is known to be empty is not tried first: that would be work for nothing.
  if (isEmpty) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = CLINUX_BUFFER_GROUP;
  sqe->user_data = data;
  return 1;
}

static inline int clinux_ring_send(struct io_uring *ring, int fd, const void *bytes, size_t count,
                                   uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_send(sqe, fd, bytes, count, MSG_NOSIGNAL);
  sqe->user_data = data;
  return 1;
}

static inline int clinux_ring_sendv(struct io_uring *ring, int fd, struct msghdr *message,
                                    uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_sendmsg(sqe, fd, message, MSG_NOSIGNAL);
  sqe->user_data = data;
  return 1;
}

static inline int clinux_ring_accept(struct io_uring *ring, int fd, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  sqe->user_data = data;
  return 1;
}

static inline int clinux_ring_connect(struct io_uring *ring, int fd, const void *address,
                                      uint32_t length, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_connect(sqe, fd, (const struct sockaddr *)address, length);
  sqe->user_data = data;
  return 1;
}

static inline int clinux_ring_poll(struct io_uring *ring, int fd, uint32_t events, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = data;
  return 1;
}

// Ends one operation by its user data; its own completion is not reported when it succeeds.
static inline int clinux_ring_cancel(struct io_uring *ring, uint64_t target, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_cancel64(sqe, target, 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = data;
  return 1;
}

// Closes a descriptor in the order of submission: what was prepared for it before must still find it.
static inline int clinux_ring_close(struct io_uring *ring, int fd, uint64_t data) {
  struct io_uring_sqe *sqe = clinux_ring_sqe(ring);
  if (!sqe) return 0;
  io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = data;
  return 1;
}

// What is prepared and was not taken by the kernel yet: it stops at an entry that it cannot take.
static inline unsigned clinux_ring_unsubmitted(struct io_uring *ring) {
  return io_uring_sq_ready(ring);
}

// Submits what is prepared and waits for a completion; -1 nanoseconds waits without end.
static inline int clinux_ring_turn(struct io_uring *ring, int64_t nanoseconds) {
  struct io_uring_cqe *cqe;
  if (nanoseconds == 0) return io_uring_submit_and_get_events(ring);
  if (nanoseconds < 0) return io_uring_submit_and_wait(ring, 1);
  struct __kernel_timespec t = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return io_uring_submit_and_wait_timeout(ring, &cqe, 1, &t, NULL);
}

typedef struct clinux_completion {
  uint64_t data;
  int32_t result;
  uint32_t flags;
} clinux_completion;

// Moves up to `room` completions out of the ring.
static inline unsigned clinux_ring_reap(struct io_uring *ring, clinux_completion *into,
                                        unsigned room) {
  unsigned head, n = 0;
  struct io_uring_cqe *cqe;
  io_uring_for_each_cqe(ring, head, cqe) {
    if (n == room) break;
    into[n++] = (clinux_completion){cqe->user_data, cqe->res, cqe->flags};
  }
  io_uring_cq_advance(ring, n);
  return n;
}

static inline int clinux_has_more(uint32_t flags) { return (flags & IORING_CQE_F_MORE) != 0; }

static inline int clinux_has_bytes_left(uint32_t flags) {
  return (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
}

// The provided buffer that a completion used, or -1.
static inline int clinux_buffer(uint32_t flags) {
  return flags & IORING_CQE_F_BUFFER ? (int)(flags >> IORING_CQE_BUFFER_SHIFT) : -1;
}

static inline int clinux_buffers_register(struct io_uring *ring, void *memory, unsigned entries) {
  struct io_uring_buf_reg reg;
  memset(&reg, 0, sizeof reg);
  reg.ring_addr = (uint64_t)(uintptr_t)memory;
  reg.ring_entries = entries;
  reg.bgid = CLINUX_BUFFER_GROUP;
  int result = io_uring_register_buf_ring(ring, &reg, 0);
  if (!result) io_uring_buf_ring_init((struct io_uring_buf_ring *)memory);
  return result;
}

static inline void clinux_buffers_add(void *memory, unsigned entries, void *bytes, unsigned count,
                                      unsigned short id, int offset) {
  io_uring_buf_ring_add((struct io_uring_buf_ring *)memory, bytes, count, id,
                        io_uring_buf_ring_mask(entries), offset);
}

static inline void clinux_buffers_advance(void *memory, int count) {
  io_uring_buf_ring_advance((struct io_uring_buf_ring *)memory, count);
}

#endif
