/// One field of a request or an answer.
public struct ServiceField: Sendable, Hashable {
  /// A token (RFC 9110 section 5.6.2); of an answer in lower case.
  public var name: String
  /// Without CR, LF and NUL.
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// A call of the slow plane to a service of the configuration, with the same time-outs, breakers, TLS
/// and metrics as any request.
public struct ServiceRequest: Sendable, Hashable {
  /// Most bytes of `body`; a larger one fails.
  public static let largestBody = 16 << 20
  /// Time for a whole answer that is no stream, from the request's head to the answer's last byte.
  public static let answerTime = Nanoseconds.seconds(10)
  /// Time that a stream may be silent, before its head and behind it.
  ///
  /// Above the 10 min 38 s that a blocking query of Consul may last, and the 10 min between two
  /// progress notices of etcd.
  public static let streamIdle = Nanoseconds.seconds(900)

  /// The name of a configured service.
  public var service: String
  /// A token such as GET; neither CONNECT nor TRACE.
  public var method: String
  /// Path and query as they go out, from the first slash on: nothing is normalised, and no route of
  /// clients is asked.
  public var target: String
  /// Besides those that frame the message or belong to the connection, which the caller writes; a
  /// `host` takes the place of the one that the service is configured with.
  public var fields: [ServiceField]
  /// The whole body, at most `largestBody` bytes.
  public var body: [UInt8]
  /// Whether the answer is read for as long as it lasts (watches), not to its end within a time.
  public var isStream: Bool
  /// Most bytes of content of an answer that is no stream; more is a failure.
  public var maximumBytes: Int

  /// - Parameters:
  ///   - service: The name of a configured service.
  ///   - method: A token such as GET.
  ///   - target: Path and query.
  ///   - fields: Besides those that the caller writes.
  ///   - body: The whole body.
  ///   - isStream: Whether the answer is read for as long as it lasts.
  ///   - maximumBytes: Most bytes of an answer that is no stream. 1 MiB holds what registries list
  ///     of one service.
  public init(
    service: String,
    method: String = "GET",
    target: String,
    fields: [ServiceField] = [],
    body: [UInt8] = [],
    isStream: Bool = false,
    maximumBytes: Int = 1 << 20
  ) {
    self.service = service
    self.method = method
    self.target = target
    self.fields = fields
    self.body = body
    self.isStream = isStream
    self.maximumBytes = maximumBytes
  }
}

/// What came of a call.
public enum ServiceEvent: Sendable, Equatable {
  /// The head of the service's answer, whatever its status; interim ones (1xx) are swallowed.
  case head(status: Int, fields: [ServiceField])
  /// The next bytes of content, never empty; where they are cut says nothing.
  case body([UInt8])
  /// The answer is there whole; the last event.
  case end
  /// The call ended otherwise, in words that an operator understands; the last event.
  ///
  /// What the edge itself would answer a client, such as 503 for a service without endpoints, is one.
  case failed(String)
}

/// One call under way; used by one thread.
///
/// It holds a descriptor until its last event, its cancel, or its end as an object.
public protocol ServiceCall: AnyObject {
  /// To be polled for `events`; negative, which `poll` passes over, once the last event was taken.
  ///
  /// It gets ready by itself when time has run out, so a thread may sleep on it without a time-out.
  var descriptor: Int32 { get }
  /// For `poll`; asked for anew before each.
  var events: Int16 { get }
  /// Goes on without waiting.
  ///
  /// Some of what has come may be left for the next time, so that one call that never pauses does
  /// not keep its thread from others.
  ///
  /// - Returns: What came since the last time, in order; empty when nothing did.
  func advance() -> [ServiceEvent]
  /// Gives the call up: the service sees its request cancelled, and no event comes any more.
  func cancel()
}

/// Calls services of the configuration; any thread may use it.
public protocol ServiceCaller: Sendable {
  /// Begins a call and never blocks.
  ///
  /// - Returns: The call; where it cannot begin, as with an unknown service, `.failed` is its first
  ///   event.
  func begin(_ request: ServiceRequest) -> any ServiceCall
}
