internal import Units

/// What an exchange holds of its service's hard caps; of one without caps nothing.
struct ExchangeCaps: BitwiseCopyable {
  /// The place of the service that it has an attempt at, -1 for none.
  var service: Int32 = -1
  /// The endpoint that it is counted at, -1 for none.
  var endpoint: Int32 = -1
  /// The place of the service for which it waits in line, -1 for none.
  var line: Int32 = -1
  /// It is counted among the service's requests.
  var isCounted = false
  /// Its turn had come, and there was no room all the same.
  var stop = Stop.none
  /// When it began to wait.
  var since = Instant.never
  /// How long it waited in lines before.
  var waited = Nanoseconds.zero

  /// Where there was no room.
  enum Stop: UInt8 {
    case none
    /// Among all that the service may have: nobody else goes on either.
    case service
    /// At the endpoints that it may go to, or for what it wants of them.
    case own
  }

  /// Whether there is anything to give back.
  var isAny: Bool { service & endpoint & line >= 0 }
  var isWaiting: Bool { line >= 0 }
}
