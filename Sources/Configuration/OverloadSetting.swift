public import Units

/// At which pressures this process itself sheds, whatever its services can do.
public struct OverloadSetting: Sendable, Equatable {
  /// Time that events may have to wait for the event loop, on average over a tenth of a second, before
  /// all but the highest class is shed.
  public var loopDelay = Nanoseconds.milliseconds(50)
  /// Share of the memory that this process may use from which the lowest class is shed, in `0...1`.
  public var memory = 0.85
  /// Requests in flight, over all services, at which all but the highest class is shed.
  public var inFlight = 20_000
  /// Pressure above which `/readyz` fails, in `0...1`; `nil` for never, since a balancer that takes one
  /// overloaded edge out gives its load to the others.
  public var readinessAbove: Double?

  /// As many as all workers could have.
  public static let mostInFlight = 65_536 * Settings.mostWorkers

  public init() {}
}
