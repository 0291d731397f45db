/// What carries a connection's bytes: the reactor's socket, or something above one that looks alike.
///
/// Whatever the kind, bytes arrive in blocks as `received` events for the owner, and leave through
/// the same few calls (`Worker+Transport`), so connections and exchanges know nothing of it.
struct Transport: BitwiseCopyable, Equatable {
  enum Kind: Int32 {
    /// `index` is the reactor's socket.
    case socket
    /// `index` is a stream of an HTTP/2 session, and its link's place.
    case stream
    /// `index` is a link of TLS above a socket.
    case secure
  }

  private static let kindShift: Int32 = 28
  private static let indexMask: Int32 = (1 << kindShift) - 1

  private let rawValue: Int32

  private init(_ kind: Kind, _ index: Int32) {
    rawValue = kind.rawValue << Self.kindShift | index
  }

  static func socket(_ index: Int32) -> Transport { Transport(.socket, index) }
  static func stream(_ index: Int32) -> Transport { Transport(.stream, index) }
  static func secure(_ index: Int32) -> Transport { Transport(.secure, index) }

  /// Whether this is the reactor's socket itself: the one question on the path of cleartext.
  var isSocket: Bool { rawValue < 1 << Self.kindShift }

  /// Whether this is a stream above another transport: one exchange, and no bytes of HTTP/1.1.
  var isStream: Bool { rawValue >> Self.kindShift == Kind.stream.rawValue }

  /// Whether TLS stands between this and the socket.
  var isSecure: Bool { rawValue >> Self.kindShift == Kind.secure.rawValue }

  var index: Int32 { rawValue & Self.indexMask }
}
