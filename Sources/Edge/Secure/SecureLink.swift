internal import Reactor
internal import TLS
internal import Units

/// What stands between a socket and its connection or session where they speak TLS.
///
/// ```
/// silent --first byte--> greeting --ClientHello--> handshaking --established--> open
///                            '---no slot--> waiting --^ '--fault--> gone, its socket goes on
///                                                                   in clear to say why
///
/// connecting --connected--> handshaking --established--> open    towards a service
///                   '--no slot--> waiting --^
/// ```
/// The first is the way towards a client (docs/decisions/0004 has the bounds of its stages).
///
/// The connection above is there from the start: what is accounted, and the time that a client has,
/// are its own. Ciphertext and plaintext are in here only while they are on their way, so an idle
/// link holds OpenSSL's state and this entry.
struct SecureLink: BitwiseCopyable {
  enum Phase: UInt8, BitwiseCopyable {
    /// Nothing came yet; there is no TLS session.
    case silent
    /// A part of a ClientHello lies in `input`.
    case greeting
    /// There are too many handshakes; what a client sent lies in `input`.
    case waiting
    case handshaking
    case open
    /// Towards a service: there is no TCP connection yet, and no TLS session.
    case connecting
  }

  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16

    /// The owner wants no bytes; ciphertext stays in `input`.
    static let paused = Flags(rawValue: 1 << 0)
    /// The socket will bring nothing more.
    static let socketEnded = Flags(rawValue: 1 << 1)
    /// The owner was told of the end, or of a fault.
    static let endDelivered = Flags(rawValue: 1 << 2)
    static let wantsDrain = Flags(rawValue: 1 << 3)
    /// close_notify and FIN follow what is queued.
    static let finish = Flags(rawValue: 1 << 4)
    /// They were sent, and nothing can be written any more.
    static let finished = Flags(rawValue: 1 << 5)
    /// In this turn's list of links with something to encrypt.
    static let dirty = Flags(rawValue: 1 << 6)
    /// Its handshake was answered once; it is in the list of those that may be displaced.
    static let answered = Flags(rawValue: 1 << 7)
    /// Towards a service that may choose: HTTP/1.1 alone is offered.
    static let onlyHTTP1 = Flags(rawValue: 1 << 8)
  }

  /// Which of the worker's lists the link is in.
  enum Place: UInt8, BitwiseCopyable {
    case none
    /// Has yet to send the rest of its ClientHello.
    case greeting
    /// Waits for a handshake to end.
    case waiting
    /// Has bytes of its handshake.
    case handshakes
    /// Has bytes of its handshake, towards a service.
    case upstreamHandshakes
    /// Waits for a handshake with a service to end.
    case upstreamWaiting
    /// Has bytes to decrypt that nothing else would look at.
    case hot
  }

  let socket: Int32
  /// -1 towards a service.
  let listener: Int32
  /// The place of the service that it leads to, once it is connected.
  var service: Int32 = -1
  /// `nil` until the handshake begins.
  var session: Unmanaged<TLSSession>?
  /// Towards a service: how it is spoken to.
  var target: Unmanaged<SecureTarget>?
  /// Who the client is, where it showed a certificate.
  var identity: Unmanaged<ClientIdentity>?
  /// The connection or session above.
  var owner: Owner
  var phase = Phase.silent
  var place = Place.none
  var flags: Flags = []
  /// Neighbours in the list that `place` names.
  var previous: Int32 = -1
  var next: Int32 = -1
  /// Neighbours in the list of answered handshakes, and since when it is in there.
  var older: Int32 = -1
  var newer: Int32 = -1
  var answeredAt = Instant.never
  /// How far the ClientHello has come.
  var hello = HelloScan()
  /// Ciphertext that was not used yet.
  var input = Input()
  /// Plaintext that is to be sent.
  var plain = StretchQueue()
  var drainMark: Int32 = 0

  /// Whether we are the client, and the owner an upstream connection or a session to a service.
  var isUpstream: Bool { listener < 0 }
}

/// A list of links in the order they came, linked through them.
struct SecureList {
  var first: Int32 = -1
  var last: Int32 = -1
  var count = 0
}
