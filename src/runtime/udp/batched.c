// Batched UDP for Node: recvmmsg and sendmmsg behind one socket object, so that a full load costs
// one system call per batch instead of one per datagram (docs/decisions/0002-batched-datagrams.md).
// batched.ts is its only caller; scripts/build-native.ts compiles it. N-API 8, libuv, nothing else.
//
// JavaScript and C share one block of memory, `shared_t`, and one thread. C fills `received` and
// calls back once per batch; JavaScript writes replies into the queue, a plain store per reply, and
// C empties it after each batch and before the event loop sleeps. A reply costs no call into C.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAPI_VERSION 8
#include <node_api.h>
#include <uv.h>

enum {
  BATCH = 64,        // datagrams per system call
  ROUNDS = 4,        // full batches taken before other sockets and timers get their turn
  QUEUE = 512,       // datagrams that may wait for the kernel; a power of two
  SLOT_BYTES = 4160, // a RADIUS packet has at most 4096: a longer one shows by its length
  PATH_BYTES = 40,   // network.ts describes the record
  PATH_PORT = 16,
  PATH_LOCAL = 20,
  PATH_INTERFACE = 36,
};

// batched.ts computes the same offsets; it refuses to start if the sizes differ.
typedef struct {
  uint32_t head, tail; // the queue is full at tail - head == QUEUE; both return to 0 when it is empty
  uint32_t failures;
  uint32_t reserved;
  uint32_t received_lengths[BATCH];
  uint32_t queued_lengths[QUEUE];
  uint8_t received_paths[BATCH][PATH_BYTES];
  uint8_t queued_paths[QUEUE][PATH_BYTES];
  uint8_t received[BATCH][SLOT_BYTES];
  uint8_t queued[QUEUE][SLOT_BYTES];
} shared_t;

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address_t;

typedef union {
  struct cmsghdr align;
  uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} control_t;

/** What the kernel needs to know about the datagrams of one call. */
typedef struct {
  struct mmsghdr headers[BATCH];
  struct iovec parts[BATCH];
  address_t addresses[BATCH];
  control_t controls[BATCH];
} batch_t;

typedef struct {
  napi_env env;
  napi_ref memory; // keeps `shared` alive while the socket is open, whatever JavaScript does
  napi_ref on_batch;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  uv_poll_t poll;
  uv_prepare_t prepare;
  int fd;
  sa_family_t family;
  bool closing;
  bool blocked;      // the kernel's send buffer is full; the queue waits for it to become writable
  int open_handles;  // of libuv
  int owners;        // libuv's handles together, and the handle JavaScript holds
  shared_t *shared;
  batch_t in, out;
} udp_t;

// --- Addresses -----------------------------------------------------------------------------------

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t no_address[16];

static bool is_ipv4(const uint8_t *address) { return memcmp(address, mapped_prefix, 12) == 0; }

static void write_ipv4(uint8_t *to, const struct in_addr *address) {
  memcpy(to, mapped_prefix, 12);
  memcpy(to + 12, address, 4);
}

/** A path's sender as the kernel wants it. The kernel refuses IPv6 on an IPv4 socket, and we count it. */
static socklen_t read_sender(sa_family_t family, const uint8_t *path, address_t *to) {
  memset(to, 0, sizeof *to);
  if (family == AF_INET && is_ipv4(path)) {
    to->v4.sin_family = AF_INET;
    memcpy(&to->v4.sin_addr, path + 12, 4);
    memcpy(&to->v4.sin_port, path + PATH_PORT, 2);
    return sizeof to->v4;
  }
  to->v6.sin6_family = AF_INET6;
  memcpy(&to->v6.sin6_addr, path, 16);
  memcpy(&to->v6.sin6_port, path + PATH_PORT, 2);
  // Only a link-local address means nothing without its interface. Any other reply goes where the
  // routing table says: the way back may differ from the way in.
  if (IN6_IS_ADDR_LINKLOCAL(&to->v6.sin6_addr)) {
    memcpy(&to->v6.sin6_scope_id, path + PATH_INTERFACE, 4);
    to->v6.sin6_scope_id = ntohl(to->v6.sin6_scope_id);
  }
  return sizeof to->v6;
}

/** Makes the reply leave from the address that was asked; without it the kernel would choose one. */
static size_t write_source(sa_family_t family, const uint8_t *path, control_t *control) {
  const uint8_t *local = path + PATH_LOCAL;
  if (memcmp(local, no_address, 16) == 0) return 0;
  memset(control, 0, sizeof *control);
  struct cmsghdr *message = &control->align;
  if (family == AF_INET) {
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(message);
    memcpy(&info->ipi_spec_dst, local + 12, 4);
    message->cmsg_level = IPPROTO_IP;
    message->cmsg_type = IP_PKTINFO;
    message->cmsg_len = CMSG_LEN(sizeof *info);
    return CMSG_SPACE(sizeof *info);
  }
  // Also for IPv4 through a dual-stack socket: the kernel takes the mapped address here.
  struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(message);
  memcpy(&info->ipi6_addr, local, 16);
  message->cmsg_level = IPPROTO_IPV6;
  message->cmsg_type = IPV6_PKTINFO;
  message->cmsg_len = CMSG_LEN(sizeof *info);
  return CMSG_SPACE(sizeof *info);
}

static void write_local(struct msghdr *header, uint8_t *path) {
  struct cmsghdr *message = CMSG_FIRSTHDR(header);
  uint32_t interface = 0;
  if (message == NULL) return;
  if (message->cmsg_level == IPPROTO_IP && message->cmsg_type == IP_PKTINFO) {
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(message);
    write_ipv4(path + PATH_LOCAL, &info->ipi_spec_dst); // ours, also when a broadcast was asked
    interface = htonl((uint32_t)info->ipi_ifindex);
  } else if (message->cmsg_level == IPPROTO_IPV6 && message->cmsg_type == IPV6_PKTINFO) {
    struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(message);
    memcpy(path + PATH_LOCAL, &info->ipi6_addr, 16);
    interface = htonl(info->ipi6_ifindex);
  }
  memcpy(path + PATH_INTERFACE, &interface, 4);
}

static void write_path(const address_t *sender, struct msghdr *header, uint8_t *path) {
  memset(path, 0, PATH_BYTES);
  if (sender->any.sa_family == AF_INET) {
    write_ipv4(path, &sender->v4.sin_addr);
    memcpy(path + PATH_PORT, &sender->v4.sin_port, 2);
  } else {
    memcpy(path, &sender->v6.sin6_addr, 16);
    memcpy(path + PATH_PORT, &sender->v6.sin6_port, 2);
  }
  write_local(header, path);
}

// --- Datagrams in and out ------------------------------------------------------------------------

static void expect_datagram(udp_t *udp, int i) {
  struct msghdr *header = &udp->in.headers[i].msg_hdr;
  udp->in.parts[i] = (struct iovec){udp->shared->received[i], SLOT_BYTES};
  *header = (struct msghdr){
      .msg_name = &udp->in.addresses[i],
      .msg_namelen = sizeof(address_t),
      .msg_iov = &udp->in.parts[i],
      .msg_iovlen = 1,
      .msg_control = &udp->in.controls[i],
      .msg_controllen = sizeof(control_t),
  };
}

static int receive(udp_t *udp) {
  int count = recvmmsg(udp->fd, udp->in.headers, BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    struct mmsghdr *header = &udp->in.headers[i];
    udp->shared->received_lengths[i] = header->msg_len; // cut at SLOT_BYTES by the kernel
    write_path(&udp->in.addresses[i], &header->msg_hdr, udp->shared->received_paths[i]);
    expect_datagram(udp, i); // the kernel has overwritten the lengths
  }
  return count;
}

static void put_datagram(udp_t *udp, int i, uint32_t slot) {
  const uint8_t *path = udp->shared->queued_paths[slot];
  uint32_t length = udp->shared->queued_lengths[slot];
  udp->out.parts[i] =
      (struct iovec){udp->shared->queued[slot], length < SLOT_BYTES ? length : SLOT_BYTES};
  udp->out.headers[i].msg_hdr = (struct msghdr){
      .msg_name = &udp->out.addresses[i],
      .msg_namelen = read_sender(udp->family, path, &udp->out.addresses[i]),
      .msg_iov = &udp->out.parts[i],
      .msg_iovlen = 1,
      .msg_control = &udp->out.controls[i],
      .msg_controllen = write_source(udp->family, path, &udp->out.controls[i]),
  };
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void set_blocked(udp_t *udp, bool blocked) {
  udp->blocked = blocked;
  uv_poll_start(&udp->poll, UV_READABLE | (blocked ? UV_WRITABLE : 0), on_ready);
}

static void flush_queue(udp_t *udp) {
  shared_t *shared = udp->shared;
  while (!udp->closing && !udp->blocked && shared->head != shared->tail) {
    int count = 0;
    for (uint32_t at = shared->head; count < BATCH && at != shared->tail; at++)
      put_datagram(udp, count++, at % QUEUE);
    int sent = sendmmsg(udp->fd, udp->out.headers, (unsigned)count, MSG_DONTWAIT);
    if (sent > 0) {
      shared->head += (uint32_t)sent;
    } else if (errno == EAGAIN) {
      set_blocked(udp, true);
    } else if (errno != EINTR) {
      shared->failures++; // the first of them cannot leave; those behind it may
      shared->head++;
    }
  }
  if (shared->head == shared->tail) shared->head = shared->tail = 0; // the same warm slots again
}

/** One call into JavaScript. napi_make_callback also runs the microtasks: their replies are queued on return. */
static void deliver(udp_t *udp, uint32_t count) {
  napi_env env = udp->env;
  napi_handle_scope scope;
  napi_value receiver, on_batch, argument, error;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_get_global(env, &receiver);
  napi_get_reference_value(env, udp->on_batch, &on_batch);
  napi_create_uint32(env, count, &argument);
  napi_status status =
      napi_make_callback(env, udp->context, receiver, on_batch, 1, &argument, NULL);
  if (status == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error); // 'uncaughtException', as from any other callback
  }
  napi_close_handle_scope(env, scope);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  udp_t *udp = poll->data;
  if (status < 0) { // libuv stops watching after an error; a datagram socket has only passing ones
    int ignored;
    getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &ignored, &(socklen_t){sizeof ignored});
    set_blocked(udp, udp->blocked);
    return;
  }
  if (events & UV_WRITABLE) {
    set_blocked(udp, false);
    flush_queue(udp);
  }
  if (!(events & UV_READABLE)) return;
  for (int round = 0; round < ROUNDS && !udp->closing; round++) {
    int count = receive(udp);
    if (count <= 0) return;
    deliver(udp, (uint32_t)count);
    flush_queue(udp);
    if (count < BATCH) return;
  }
}

/** Before the loop sleeps: what a timer, a database answer or an earlier batch has queued leaves now. */
static void on_before_sleep(uv_prepare_t *prepare) { flush_queue(prepare->data); }

// --- Life and death ------------------------------------------------------------------------------

static void release(udp_t *udp) {
  if (--udp->owners == 0) free(udp);
}

static void on_handle_closed(uv_handle_t *handle) {
  udp_t *udp = handle->data;
  if (--udp->open_handles > 0) return;
  napi_delete_reference(udp->env, udp->on_batch);
  napi_delete_reference(udp->env, udp->memory);
  napi_async_destroy(udp->env, udp->context);
  napi_remove_async_cleanup_hook(udp->cleanup);
  release(udp);
}

/** The port is free when this returns; the memory goes when libuv has let go of both handles. */
static void begin_close(udp_t *udp) {
  if (udp->closing) return;
  flush_queue(udp);
  udp->closing = true;
  uv_close((uv_handle_t *)&udp->poll, on_handle_closed);
  uv_close((uv_handle_t *)&udp->prepare, on_handle_closed);
  close(udp->fd);
}

/** A worker thread may end while its sockets are open. */
static void on_environment_exit(napi_async_cleanup_hook_handle handle, void *udp) {
  (void)handle;
  begin_close(udp);
}

static void on_handle_collected(napi_env env, void *udp, void *hint) {
  (void)env;
  (void)hint;
  release(udp);
}

// --- Opening -------------------------------------------------------------------------------------

static void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

/** Only root may pass net.core.rmem_max and wmem_max. */
static void set_buffers(int fd, int bytes) {
  set_option(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  // Datagrams to a dead neighbour wait seconds for its hardware address, up to 208 KiB for each. In the
  // kernel's default send buffer, of the same size, several dead ones stop the answers to all others.
  set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes);
}

static void set_options(udp_t *udp, bool reuse_port) {
  if (udp->family == AF_INET) {
    set_option(udp->fd, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    set_option(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    set_option(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  // Large replies (EAP) may be cut into fragments on the way: a path that swallows the "too big"
  // message of a forbidden one would swallow the login.
  set_option(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  if (reuse_port) set_option(udp->fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/** 0, or the errno of the step that failed. */
static int open_bound(udp_t *udp, const uint8_t *path, bool reuse_port, int buffer_bytes) {
  address_t address;
  udp->family = is_ipv4(path) ? AF_INET : AF_INET6;
  socklen_t length = read_sender(udp->family, path, &address);
  udp->fd = socket(udp->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
  if (udp->fd < 0) return errno;
  set_options(udp, reuse_port);
  set_buffers(udp->fd, buffer_bytes);
  if (bind(udp->fd, &address.any, length) == 0) return 0;
  int failure = errno;
  close(udp->fd);
  return failure;
}

static napi_value fail(napi_env env, int failure) {
  napi_throw_error(env, uv_err_name(-failure), uv_strerror(-failure));
  return NULL;
}

static void set_number(napi_env env, napi_value object, const char *name, uint32_t number) {
  napi_value value;
  napi_create_uint32(env, number, &value);
  napi_set_named_property(env, object, name, value);
}

static void watch(udp_t *udp, uv_loop_t *loop) {
  uv_poll_init(loop, &udp->poll, udp->fd);
  uv_prepare_init(loop, &udp->prepare);
  udp->poll.data = udp->prepare.data = udp;
  uv_prepare_start(&udp->prepare, on_before_sleep);
  uv_unref((uv_handle_t *)&udp->prepare);
  uv_poll_start(&udp->poll, UV_READABLE, on_ready);
  udp->open_handles = 2;
}

static napi_value describe(udp_t *udp, napi_value memory) {
  napi_env env = udp->env;
  napi_value result, handle;
  address_t bound;
  int granted = 0;
  getsockname(udp->fd, &bound.any, &(socklen_t){sizeof bound});
  getsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &granted, &(socklen_t){sizeof granted});
  napi_create_object(env, &result);
  napi_create_external(env, udp, on_handle_collected, NULL, &handle);
  napi_set_named_property(env, result, "handle", handle);
  napi_set_named_property(env, result, "memory", memory);
  set_number(env, result, "fd", (uint32_t)udp->fd);
  set_number(env, result, "port", ntohs(bound.v4.sin_port)); // at the same place in both families
  set_number(env, result, "receiveBufferBytes", (uint32_t)granted / 2); // Linux doubles what it grants
  return result;
}

/** open(path of the local address, reusePort, receiveBufferBytes, onBatch) */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value arguments[4], memory, name;
  size_t count = 4, path_bytes = 0;
  uint8_t *path;
  bool reuse_port;
  int32_t receive_bytes;
  uv_loop_t *loop;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (napi_get_buffer_info(env, arguments[0], (void **)&path, &path_bytes) != napi_ok ||
      path_bytes != PATH_BYTES || napi_get_value_bool(env, arguments[1], &reuse_port) != napi_ok ||
      napi_get_value_int32(env, arguments[2], &receive_bytes) != napi_ok)
    return fail(env, EINVAL);

  udp_t *udp = calloc(1, sizeof *udp);
  if (udp == NULL) return fail(env, ENOMEM);
  int failure = open_bound(udp, path, reuse_port, receive_bytes);
  if (failure != 0) {
    free(udp);
    return fail(env, failure);
  }
  udp->env = env;
  udp->owners = 2;
  napi_create_arraybuffer(env, sizeof(shared_t), (void **)&udp->shared, &memory);
  napi_create_reference(env, memory, 1, &udp->memory);
  napi_create_reference(env, arguments[3], 1, &udp->on_batch);
  napi_create_string_utf8(env, "evergate:udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &udp->context);
  napi_add_async_cleanup_hook(env, on_environment_exit, udp, &udp->cleanup);
  for (int i = 0; i < BATCH; i++) expect_datagram(udp, i);
  napi_get_uv_event_loop(env, &loop);
  watch(udp, loop);
  return describe(udp, memory);
}

static udp_t *first_argument(napi_env env, napi_callback_info info, napi_value *second) {
  napi_value arguments[2];
  size_t count = 2;
  void *udp = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (napi_get_value_external(env, arguments[0], &udp) != napi_ok) fail(env, EINVAL);
  if (second != NULL) *second = arguments[1];
  return udp;
}

static napi_value flush_socket(napi_env env, napi_callback_info info) {
  udp_t *udp = first_argument(env, info, NULL);
  if (udp != NULL) flush_queue(udp);
  return NULL;
}

static napi_value close_socket(napi_env env, napi_callback_info info) {
  udp_t *udp = first_argument(env, info, NULL);
  if (udp != NULL) begin_close(udp);
  return NULL;
}

/**
 * spread(handle, sockets): which of the sockets on this port gets a datagram. By Identifier, the
 * second byte, and source: the requests of one router with one source port spread evenly, and a
 * retransmission still meets the process that knows it. The kernel runs this with the payload at 0.
 */
static napi_value spread_over(napi_env env, napi_callback_info info) {
  napi_value argument;
  uint32_t sockets = 0;
  udp_t *udp = first_argument(env, info, &argument);
  if (udp == NULL) return NULL;
  if (napi_get_value_uint32(env, argument, &sockets) != napi_ok || sockets == 0)
    return fail(env, EINVAL);
  const uint32_t ip = (uint32_t)SKF_NET_OFF; // where the IP header begins
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ip),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 5, 0),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ip), // IPv4: the UDP header follows after 4 × IHL bytes
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, ip),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 12),
      BPF_STMT(BPF_JMP | BPF_JA, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ip + 40), // IPv6
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 20),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), // source address + source port
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1), // + Identifier
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, sockets),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
  if (!udp->closing && setsockopt(udp->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                                  sizeof program) != 0)
    return fail(env, errno);
  return NULL;
}

static void export_function(napi_env env, napi_value exports, const char *name, napi_callback f) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, f, NULL, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  napi_value source;
  export_function(env, exports, "open", open_socket);
  export_function(env, exports, "flush", flush_socket);
  export_function(env, exports, "close", close_socket);
  export_function(env, exports, "spread", spread_over);
  napi_create_string_utf8(env, SOURCE_SHA256, NAPI_AUTO_LENGTH, &source);
  napi_set_named_property(env, exports, "sourceSha256", source);
  return exports;
}
