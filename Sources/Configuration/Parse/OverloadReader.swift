internal import Units
internal import Yams

/// Reads at which pressures the process itself sheds.
enum OverloadReader {
  /// Below it any turn would count; above it clients have gone.
  private static let loopDelays = Nanoseconds.milliseconds(1)...Nanoseconds.seconds(60)

  static func read(_ field: Field) -> OverloadSetting {
    var setting = OverloadSetting()
    let fields = field.map(["loopDelay", "memory", "inFlight", "readinessAbove"])
    if let field = fields["loopDelay"] { setting.loopDelay = field.duration(loopDelays) }
    if let field = fields["memory"] { setting.memory = share(field) }
    if let field = fields["inFlight"] {
      setting.inFlight = field.number(1...OverloadSetting.mostInFlight)
    }
    if let field = fields["readinessAbove"], !isOff(field) {
      setting.readinessAbove = share(field)
    }
    return setting
  }

  private static func isOff(_ field: Field) -> Bool {
    guard case .scalar(let scalar) = field.node else { return false }
    return scalar.string == "off"
  }

  /// A share that leaves something: with none everything would always be shed.
  private static func share(_ field: Field) -> Double {
    let value = field.share()
    if value < 0.01 { field.fault("must be at least 1%") }
    return value
  }
}

extension OverloadSetting {
  /// As a file says it.
  var flow: String {
    "{loopDelay: \(Quantity.text(loopDelay)), memory: \(memory), inFlight: \(inFlight), "
      + "readinessAbove: \(readinessAbove.map { "\($0)" } ?? "off")}"
  }
}
