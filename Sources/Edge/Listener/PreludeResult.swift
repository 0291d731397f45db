internal import HTTPCodec
internal import Telemetry

/// What came of the wait for a prelude, as labels.
enum PreludeResult {
  /// A prelude that was believed.
  case taken(ProxyPrelude.Kind)
  /// None came, and none had to.
  case absent
  /// None came where one is required.
  case missing
  /// It was not whole in time.
  case timeout
  /// The peer left in the middle of it.
  case abandoned
  case refused(ProxyFault)

  private static let kinds = ["local", "unknown", "address", "unix"]
  private static let others = ["absent", "missing", "timeout", "abandoned"]

  static var labels: [String] { kinds + others + ProxyFault.allCases.map { "\($0.reason)" } }

  var place: Int {
    switch self {
    case .taken(.local): 0
    case .taken(.unknown): 1
    case .taken(.address): 2
    case .taken(.unix): 3
    case .absent: 4
    case .missing: 5
    case .timeout: 6
    case .abandoned: 7
    case .refused(let fault): 8 + Int(fault.rawValue)
    }
  }
}

extension WorkerMeter {
  func prelude(_ result: PreludeResult) { shard.add(more.preludes[result.place]) }
}
