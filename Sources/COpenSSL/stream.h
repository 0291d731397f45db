// The place where OpenSSL finds ciphertext and puts ciphertext: two stretches of the caller's own
// memory, lent for one call. A BIO of our own, since a memory BIO would copy everything once more
// and grow without bound.
#ifndef SPILLWAY_COPENSSL_STREAM_H
#define SPILLWAY_COPENSSL_STREAM_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>

typedef struct copenssl_stream {
  const uint8_t *input;
  size_t input_count;
  size_t input_used;
  uint8_t *output;
  size_t output_room;
  size_t output_used;
  // Received bytes that may still be handed over; what bounds a handshake.
  size_t allowance;
  // The session, for callbacks.
  void *owner;
  // Alerts by their number (RFC 8446 section 6), -1 before the first.
  int16_t alert_sent;
  int16_t alert_received;
  // Nothing is handed over any more: the peer asked for a renegotiation.
  uint8_t is_stopped;
} copenssl_stream;

static inline int copenssl_stream_read(BIO *bio, char *bytes, size_t room, size_t *count) {
  copenssl_stream *stream = (copenssl_stream *)BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t left = stream->is_stopped ? 0 : stream->input_count - stream->input_used;
  if (left > stream->allowance) left = stream->allowance;
  if (left > room) left = room;
  if (left == 0) {
    BIO_set_retry_read(bio);
    *count = 0;
    return -1;
  }
  memcpy(bytes, stream->input + stream->input_used, left);
  stream->input_used += left;
  if (stream->allowance != SIZE_MAX) stream->allowance -= left;
  *count = left;
  return 1;
}

static inline int copenssl_stream_write(BIO *bio, const char *bytes, size_t given, size_t *count) {
  copenssl_stream *stream = (copenssl_stream *)BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t room = stream->output_room - stream->output_used;
  if (room > given) room = given;
  if (room == 0) {
    BIO_set_retry_write(bio);
    *count = 0;
    return -1;
  }
  memcpy(stream->output + stream->output_used, bytes, room);
  stream->output_used += room;
  *count = room;
  return 1;
}

static inline long copenssl_stream_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static inline int copenssl_stream_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

// Made once for the process; NULL when memory is out.
static inline BIO_METHOD *copenssl_stream_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "spillway");
  if (!method) return NULL;
  BIO_meth_set_read_ex(method, copenssl_stream_read);
  BIO_meth_set_write_ex(method, copenssl_stream_write);
  BIO_meth_set_ctrl(method, copenssl_stream_control);
  BIO_meth_set_create(method, copenssl_stream_create);
  return method;
}

// A session over a stream, or NULL when memory is out. The stream must outlive it.
static inline SSL *copenssl_open(SSL_CTX *ctx, BIO_METHOD *method, copenssl_stream *stream) {
  SSL *ssl = SSL_new(ctx);
  if (!ssl) return NULL;
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) {
    SSL_free(ssl);
    return NULL;
  }
  BIO_set_data(bio, stream);
  SSL_set_bio(ssl, bio, bio);
  return ssl;
}

static inline copenssl_stream *copenssl_stream_of(const SSL *ssl) {
  return (copenssl_stream *)BIO_get_data(SSL_get_rbio(ssl));
}

static inline void copenssl_note_alerts(const SSL *ssl, int where, int value) {
  if (!(where & SSL_CB_ALERT)) return;
  copenssl_stream *stream = copenssl_stream_of(ssl);
  int16_t number = (int16_t)(value & 0xFF);
  if (where & SSL_CB_READ) {
    stream->alert_received = number;
  } else {
    stream->alert_sent = number;
    // OpenSSL would answer every such request and go on, at the peer's pace.
    if (number == SSL_AD_NO_RENEGOTIATION) stream->is_stopped = 1;
  }
}

static inline void copenssl_watch_alerts(SSL_CTX *ctx) {
  SSL_CTX_set_info_callback(ctx, copenssl_note_alerts);
}

#endif
