internal import Admission
internal import Telemetry
internal import Units

/// The pressure on this process, for metrics, for readiness and for those who ask; slow plane only.
final class OverloadReport: Sendable {
  private struct State {
    var settings = EdgePressure.Settings()
    var readinessAbove: Double?
    var isUnready = false
  }

  /// How much lower the pressure has to be for readiness to come back, as with what is shed.
  private static let relief = 0.05

  private let load: EdgeLoad
  private let classes: [String]
  private let state = Locked(State())

  init(_ load: EdgeLoad, classes: [String]) {
    self.load = load
    self.classes = classes
  }

  /// A configuration took effect.
  func adopt(_ settings: EdgePressure.Settings, readinessAbove: Double?) {
    state.withLock {
      $0.settings = settings
      $0.readinessAbove = readinessAbove
    }
  }

  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_edge_pressure",
      help: "How near this process is to its own limits, from 0 to 1.",
      .gauge
    ) { [self] in
      EdgePressure.Kind.allCases.map { MetricSample(pressure($0), ["kind": $0.label]) }
    }
  }

  private func pressure(_ kind: EdgePressure.Kind) -> Double {
    switch kind {
    case .loopDelay: load.loopPressure
    case .buffers: load.bufferPressure(state.withLock { $0.settings })
    case .memory, .descriptors, .connections, .inFlight:
      state.withLock { $0.settings }.pressure(of: kind, in: load.reading)
    }
  }

  /// Why no traffic should be sent here, `nil` while it may be.
  func unreadiness() -> String? {
    let highest = EdgePressure.Kind.allCases.map { ($0, pressure($0)) }.max { $0.1 < $1.1 }
    guard let (kind, value) = highest else { return nil }
    return state.withLock { state in
      guard let bound = state.readinessAbove else {
        state.isUnready = false
        return nil
      }
      // A bound of all is reached and never passed.
      let least = state.isUnready ? bound - Self.relief : bound
      state.isUnready = value > least || value == 1
      return state.isUnready ? "overloaded: \(kind.label) \(Self.rounded(value))" : nil
    }
  }

  // MARK: - Explanation

  /// An object of JSON.
  var json: String {
    let pressures = EdgePressure.Kind.allCases.map {
      "\"\($0.field)\":\(Self.rounded(pressure($0)))"
    }
    let (settings, reading) = (state.withLock { $0.settings }, load.reading)
    let shed = shedNames.map { JSONText.literal($0) }.joined(separator: ",")
    return "{\"pressure\":{\(pressures.joined(separator: ","))},\"shedding\":[\(shed)],"
      + "\"refusesHandshakes\":\(load.refusesHandshakes),"
      + "\"inFlight\":\(reading.inFlight),\"mostInFlight\":\(settings.inFlight),"
      + "\"connections\":\(reading.connections),\"mostConnections\":\(settings.connections),"
      + "\"descriptors\":\(reading.descriptors),\"mostDescriptors\":\(settings.descriptors),"
      + "\"memoryUsed\":\(Self.rounded(reading.memory))}"
  }

  /// Two lines for people.
  var text: String {
    let (settings, reading) = (state.withLock { $0.settings }, load.reading)
    let shed = shedNames
    var first = "edge: sheds " + (shed.isEmpty ? "nobody" : shed.joined(separator: ", "))
    if load.refusesHandshakes { first += ", refuses TLS handshakes" }
    let pressures = EdgePressure.Kind.allCases.map { kind in
      let value = "\(kind.label) \(Self.rounded(pressure(kind)))"
      return switch kind {
      case .loopDelay, .buffers: value
      case .memory: "\(value) (\(Int((reading.memory * 100).rounded())) % used)"
      case .descriptors: "\(value) (\(reading.descriptors) of \(settings.descriptors))"
      case .connections: "\(value) (\(reading.connections) of \(settings.connections))"
      case .inFlight: "\(value) (\(reading.inFlight) of \(settings.inFlight))"
      }
    }
    return "\(first)\n  pressure: \(pressures.joined(separator: ", "))\n"
  }

  private var shedNames: [String] {
    let bits = load.shedClasses
    return classes.indices.filter { $0 < 8 && bits >> UInt8($0) & 1 == 1 }.map { classes[$0] }
  }

  private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}

extension EdgePressure.Kind {
  /// Its name in metrics and in what people read.
  var label: String {
    switch self {
    case .loopDelay: "loop-delay"
    case .memory: "memory"
    case .descriptors: "descriptors"
    case .connections: "connections"
    case .inFlight: "in-flight"
    case .buffers: "buffers"
    }
  }

  /// Its name in JSON, that of its setting.
  var field: String {
    switch self {
    case .loopDelay: "loopDelay"
    case .memory, .descriptors, .connections, .buffers: label
    case .inFlight: "inFlight"
    }
  }
}
