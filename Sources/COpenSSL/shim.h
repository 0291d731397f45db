// What Swift cannot see of OpenSSL 3: its macros, as static inline functions.
#ifndef SPILLWAY_COPENSSL_SHIM_H
#define SPILLWAY_COPENSSL_SHIM_H

// Like CLinux, without _GNU_SOURCE: types must not differ from those of Swift's Glibc module.
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

// --- contexts ----------------------------------------------------------------------------------

static inline int copenssl_set_versions(SSL_CTX *ctx, int least, int most) {
  return SSL_CTX_set_min_proto_version(ctx, least) && SSL_CTX_set_max_proto_version(ctx, most);
}

// Buffers go back while a connection is idle, a write may stop after any record, and what is
// retried may lie elsewhere. A read comes back after every record that held no data, so that the
// caller can count them. Chains are sent as they stand in the file.
static inline void copenssl_set_modes(SSL_CTX *ctx) {
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(ctx, 0);
}

static inline void copenssl_set_server_options(SSL_CTX *ctx) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
}

static inline void copenssl_set_client_options(SSL_CTX *ctx) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
}

static inline int copenssl_set_groups(SSL_CTX *ctx, const char *groups) {
  return (int)SSL_CTX_set1_groups_list(ctx, groups);
}

static inline void copenssl_cache_nothing(SSL_CTX *ctx) {
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

// Sessions are handed to the callback and kept nowhere else.
static inline void copenssl_cache_by_callback(SSL_CTX *ctx) {
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

static inline void copenssl_set_max_cert_list(SSL_CTX *ctx, long bytes) {
  SSL_CTX_set_max_cert_list(ctx, bytes);
}

typedef int (*copenssl_name_callback)(SSL *, int *, void *);
static inline void copenssl_set_name_callback(SSL_CTX *ctx, copenssl_name_callback callback,
                                              void *argument) {
  SSL_CTX_set_tlsext_servername_callback(ctx, callback);
  SSL_CTX_set_tlsext_servername_arg(ctx, argument);
}

typedef int (*copenssl_status_callback)(SSL *, void *);
static inline void copenssl_set_status_callback(SSL_CTX *ctx, copenssl_status_callback callback,
                                                void *argument) {
  SSL_CTX_set_tlsext_status_cb(ctx, callback);
  SSL_CTX_set_tlsext_status_arg(ctx, argument);
}

static inline int copenssl_add_chain(SSL_CTX *ctx, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(ctx, certificate);
}

static inline int copenssl_share_store(SSL_CTX *ctx, X509_STORE *store) {
  SSL_CTX_set1_cert_store(ctx, store);
  return 1;
}

// --- sessions ----------------------------------------------------------------------------------

static inline int copenssl_send_name(SSL *ssl, const char *name) {
  return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline void copenssl_ask_status(SSL *ssl) {
  SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
}

// Copies the response, as the session frees what it is given.
static inline int copenssl_staple(SSL *ssl, const void *bytes, size_t count) {
  void *copy = OPENSSL_memdup(bytes, count);
  if (!copy) return 0;
  SSL_set_tlsext_status_ocsp_resp(ssl, (unsigned char *)copy, (long)count);
  return 1;
}

static inline void copenssl_drop_staple(SSL *ssl) {
  SSL_set_tlsext_status_ocsp_resp(ssl, NULL, 0);
}

static inline long copenssl_stapled(SSL *ssl, const uint8_t **bytes) {
  return SSL_get_tlsext_status_ocsp_resp(ssl, bytes);
}

static inline X509 *copenssl_peer_certificate(const SSL *ssl) {
  return SSL_get0_peer_certificate(ssl);
}

// Names are matched as browsers do: a wildcard stands for one whole label.
static inline int copenssl_expect_name(SSL *ssl, const char *name, int is_first) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return is_first ? SSL_set1_host(ssl, name) : SSL_add1_host(ssl, name);
}

static inline int copenssl_expect_address(SSL *ssl, const char *address) {
  return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address);
}

// --- errors ------------------------------------------------------------------------------------

// Empties the calling thread's queue; mostly it is empty, and finding out is cheaper.
static inline void copenssl_clear_errors(void) {
  if (ERR_peek_error()) ERR_clear_error();
}

static inline int copenssl_is_tls_error(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_SSL;
}

static inline int copenssl_is_no_pem(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static inline int copenssl_reason(unsigned long code) { return ERR_GET_REASON(code); }

// --- certificates ------------------------------------------------------------------------------

static inline int copenssl_chain_count(const STACK_OF(X509) *chain) { return sk_X509_num(chain); }

static inline X509 *copenssl_chain_at(const STACK_OF(X509) *chain, int index) {
  return sk_X509_value(chain, index);
}

static inline GENERAL_NAMES *copenssl_alternative_names(const X509 *certificate) {
  return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

static inline void copenssl_free_names(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

static inline int copenssl_name_count(const GENERAL_NAMES *names) {
  return sk_GENERAL_NAME_num(names);
}

enum {
  COPENSSL_NAME_OTHER = 0,
  COPENSSL_NAME_DNS = 1,
  COPENSSL_NAME_URI = 2,
  COPENSSL_NAME_EMAIL = 3,
  COPENSSL_NAME_ADDRESS = 4,
};

// The kind of a name and its bytes, which belong to `names`.
static inline int copenssl_name_at(const GENERAL_NAMES *names, int index, const uint8_t **bytes,
                                   int *count) {
  const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
  const ASN1_STRING *text;
  int kind;
  switch (name->type) {
    case GEN_DNS: text = name->d.dNSName; kind = COPENSSL_NAME_DNS; break;
    case GEN_URI: text = name->d.uniformResourceIdentifier; kind = COPENSSL_NAME_URI; break;
    case GEN_EMAIL: text = name->d.rfc822Name; kind = COPENSSL_NAME_EMAIL; break;
    case GEN_IPADD: text = name->d.iPAddress; kind = COPENSSL_NAME_ADDRESS; break;
    default: return COPENSSL_NAME_OTHER;
  }
  *bytes = ASN1_STRING_get0_data(text);
  *count = ASN1_STRING_length(text);
  return kind;
}

// Seconds since 1970, or INT64_MIN for a time that cannot be read.
static inline int64_t copenssl_seconds(const ASN1_TIME *time) {
  extern time_t timegm(struct tm *);
  struct tm parts;
  if (!time || !ASN1_TIME_to_tm(time, &parts)) return INT64_MIN;
  return (int64_t)timegm(&parts);
}

// As RFC 2253 writes it: bytes with a meaning, control characters and non-ASCII are escaped.
static inline int copenssl_print_name(BIO *bio, const X509_NAME *name) {
  return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
}

// --- keys --------------------------------------------------------------------------------------

enum { COPENSSL_KEY_OTHER = 0, COPENSSL_KEY_RSA = 1, COPENSSL_KEY_EC = 2, COPENSSL_KEY_EDWARDS = 3 };

static inline int copenssl_key_kind(const EVP_PKEY *key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return COPENSSL_KEY_RSA;
    case EVP_PKEY_EC: return COPENSSL_KEY_EC;
    case EVP_PKEY_ED25519: return COPENSSL_KEY_EDWARDS;
    default: return COPENSSL_KEY_OTHER;
  }
}

// Keys that need a passphrase are refused: without this, OpenSSL would ask on the terminal.
static inline int copenssl_no_passphrase(char *buffer, int room, int writing, void *asked) {
  (void)buffer;
  (void)room;
  (void)writing;
  *(int *)asked = 1;
  return -1;
}

static inline EVP_PKEY *copenssl_read_key(BIO *bio, int *is_encrypted) {
  *is_encrypted = 0;
  return PEM_read_bio_PrivateKey(bio, NULL, copenssl_no_passphrase, is_encrypted);
}

static inline X509 *copenssl_read_certificate(BIO *bio) {
  int asked = 0;
  return PEM_read_bio_X509(bio, NULL, copenssl_no_passphrase, &asked);
}

static inline int copenssl_digest(const void *bytes, size_t count, uint8_t *into) {
  return EVP_Digest(bytes, count, into, NULL, EVP_sha256(), NULL);
}

// SHA-256 of the subject public key info (RFC 7469 section 2.4).
static inline int copenssl_key_digest(const X509 *certificate, uint8_t *into) {
  unsigned char *bytes = NULL;
  int count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
  if (count <= 0) return 0;
  int done = copenssl_digest(bytes, (size_t)count, into);
  OPENSSL_free(bytes);
  return done;
}

static inline int copenssl_certificate_digest(const X509 *certificate, uint8_t *into) {
  return X509_digest(certificate, EVP_sha256(), into, NULL);
}

// --- session tickets ---------------------------------------------------------------------------

static inline int copenssl_ticket_mac(EVP_MAC_CTX *mac, uint8_t *key, size_t count) {
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, count),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params);
}

// --- OCSP responses ----------------------------------------------------------------------------

// Whether a response names the certificate's serial number: 1, 0, or -1 when it cannot be read.
// `until` becomes the end of its validity in seconds since 1970, INT64_MAX without one.
static inline int copenssl_staple_covers(const uint8_t *bytes, long count, X509 *certificate,
                                         int64_t *until) {
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &bytes, count);
  if (!response) return -1;
  OCSP_BASICRESP *basic = NULL;
  if (OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
    basic = OCSP_response_get1_basic(response);
  int covers = basic ? 0 : -1;
  *until = INT64_MAX;
  for (int i = 0; basic && i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    ASN1_INTEGER *serial = NULL;
    OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
    if (!serial || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate))) continue;
    ASN1_GENERALIZEDTIME *next = NULL;
    OCSP_single_get0_status(single, NULL, NULL, NULL, &next);
    if (next) *until = copenssl_seconds(next);
    covers = 1;
    break;
  }
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  return covers;
}

#endif
