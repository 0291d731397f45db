internal import COpenSSL
public import Units

/// The keys of session tickets, shared by all workers and replaced from time to time.
///
/// New tickets are sealed with the current key; those of the keys before it are still opened, and
/// answered with a new ticket. Whoever learns a key can read the sessions of its time where a
/// client resumed without a new key exchange, so a key is dropped for good after a few rotations.
/// The lock is held for copying a reference, once or twice per handshake, never for data.
public final class TicketKeys: Sendable {
  /// How long a key seals, by default: half a day, as common servers advise.
  public static let defaultRotation = Nanoseconds.seconds(43_200)
  /// Keys that are kept: the current one and one before it.
  public static let maximumKeys = 2

  private struct State {
    var keys: [TicketKey]
    var rotatesAt: Instant
    var rotations = 0
  }

  private let state: Locked<State>
  private let rotation: Nanoseconds

  /// - Parameters:
  ///   - keys: The current key first, then older ones; empty for a random one.
  ///   - now: When the current key began.
  ///   - rotation: How long a key seals; at least the lifetime of sessions, or they end early.
  public init(
    keys: [TicketKey] = [],
    at now: Instant,
    rotation: Nanoseconds = TicketKeys.defaultRotation
  ) {
    let first = keys.isEmpty ? [TicketKey.random()].compactMap { $0 } : keys
    state = Locked(State(keys: Array(first.prefix(Self.maximumKeys)), rotatesAt: now + rotation))
    self.rotation = rotation
  }

  /// The keys now, the current one first: secret, for a process that takes over.
  public var keys: [TicketKey] { state.withLock { $0.keys } }

  /// How often a new random key was put in front.
  public var rotations: Int { state.withLock { $0.rotations } }

  /// Puts a new random key in front when it is time; any thread may call, as often as it likes.
  ///
  /// - Returns: Whether the keys changed.
  @discardableResult
  public func rotateIfDue(at now: Instant) -> Bool {
    state.withLock { state in
      guard now >= state.rotatesAt, let key = TicketKey.random() else { return false }
      state.rotatesAt = now + rotation
      state.rotations += 1
      state.keys = Array(([key] + state.keys).prefix(Self.maximumKeys))
      return true
    }
  }

  /// Replaces all keys, for those that come from outside.
  ///
  /// - Parameters:
  ///   - keys: The current key first; at least one.
  ///   - now: When it begins.
  public func replace(with keys: [TicketKey], at now: Instant) {
    precondition(!keys.isEmpty, "no key for tickets")
    state.withLock { state in
      state.keys = Array(keys.prefix(Self.maximumKeys))
      state.rotatesAt = now + rotation
    }
  }

  // MARK: - OpenSSL's side

  /// Chooses the key for a ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb).
  ///
  /// Without any, sessions
  /// are not resumed and nothing else happens.
  static let callback:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?,
      OpaquePointer?, Int32
    ) -> Int32 = { ssl, name, vector, cipher, mac, isSealing in
      guard let ssl, let name, let vector, let cipher, let mac,
        let keys = TLSSession.current(of: ssl)?.server?.tickets.keys
      else { return -1 }
      return isSealing != 0
        ? seal(keys.first, name, vector, cipher, mac)
        : open(keys, name, vector, cipher, mac, isTLS13: SSL_version(ssl) == TLS1_3_VERSION)
    }

  private static func seal(
    _ key: TicketKey?,
    _ name: UnsafeMutablePointer<UInt8>,
    _ vector: UnsafeMutablePointer<UInt8>,
    _ cipher: OpaquePointer,
    _ mac: OpaquePointer
  ) -> Int32 {
    guard let key else { return 0 }
    guard RAND_bytes(vector, 16) == 1 else { return -1 }
    key.copyName(to: name)
    let isReady = key.withKeys { secret, macKey in
      EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, secret, vector) == 1
        && copenssl_ticket_mac(mac, macKey, 32) == 1
    }
    return isReady == true ? 1 : -1
  }

  private static func open(
    _ keys: [TicketKey],
    _ name: UnsafeMutablePointer<UInt8>,
    _ vector: UnsafeMutablePointer<UInt8>,
    _ cipher: OpaquePointer,
    _ mac: OpaquePointer,
    isTLS13: Bool
  ) -> Int32 {
    guard let index = keys.firstIndex(where: { $0.hasName(name) }) else { return 0 }
    let isReady = keys[index].withKeys { secret, macKey in
      EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, secret, vector) == 1
        && copenssl_ticket_mac(mac, macKey, 32) == 1
    }
    guard isReady == true else { return -1 }
    // 2 asks for a new ticket: in TLS 1.3 always, as a ticket should be used once
    // (RFC 8446 appendix C.4), before that when the key is an old one.
    return isTLS13 || index > 0 ? 2 : 1
  }
}
