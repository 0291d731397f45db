/// What makes an exchange outlast its permit.
enum StreamKind: UInt8, CaseIterable {
  case upgrade
  case eventStream
  /// A call of gRPC; most of them end at once.
  case call
  /// It waits for its client to send or to read.
  case slowClient
  /// A call of the edge itself whose answer lasts.
  case internalCall

  /// The value of the label `kind`.
  var label: String {
    switch self {
    case .upgrade: "upgrade"
    case .eventStream: "event-stream"
    case .call: "grpc"
    case .slowClient: "slow-client"
    case .internalCall: "internal"
    }
  }
}
