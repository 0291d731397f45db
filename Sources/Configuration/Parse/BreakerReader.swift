internal import Units
internal import Yams

/// Reads what a service says about breakers and outliers.
enum BreakerReader {
  private static let span = Nanoseconds.milliseconds(1)...Nanoseconds.seconds(3_600)

  static func read(_ field: Field) -> BreakerSetting {
    var setting = BreakerSetting()
    let fields = field.map([
      "consecutiveFailures", "failureRatio", "minimumRequests", "window", "open", "maximumOpen",
      "slowCall", "slowRatio", "probes", "ramp", "failures",
    ])
    if let field = fields["consecutiveFailures"] {
      setting.consecutiveFailures = field.number(0...1_000_000)
    }
    if let field = fields["failureRatio"] { setting.failureRatio = field.share() }
    if let field = fields["minimumRequests"] {
      setting.minimumRequests = field.number(1...1_000_000)
    }
    // Ten slices of a window have to be told apart.
    let window = Nanoseconds.milliseconds(100)...Nanoseconds.seconds(3_600)
    if let field = fields["window"] { setting.window = field.duration(window) }
    if let field = fields["open"] { setting.open = field.duration(span) }
    if let field = fields["maximumOpen"] {
      setting.maximumOpen = field.duration(span)
      if setting.maximumOpen < setting.open {
        field.fault("is shorter than open, which is \(Quantity.text(setting.open))")
      }
    } else {
      setting.maximumOpen = max(setting.maximumOpen, setting.open)
    }
    if let field = fields["slowCall"] { setting.slowCall = field.duration(span) }
    if let field = fields["slowRatio"] {
      setting.slowRatio = field.share()
      if fields["slowCall"] == nil {
        field.fault("needs slowCall, the time from which an answer is slow")
      }
      if setting.slowRatio == 0 { field.fault("is 0; every answer would open it") }
    }
    if let field = fields["probes"] { setting.probes = field.number(1...15) }
    if let field = fields["ramp"] {
      setting.ramp = field.duration(.zero...Nanoseconds.seconds(3_600))
    }
    if let field = fields["failures"] { setting.failures = failures(field) }
    if setting.consecutiveFailures == 0, setting.failureRatio == 0, setting.slowCall == nil {
      field.fault("never opens: set consecutiveFailures, failureRatio or slowCall")
    }
    return setting
  }

  private static func failures(_ field: Field) -> [BreakerSetting.Failure] {
    var kinds: [BreakerSetting.Failure] = []
    for entry in field.list() {
      guard let kind = entry.choice(BreakerSetting.Failure.self) else { continue }
      if kinds.contains(kind) { entry.fault("\(kind.rawValue) is named twice") }
      kinds.append(kind)
    }
    if field.list().isEmpty { field.fault("must name at least one kind of failure") }
    return kinds
  }

  static func outlier(_ field: Field) -> OutlierSetting {
    var setting = OutlierSetting()
    let fields = field.map([
      "consecutive5xx", "consecutiveGatewayFailures", "interval", "baseEjection",
      "maximumEjection", "maximumEjectionPercent", "maxEjectionPercent", "minimumHosts",
      "requestVolume", "successRateDeviations", "failurePercentage", "failurePercentageVolume",
      "latencyFactor", "heal",
    ])
    let count = 0...1_000_000
    if let field = fields["consecutive5xx"] { setting.consecutive5xx = field.number(count) }
    if let field = fields["consecutiveGatewayFailures"] {
      setting.consecutiveGatewayFailures = field.number(count)
    }
    if let field = fields["interval"] {
      setting.interval = field.duration(.milliseconds(100)...Nanoseconds.seconds(3_600))
    }
    if let field = fields["baseEjection"] { setting.baseEjection = field.duration(span) }
    if let field = fields["maximumEjection"] {
      setting.maximumEjection = field.duration(.milliseconds(1)...Nanoseconds.seconds(86_400))
      if setting.maximumEjection < setting.baseEjection {
        field.fault("is shorter than baseEjection, \(Quantity.text(setting.baseEjection))")
      }
    } else {
      setting.maximumEjection = max(setting.maximumEjection, setting.baseEjection)
    }
    if let field = fields["maxEjectionPercent"] {
      setting.maximumEjectionPercent = field.number(0...100)
    }
    if let field = fields["maximumEjectionPercent"] {
      setting.maximumEjectionPercent = field.number(0...100)
      if fields["maxEjectionPercent"] != nil {
        field.fault("means the same as maxEjectionPercent; keep one")
      }
    }
    if let field = fields["minimumHosts"] { setting.minimumHosts = field.number(2...32_768) }
    if let field = fields["requestVolume"] { setting.requestVolume = field.number(1...1_000_000) }
    if let field = fields["successRateDeviations"] {
      setting.successRateDeviations = field.decimal(0...10)
    }
    if let field = fields["failurePercentage"] { setting.failurePercentage = field.number(0...100) }
    if let field = fields["failurePercentageVolume"] {
      setting.failurePercentageVolume = field.number(1...1_000_000)
    }
    if let field = fields["latencyFactor"] {
      setting.latencyFactor = field.decimal(0...1_000)
      if setting.latencyFactor > 0, setting.latencyFactor <= 1 {
        field.fault("must be above 1, times the latency of the others, or 0 for never")
      }
    }
    if let field = fields["heal"] {
      setting.heal = field.duration(.zero...Nanoseconds.seconds(3_600))
    }
    return setting
  }
}

extension Field {
  /// A number that may have a fraction.
  func decimal(_ range: ClosedRange<Double>) -> Double {
    let written = text()
    guard case .scalar = node else { return range.lowerBound }
    guard let value = Double(written), value.isFinite else {
      fault("must be a number")
      return range.lowerBound
    }
    guard range.contains(value) else {
      fault("is \(value); must be from \(range.lowerBound) to \(range.upperBound)")
      return range.lowerBound
    }
    return value
  }
}

extension BreakerSetting {
  /// As a file says it.
  var flow: String {
    let slow = slowCall.map { ", slowCall: \(Quantity.text($0)), slowRatio: \(slowRatio)" } ?? ""
    return "{consecutiveFailures: \(consecutiveFailures), failureRatio: \(failureRatio), "
      + "minimumRequests: \(minimumRequests), window: \(Quantity.text(window)), "
      + "open: \(Quantity.text(open)), maximumOpen: \(Quantity.text(maximumOpen))\(slow), "
      + "probes: \(probes), ramp: \(Quantity.text(ramp)), "
      + "failures: \(YAMLWriter.list(failures.map(\.rawValue)))}"
  }
}

extension OutlierSetting {
  /// As a file says it.
  var flow: String {
    "{consecutive5xx: \(consecutive5xx), "
      + "consecutiveGatewayFailures: \(consecutiveGatewayFailures), "
      + "interval: \(Quantity.text(interval)), baseEjection: \(Quantity.text(baseEjection)), "
      + "maximumEjection: \(Quantity.text(maximumEjection)), "
      + "maxEjectionPercent: \(maximumEjectionPercent), minimumHosts: \(minimumHosts), "
      + "requestVolume: \(requestVolume), successRateDeviations: \(successRateDeviations), "
      + "failurePercentage: \(failurePercentage), "
      + "failurePercentageVolume: \(failurePercentageVolume), latencyFactor: \(latencyFactor), "
      + "heal: \(Quantity.text(heal))}"
  }
}
