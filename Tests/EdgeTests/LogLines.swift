import Logging
import Units

/// A log handler that keeps what it is told.
struct LogLines: LogHandler {
  let kept = Locked<[String]>([])
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let line = "\(event.level) \(event.message) \(fields.joined(separator: " "))"
    kept.withLock { $0.append(line) }
  }
}
