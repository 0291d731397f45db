#include <liburing.h>
#include <sys/epoll.h>
