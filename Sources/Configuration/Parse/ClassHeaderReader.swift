internal import Yams

/// Reads by which field callers name a class.
enum ClassHeaderReader {
  /// Fields that mean something already, here or to services.
  private static let taken = ["x-request-", "x-forwarded-", "x-envoy-"]
  private static let longest = 64

  static func read(_ field: Field) -> ClassHeaderSetting {
    var setting = ClassHeaderSetting()
    let fields = field.map(["name", "trustedFrom"])
    if let field = fields["name"] { setting.name = name(field) }
    if let field = fields["trustedFrom"],
      let trust = field.choice(ClassHeaderSetting.Trust.self, later: ["authenticated"])
    {
      setting.trustedFrom = trust
    }
    return setting
  }

  private static func name(_ field: Field) -> String {
    let name = field.name()
    guard name.lowercased().hasPrefix("x-"), name.utf8.count <= longest else {
      field.fault("must begin with x- and have at most \(longest) bytes, such as x-criticality")
      return ClassHeaderSetting().name
    }
    for prefix in taken where name.hasPrefix(prefix) {
      field.fault("must not begin with \(prefix): such fields have a meaning of their own")
    }
    return name
  }
}

extension ClassHeaderSetting {
  /// As a file says it.
  var flow: String { "{name: \(name), trustedFrom: \(trustedFrom.rawValue)}" }
}
