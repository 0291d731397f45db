internal import Yams

/// Reads what a service says about its admission.
enum AdmissionReader {
  static func read(_ field: Field) -> AdmissionSetting {
    var setting = AdmissionSetting()
    let fields = field.map(["mode", "limit", "queue", "openStreams"])
    if let mode = fields["mode"]?.choice(AdmissionSetting.Mode.self) { setting.mode = mode }
    if let field = fields["limit"] { limit(field, &setting) }
    if let field = fields["queue"] {
      let fields = field.map(["capacity"])
      // Sixty-four workers with this many still fit the count that all share.
      if let field = fields["capacity"] { setting.queueCapacity = field.number(1...65_535) }
    }
    if let field = fields["openStreams"] {
      setting.openStreams = field.number(1...AdmissionSetting.largestLimit)
    }
    return setting
  }

  /// The rule's name, or a map with it and its bounds.
  private static func limit(_ field: Field, _ setting: inout AdmissionSetting) {
    guard case .mapping = field.node else {
      if let kind = field.choice(AdmissionSetting.Limit.self) { setting.limit = kind }
      if setting.limit == .fixed {
        field.fault("needs a number: write limit: {kind: fixed, inFlight: 100}")
      }
      return
    }
    let fields = field.map(["kind", "inFlight", "minimum", "maximum"])
    if let kind = fields["kind"]?.choice(AdmissionSetting.Limit.self) { setting.limit = kind }
    let range = 1...AdmissionSetting.largestLimit
    if let field = fields["inFlight"] {
      setting.inFlight = field.number(range)
      if setting.limit != .fixed { field.fault("is for kind: fixed; other limits are learned") }
    } else if setting.limit == .fixed {
      field.fault("needs inFlight, the number of requests that may be in flight")
    }
    for name in ["minimum", "maximum"] where setting.limit == .fixed {
      fields[name]?.fault("is for limits that are learned; a fixed one has inFlight")
    }
    if let field = fields["minimum"] { setting.minimum = field.number(range) }
    if let field = fields["maximum"] {
      setting.maximum = field.number(range)
      if setting.maximum < setting.minimum {
        field.fault("is \(setting.maximum), below the minimum of \(setting.minimum)")
      }
    }
  }
}

extension AdmissionSetting {
  /// As a file says it.
  var flow: String {
    let bounds =
      limit == .fixed ? "inFlight: \(inFlight)" : "minimum: \(minimum), maximum: \(maximum)"
    return "{mode: \(mode.rawValue), limit: {kind: \(limit.rawValue), \(bounds)}, "
      + "queue: {capacity: \(queueCapacity)}\(openStreams.map { ", openStreams: \($0)" } ?? "")}"
  }
}
