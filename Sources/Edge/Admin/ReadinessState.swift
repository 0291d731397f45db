public import Telemetry
internal import Units

/// Which configuration is in effect.
public struct ConfigurationVersion: Sendable, Equatable {
  /// Rises by one with each configuration that takes effect.
  public var number: UInt64
  /// Nanoseconds since 1970 (wall clock).
  public var loadedAt: Int64
  /// `sha256:` and the digest of the file in hexadecimal.
  public var checksum: String
  /// The file was bad and the last good copy serves in its place.
  public var isLastGoodCopy: Bool
  /// What the configuration calls the place that it is for.
  public var environment: String

  public init(
    number: UInt64,
    loadedAt: Int64,
    checksum: String,
    isLastGoodCopy: Bool = false,
    environment: String = "default"
  ) {
    self.number = number
    self.loadedAt = loadedAt
    self.checksum = checksum
    self.isLastGoodCopy = isLastGoodCopy
    self.environment = environment
  }

  /// The object that `/admin/config-version` answers.
  var json: String {
    let time = Timestamp.rfc3339(nanoseconds: loadedAt, hasMilliseconds: false)
    let sum = JSONText.literal(checksum)
    return "{\"configVersion\":\(number),\"loadedAt\":\"\(time)\",\"checksum\":\(sum)}\n"
  }
}

/// Whether traffic may be sent here, and why not; slow plane only.
public final class ReadinessState: Sendable {
  struct Value: Sendable {
    var configuration: ConfigurationVersion?
    var isDraining = false
    /// Why the newest configuration was refused.
    var refusal: String?
    /// Why the process is too busy for more.
    var overload: String?

    /// Reasons against traffic.
    var reasons: [String] {
      (isDraining ? ["draining"] : []) + (configuration == nil ? ["no configuration"] : [])
        + (overload.map { [$0] } ?? [])
    }

    var isReady: Bool { reasons.isEmpty }

    /// What an operator should look at although traffic is served.
    var warnings: [String] {
      let copy = configuration?.isLastGoodCopy == true
      return (copy ? ["running on the last good copy of the configuration"] : [])
        + (refusal.map { ["the newest configuration was refused: \($0)"] } ?? [])
    }

    var json: String {
      func list(_ texts: [String]) -> String {
        "[" + texts.map { JSONText.literal($0) }.joined(separator: ",") + "]"
      }
      let version = configuration.map { "\($0.number)" } ?? "null"
      return "{\"ready\":\(isReady),\"reasons\":\(list(reasons)),\"warnings\":\(list(warnings))"
        + ",\"configVersion\":\(version)}\n"
    }
  }

  private let value = Locked(Value())
  private let watched = Locked<@Sendable () -> String?>({ nil })

  public init() {}

  var current: Value {
    var current = value.withLock { $0 }
    current.overload = watched.withLock { $0 }()
    return current
  }

  /// Has a reason against traffic asked for whenever readiness is; `nil` is none.
  func watch(_ reason: @escaping @Sendable () -> String?) { watched.withLock { $0 = reason } }

  /// Whether `/readyz` answers 200.
  public var isReady: Bool { current.isReady }

  /// The configuration in effect.
  public var configuration: ConfigurationVersion? { current.configuration }

  /// A configuration took effect.
  public func adopt(_ configuration: ConfigurationVersion) {
    value.withLock {
      $0.configuration = configuration
      // What was refused before has been repaired, unless it is why the copy serves.
      if !configuration.isLastGoodCopy { $0.refusal = nil }
    }
  }

  /// The file says what is in effect: a version of it that was refused is gone.
  public func accept() { value.withLock { $0.refusal = nil } }

  /// A configuration was refused; the one before goes on.
  public func refuse(_ reason: String) { value.withLock { $0.refusal = reason } }

  /// No traffic any more; there is no way back.
  public func drain() { value.withLock { $0.isDraining = true } }

  /// Adds the metrics that tell the configuration.
  public func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_config_info",
      help: "The configuration in effect.",
      .gauge
    ) { [self] in
      configuration.map {
        [
          MetricSample(
            1,
            [
              "version": "\($0.number)", "checksum": $0.checksum, "environment": $0.environment,
            ]
          )
        ]
      } ?? []
    }
    registry.register(
      "spillway_config_loaded_timestamp_seconds",
      help: "When the configuration in effect was loaded, since 1970.",
      .gauge
    ) { [self] in configuration.map { [MetricSample(Double($0.loadedAt) / 1e9)] } ?? [] }
    registry.register(
      "spillway_config_last_good_copy",
      help: "1 while the last good copy serves because the file was bad.",
      .gauge
    ) { [self] in [MetricSample(configuration?.isLastGoodCopy == true ? 1 : 0)] }
  }
}
