internal import Units

/// Reads what reports of load are used for, and what is said of zones.
enum LoadReportReader {
  static func read(_ field: Field, _ balance: ServiceSetting.Balance) -> LoadReportSetting {
    var setting = LoadReportSetting()
    let fields = field.map([
      "weights", "limit", "utilization", "errorPenalty", "hotQuantile", "blackout", "expiration",
      "forward",
    ])
    setting.usesWeights = balance != .ringHash
    if let field = fields["weights"] {
      setting.usesWeights = field.flag()
      if setting.usesWeights, balance == .ringHash {
        field.fault("is not for balance: ring-hash, where keys would move with each report")
      }
    }
    if let field = fields["limit"] { setting.informsLimit = field.flag() }
    if let field = fields["utilization"] { setting.utilization = utilization(field) }
    if let field = fields["errorPenalty"] { setting.errorPenalty = field.decimal(0...1_000) }
    if let field = fields["hotQuantile"] {
      setting.hotQuantile = field.share()
      if balance != .p2c { field.fault("is for balance: p2c") }
    }
    if let field = fields["blackout"] {
      setting.blackout = field.duration(.zero...Nanoseconds.seconds(3_600))
    }
    if let field = fields["expiration"] {
      setting.expiration = field.duration(.milliseconds(100)...(.seconds(86_400)))
    }
    if let field = fields["forward"] { setting.isForwarded = field.flag() }
    return setting
  }

  /// `auto`, or the name of a metric that the service names itself.
  private static func utilization(_ field: Field) -> String? {
    let written = field.text()
    guard field.isScalar, written != "auto" else { return nil }
    let prefix = LoadReportSetting.namedPrefix
    let name = written.hasPrefix(prefix) ? String(written.dropFirst(prefix.count)) : ""
    let others = Set("-_./".utf8)
    let isName =
      !name.isEmpty && name.utf8.count <= 64
      && name.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || others.contains($0)
      }
    guard isName else {
      field.fault("must be auto or named_metrics.NAME, such as named_metrics.queue")
      return nil
    }
    return name
  }

  static func zonePreference(_ field: Field) -> ZonePreferenceSetting {
    var setting = ZonePreferenceSetting()
    let fields = field.map(["overprovisioning"])
    if let field = fields["overprovisioning"] { setting.overprovisioning = field.decimal(1...100) }
    return setting
  }

  /// The name of a zone.
  static func zone(_ field: Field) -> String? {
    let written = field.text()
    guard field.isScalar else { return nil }
    guard Zone.isName(written) else {
      field.fault("\"\(written)\" is no name of a zone; write up to 64 of a-z, A-Z, 0-9, - _ . /")
      return nil
    }
    return written
  }
}

extension Field {
  /// A claim that holds or does not.
  func flag() -> Bool {
    let written = text()
    if isScalar, written != "true", written != "false" { fault("must be true or false") }
    return written == "true"
  }
}
