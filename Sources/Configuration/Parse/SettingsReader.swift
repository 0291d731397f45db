internal import Units
internal import Yams

/// Reads a document into settings; what it means together is judged by `Validation`.
struct SettingsReader {
  /// Where things stand in the document, for faults that are found later.
  struct Places {
    var root: Field
    /// Where relative paths begin; empty for the process's own folder.
    var folder = ""
    var files: [FileReference] = []
    var admin: Field?
    var listeners: [Field] = []
    var listenerAddresses: [Field] = []
    var services: [Field] = []
    /// Those of each service that could be read, beside `ServiceSetting.endpoints`.
    var endpoints: [[Field]] = []
    /// Where each service names its registry, if it has one.
    var registries: [Field?] = []
    var routes: [Field] = []
    var routeMatches: [Field] = []
    var routeUpstreams: [Field?] = []
    var routeFallbacks: [Field?] = []
    var routePolicies: [Field?] = []
  }

  private static let known = [
    "environment", "zone", "version", "workers", "stateDirectory", "drain", "admin", "accessLog",
    "classes", "classHeader", "overload", "listeners", "services", "routes",
  ]
  private static let later = ["identity", "rateLimits", "stores"]

  static func read(_ root: Field, folder: String = "") -> (Settings, Places) {
    var settings = Settings()
    var places = Places(root: root)
    places.folder = folder
    let fields = root.map(known, later: later)
    if let field = fields["environment"] { settings.environment = field.text() }
    if let field = fields["zone"] { settings.zone = LoadReportReader.zone(field) }
    if let field = fields["version"] { settings.version = field.number(0...Int.max) }
    if let field = fields["workers"], field.text() != "auto" {
      settings.workers = field.number(1...Settings.mostWorkers)
    }
    if let field = fields["stateDirectory"] { settings.stateDirectory = field.text() }
    if let field = fields["drain"] { settings.drain = drain(field) }
    if let field = fields["admin"] { (settings.admin, places.admin) = admin(field) }
    if let field = fields["accessLog"] { settings.accessLog = accessLog(field) }
    if let field = fields["classes"] { settings.classes = classes(field) }
    if let field = fields["classHeader"] { settings.classHeader = ClassHeaderReader.read(field) }
    if let field = fields["overload"] { settings.overload = OverloadReader.read(field) }
    if let field = fields["listeners"] {
      for entry in field.list() { ListenerReader.read(entry, &settings, &places) }
    }
    if let field = fields["services"] {
      for entry in field.list() { ServiceReader.read(entry, &settings, &places) }
    }
    if let field = fields["routes"] {
      for entry in field.list() { RouteReader.read(entry, &settings, &places) }
    }
    return (settings, places)
  }

  private static func drain(_ field: Field) -> DrainSettings {
    var drain = DrainSettings()
    let fields = field.map(["grace", "deadline"])
    let range = Nanoseconds.zero...Nanoseconds.seconds(3_600)
    if let field = fields["grace"] { drain.grace = field.duration(range) }
    if let field = fields["deadline"] { drain.deadline = field.duration(range) }
    return drain
  }

  private static func admin(_ field: Field) -> (BindAddress?, Field?) {
    let fields = field.map(["address"], later: ["tls"])
    guard let address = fields["address"] else {
      field.fault("needs an address, such as 127.0.0.1:9901")
      return (nil, nil)
    }
    let value = AddressReader.bind(address)
    if case .ip(let ip, _) = value, !ip.hasPrefix("127."), ip != "::1" {
      address.fault("must be a loopback address: the admin server has no authentication")
    }
    if case .unix = value {
      address.fault("must be an IP address and a port")
    }
    return (value, address)
  }

  private static func accessLog(_ field: Field) -> AccessLogSettings {
    var log = AccessLogSettings()
    let fields = field.map(["output", "sample"])
    if let field = fields["output"] {
      let text = field.text()
      switch text {
      case "stdout": log.output = .stdout
      case "off": log.output = .off
      case _ where text.hasPrefix("file:") && text.utf8.count > 5:
        log.output = .file(String(text.dropFirst(5)))
      case _ where text.hasPrefix("syslog:") && text.utf8.count > 7:
        log.output = .syslog(String(text.dropFirst(7)))
      default: field.fault("must be stdout, file:PATH, syslog:SOCKET or off")
      }
    }
    if let field = fields["sample"] { log.sample = sample(field) }
    return log
  }

  private static func sample(_ field: Field) -> [AccessLogSettings.Sample] {
    guard case .mapping(let mapping) = field.node else {
      field.fault("must be a map from statuses to shares, such as {\"2xx\": 0.01, default: 1}")
      return []
    }
    var seen: Set<String> = []
    return mapping.compactMap { key, value in
      let name = key.string ?? ""
      let entry = Field(node: value, path: "\(field.path).\(name)", reader: field.reader)
      let place = Field(node: key, path: entry.path, reader: field.reader)
      guard name == "default" || isStatus(name) else {
        place.fault("must be a status such as 404, a class such as 2xx, or default")
        return nil
      }
      // The parser tells 404 from "404", which mean the same here.
      if !seen.insert(name).inserted { place.fault("\(name) is given twice; keep one") }
      return AccessLogSettings.Sample(key: name, share: entry.share())
    }
  }

  /// Whether a key is `100` to `599` or `1xx` to `5xx`.
  private static func isStatus(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard bytes.count == 3, (0x31...0x35).contains(bytes[0]) else { return false }
    return name.hasSuffix("xx") || bytes[1...].allSatisfy { (0x30...0x39).contains($0) }
  }

  private static func classes(_ field: Field) -> [String] {
    let entries = field.list()
    let names = entries.map { $0.name() }
    // Every table of classes has a fixed width (DESIGN: at most 8).
    if names.isEmpty || names.count > 8 { field.fault("must name 1 to 8 classes") }
    for (index, name) in names.enumerated() where names[..<index].contains(name) {
      entries[index].fault("\"\(name)\" is named twice")
    }
    return names.isEmpty ? Settings().classes : names
  }
}
