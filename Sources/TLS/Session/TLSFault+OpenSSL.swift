internal import COpenSSL

extension TLSFault {
  /// Reads the fault off the calling thread's error queue, and empties it.
  ///
  /// - Parameter ssl: The session whose call failed.
  /// - Returns: The fault, `internalError` when the queue is empty.
  static func take(from ssl: OpaquePointer) -> TLSFault {
    let code = ERR_peek_error()
    let fault = copenssl_is_tls_error(code) != 0 ? named(copenssl_reason(code), ssl) : .decodeError
    ERR_clear_error()
    return code == 0 ? .internalError : fault
  }

  private static func named(_ reason: Int32, _ ssl: OpaquePointer) -> TLSFault {
    switch reason {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: verification(SSL_get_verify_result(ssl))
    case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: .plainHTTP
    case SSL_R_EXCESSIVE_MESSAGE_SIZE: .handshakeTooLong
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH,
      SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL, SSL_R_INAPPROPRIATE_FALLBACK,
      SSL_R_BAD_LEGACY_VERSION:
      .unsupportedVersion
    case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
      SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_KEY_SHARE,
      SSL_R_NO_SUITABLE_GROUPS:
      .noSharedCipher
    case SSL_R_NO_APPLICATION_PROTOCOL: .noApplicationProtocol
    case SSL_R_CALLBACK_FAILED: .unknownName
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: .noClientCertificate
    case SSL_R_EE_KEY_TOO_SMALL, SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK,
      SSL_R_BAD_ECC_CERT, SSL_R_WRONG_CERTIFICATE_TYPE, SSL_R_UNKNOWN_CERTIFICATE_TYPE:
      .badCertificate
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED, SSL_R_BAD_SIGNATURE,
      SSL_R_DIGEST_CHECK_FAILED:
      .badRecord
    case SSL_R_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, SSL_R_UNEXPECTED_CCS_MESSAGE,
      SSL_R_APP_DATA_IN_HANDSHAKE, SSL_R_NOT_ON_RECORD_BOUNDARY:
      .unexpectedMessage
    case SSL_R_TOO_MANY_WARN_ALERTS, SSL_R_RECORD_TOO_SMALL: .tooManyControlRecords
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: .truncated
    case Int32(ERR_R_MALLOC_FAILURE), Int32(ERR_R_INTERNAL_ERROR): .internalError
    case firstAlertReason...lastAlertReason: alert(reason - firstAlertReason)
    default: .decodeError
    }
  }

  /// OpenSSL's reasons for alerts are their numbers and this.
  private static let firstAlertReason = Int32(SSL_AD_REASON_OFFSET)
  private static let lastAlertReason = firstAlertReason + 255

  private static func alert(_ number: Int32) -> TLSFault {
    switch number {
    case 42...46, 48, 116: .peerRefusesCertificate
    case 70: .peerRefusesVersion
    case 40, 71, 112, 120: .peerRefusesHandshake
    default: .peerAlert
    }
  }

  private static func verification(_ result: Int) -> TLSFault {
    switch Int32(truncatingIfNeeded: result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
      X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED,
      X509_V_ERR_CERT_CHAIN_TOO_LONG:
      .unknownAuthority
    case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID: .certificateExpired
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .nameMismatch
    case X509_V_ERR_APPLICATION_VERIFICATION: .pinMismatch
    default: .badCertificate
    }
  }
}
