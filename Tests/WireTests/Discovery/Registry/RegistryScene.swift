import Edge

/// What plays of registries have in common.
enum RegistryScene {
  /// A metric of the service that a registry lists.
  static func metric(_ name: String, _ label: String = "") -> String {
    "spillway_discovery_\(name){service=\"backend\"\(label)}"
  }

  /// A service that answers with its name.
  static func named(_ name: String) throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, _ in try peer.respond(200, name) }
  }
}
